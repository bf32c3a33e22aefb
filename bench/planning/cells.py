"""The cells of a configuration, each checked and identified; without torch."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from distillation_bench import datasets
from distillation_bench.bench.common.errors import UsageError, nearest
from distillation_bench.bench.common.hashing import digest
from distillation_bench.bench.common.paths import DATA_ROOT
from distillation_bench.bench.common.random_streams import stream_name
from distillation_bench.bench.common.text import truncated
from distillation_bench.bench.planning.cache_keys import Planner, TeacherPlan
from distillation_bench.bench.planning.code_digests import cell_code, protocol_code
from distillation_bench.bench.planning.configuration.config import Config, Variant
from distillation_bench.bench.planning.estimates.job_durations import JobKind
from distillation_bench.bench.planning.evaluation_sources import EvaluationSources, sources_of
from distillation_bench.bench.planning.recipe import Recipe
from distillation_bench.bench.planning.recipe_resolution import resolve_recipe
from distillation_bench.bench.planning.variants import (
    combinations,
    label_of,
    resolve_parameters,
)
from distillation_bench.bench.storage.formats.limits import MAX_CELLS, MAX_SEED, is_cell_id
from distillation_bench.datasets.base import BadData, Dataset
from distillation_bench.datasets.corruptions import CORRUPTED_SHAPE
from distillation_bench.methods import METHODS
from distillation_bench.methods.base import Method

HASHES = ("protocol", "code", "data")
DIGITS = 12
"""Digits of a cell's hash in its id."""


@dataclass(frozen=True)
class Cell:
    """dataset × variant × seed: the unit that is run, recorded, resumed, failed.

    Attributes:
        id: unique, and different for other values, code or data.
        dataset: name of the dataset.
        method: name of the method.
        label: of the variant.
        seed: of the teacher and the student.
        parameters: all of the method.
        recipe: how teacher and student are trained.
        teacher: the teacher's plan.
        protocol: hash of the code that measures the student.
        code: hash of all code and libraries that decide the cell's values.
        data: hash of what the dataset is made from.
        skip: why the cell cannot be run; empty if it can.
    """

    id: str
    dataset: str
    method: str
    label: str
    seed: int
    parameters: Mapping[str, Any]
    recipe: Recipe
    teacher: TeacherPlan
    protocol: str
    code: str
    data: str
    skip: str = ""

    def description(self) -> dict[str, Any]:
        """Return what the description of a run holds of the cell."""
        names = ("dataset", "method", "label", "seed", "parameters", "skip", *HASHES)
        return {name: getattr(self, name) for name in names} | {"measured": self.measured}

    @property
    def job_kind(self) -> JobKind:
        """What cells of about the same duration have in common."""
        return "cell", self.dataset, self.label

    @property
    def measured(self) -> str:
        """What cells of one table have in common: the teacher, and the sets it was evaluated on."""
        return self.teacher.outputs_key


def make_cells(config: Config, root: Path = DATA_ROOT, device: str = "cpu") -> list[Cell]:
    """Return the cells of a configuration, without duplicates and in its order.

    Args:
        config: what to run.
        root: the folder of the datasets' files.
        device: the kind of device that trains, "cpu" or "cuda".

    Raises:
        UsageError: a name is unknown, a value is wrong, or a combination is impossible.
    """
    chosen = {name: _dataset(name, config) for name in config.datasets}
    _check_choice(chosen, config, root)
    recipes = {name: resolve_recipe(dataset, config) for name, dataset in chosen.items()}
    sources = {name: sources_of(dataset, config, root) for name, dataset in chosen.items()}
    planner = Planner(root, sources, device)
    grid = _Grid()
    for variant in config.variants:
        method = _method(variant)
        for name in _datasets_of(variant, config):
            teachers = [planner.teacher(chosen[name], recipes[name], s) for s in config.seeds]
            for values in combinations(variant):
                for cell in _cells_of(chosen[name], method, variant, values, teachers):
                    grid.add(cell, variant.location)
    cells = list(grid.cells.values())
    _check_some_can_run(cells)
    return cells


# What is asked for


def _dataset(name: str, config: Config) -> type[Dataset]:
    try:
        return datasets.get(name)
    except (datasets.UnknownDataset, BadData) as error:
        location = config.location_of(f"datasets.{name}", option="-d")
        raise UsageError(f"{location}: {error}") from None


def _method(variant: Variant) -> type[Method]:
    _check_name(variant.method, METHODS, "method", variant.location)
    return METHODS[variant.method]


def _datasets_of(variant: Variant, config: Config) -> list[str]:
    """Return the datasets of the configuration that a variant runs on."""
    for name in variant.datasets:
        if name not in config.datasets:
            _check_name(name, datasets.DATASETS, "dataset", variant.location)
    names = dict.fromkeys(config.datasets)
    return [name for name in names if not variant.datasets or name in variant.datasets]


def _check_name(name: str, names: Mapping[str, Any], kind: str, location: str) -> None:
    if name not in names:
        raise UsageError(f"{location}: unknown {kind} {name!r}{nearest(name, names)}")


def _check_choice(chosen: Mapping[str, type[Dataset]], config: Config, root: Path) -> None:
    """Raise UsageError if there is nothing to run, or a dataset's files cannot be used."""
    if not chosen or not config.variants or not config.seeds:
        raise UsageError("nothing to run: give a method (-m), a dataset (-d) and a seed (-s)")
    for name in config.recipes:
        if name not in config.datasets:
            _dataset(name, config)
    if config.ood and not any(dataset.images for dataset in chosen.values()):
        raise UsageError("--ood: no dataset has images; other datasets have their own OOD sets")
    shapes = [dataset.shape for dataset in chosen.values()]
    if config.corruptions and CORRUPTED_SHAPE not in shapes:
        raise UsageError("--corruptions: no dataset has images of 3x32x32")
    for name, dataset in chosen.items():
        _check_files(name, dataset(root), config)
    _check_number(config)


def _check_files(name: str, dataset: Dataset, config: Config) -> None:
    try:
        dataset.check()
    except BadData as error:
        location = config.location_of(f"datasets.{name}", option="-d")
        raise UsageError(f"{location}: {error}") from None


def _check_number(config: Config) -> None:
    """Raise UsageError, before any cell is made, if a run cannot hold as many."""
    variants = (math.prod(map(len, variant.values.values())) for variant in config.variants)
    count = sum(variants) * len(config.seeds)
    if count > MAX_CELLS:
        raise UsageError(f"{count:,} cells per dataset; a run has at most {MAX_CELLS:,} in total")


def _check_some_can_run(cells: Sequence[Cell]) -> None:
    if not cells:
        raise UsageError("nothing to run: every method is limited to other datasets")
    if all(cell.skip for cell in cells):
        reasons = sorted({f"{cell.method} on {cell.dataset}: {cell.skip}" for cell in cells})
        raise UsageError(f"nothing can be run: {'; '.join(reasons)}")


# The grid


class _Grid:
    """Cells without duplicates; a label is one variant on a dataset and one method in a run."""

    def __init__(self) -> None:
        self.cells: dict[str, Cell] = {}
        self._ids: dict[tuple[str, str, int], str] = {}
        self._methods: dict[str, str] = {}

    def add(self, cell: Cell, location: str) -> None:
        """Add a cell that was asked for at this location.

        Raises:
            UsageError: its label belongs to another cell, or it has a second label.
        """
        same = self.cells.setdefault(cell.id, cell)
        if same.label != cell.label:
            raise UsageError(
                f"{location}: on {cell.dataset}, {cell.label!r} is the same as {same.label!r}"
            )
        if self._ids.setdefault((cell.dataset, cell.label, cell.seed), cell.id) != cell.id:
            raise UsageError(f"{location}: another variant has the label {cell.label!r}")
        method = self._methods.setdefault(cell.label, cell.method)
        if method != cell.method:
            raise UsageError(
                f"{location}: the label {cell.label!r} already belongs to a variant of {method!r}"
            )


def _cells_of(
    dataset: type[Dataset],
    method: type[Method],
    variant: Variant,
    values: Mapping[str, Any],
    teachers: Sequence[TeacherPlan],
) -> Iterator[Cell]:
    """Yield one cell for each teacher; all teachers have the same recipe and sources."""
    parameters = resolve_parameters(method, dataset, values, variant)
    label = label_of(variant, {name: parameters[name] for name in values})
    recipe, data = teachers[0].recipe, teachers[0].data
    code = cell_code(method, dataset.task)
    all_code = [code, data.code, *filter(None, [teachers[0].network_code])]
    identity = _identity(method, parameters, recipe, data.sources, code)
    stem = _id_stem(dataset, method, variant)
    for teacher in teachers:
        content = digest([identity, teacher.seed, teacher.outputs_key])
        yield Cell(
            id=f"{stem}.s{teacher.seed}.{content[:DIGITS]}",
            dataset=dataset.name,
            method=method.name,
            label=label,
            seed=teacher.seed,
            parameters=parameters,
            recipe=recipe,
            teacher=teacher,
            protocol=protocol_code(dataset.task),
            code=digest(all_code)[:32],
            data=data.content[:32],
            skip=method.refuses.get(dataset.task, ""),
        )


def _identity(
    method: type[Method],
    parameters: Mapping[str, Any],
    recipe: Recipe,
    sources: EvaluationSources,
    code: str,
) -> str:
    """Return a hash of what the cells of a variant on a dataset have in common."""
    return digest(
        {
            "method": method.name,
            "parameters": parameters,
            "recipe": recipe.training(),
            "ood": sorted([ood.name, ood.group, bool(ood.absent)] for ood in sources.ood),
            "code": code,
        }
    )


def _id_stem(dataset: type[Dataset], method: type[Method], variant: Variant) -> str:
    """Return the start of a cell's id, which is a file name.

    Raises:
        UsageError: it is too long.
    """
    stem = re.sub(r"[^\w.+-]+", "_", f"{stream_name(dataset.name)}.{method.name}")
    if not is_cell_id(f"{stem}.s{MAX_SEED}.{'0' * DIGITS}"):
        raise UsageError(
            f"{variant.location}: the names of dataset {truncated(dataset.name)} and method "
            f"{truncated(method.name)} are too long for a file name"
        )
    return stem
