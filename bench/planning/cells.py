"""From a configuration to cells, all of it checked; without torch."""

from __future__ import annotations

import itertools
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from distillation_bench import datasets
from distillation_bench.bench.common.errors import UsageError, nearest
from distillation_bench.bench.common.hashing import digest
from distillation_bench.bench.common.paths import DATA_ROOT
from distillation_bench.bench.common.random_streams import stream_name
from distillation_bench.bench.common.text import truncated
from distillation_bench.bench.planning.cache_keys import Planner, TeacherPlan
from distillation_bench.bench.planning.code_digests import cell_code, protocol_code
from distillation_bench.bench.planning.configuration.config import Config, Variant
from distillation_bench.bench.planning.configuration.validation_errors import first_error
from distillation_bench.bench.planning.estimates.job_durations import JobKind
from distillation_bench.bench.planning.evaluation_sources import sources_of
from distillation_bench.bench.planning.recipe import Recipe, recipe_for
from distillation_bench.bench.storage.formats.schema import (
    LAST_SEED,
    LONGEST,
    MOST_CELLS,
    is_id,
    is_plain,
)
from distillation_bench.datasets.base import BadData, Dataset
from distillation_bench.datasets.corruptions import CORRUPTED_SHAPE
from distillation_bench.methods import METHODS
from distillation_bench.methods.base import Method
from distillation_bench.methods.networks.options import OPTIONS, describe

HASHES = ("protocol", "code", "data")
DIGITS = 12
"""Of a cell's hash, in its id."""


@dataclass(frozen=True)
class Cell:
    """dataset × variant × seed: the unit that is run, recorded, resumed, failed.

    `skip` is the reason why it can't be run; empty where it can. Hashes: `protocol` of the code
    that measures it, `code` of all code and libraries that decide its values, `data` of what its
    dataset is made from.
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
        """What a run's description keeps of it."""
        names = ("dataset", "method", "label", "seed", "parameters", "skip", *HASHES)
        return {name: getattr(self, name) for name in names} | {"measured": self.measured}

    @property
    def job_kind(self) -> JobKind:
        """Cells that take about as long have it in common."""
        return "cell", self.dataset, self.label

    @property
    def measured(self) -> str:
        """What rows of one table have in common: the teacher, and the sets that it was seen on."""
        return self.teacher.outputs_key


def make_cells(config: Config, root: Path = DATA_ROOT, device: str = "cpu") -> list[Cell]:
    """Every cell of a configuration, each once, in the order asked for.

    Args:
        config: what to run.
        root: where datasets find their files.
        device: the kind that trains, "cpu" or "cuda".

    Raises:
        UsageError: an unknown name, a wrong value or an impossible combination; with its place.
    """
    chosen = [(name, _dataset(name, config)) for name in dict.fromkeys(config.datasets)]
    _check_choice(chosen, config, root)
    recipes = {name: _recipe(dataset, config) for name, dataset in chosen}
    sources = {name: sources_of(dataset, config, root) for name, dataset in chosen}
    planner = Planner(root, sources, device)
    grid = _Grid()
    for variant in config.variants:
        method = _method(variant)
        for name in variant.datasets:
            if name not in config.datasets:
                _known(name, datasets.DATASETS, "dataset", variant.location)
        for (name, dataset), values in itertools.product(chosen, _combinations(variant)):
            if variant.datasets and name not in variant.datasets:
                continue
            teachers = [planner.teacher(dataset, recipes[name], seed) for seed in config.seeds]
            for cell in _cells_of(dataset, method, variant, values, teachers):
                grid.add(cell, variant.location)
    cells = list(grid.cells.values())
    if not cells:
        raise UsageError("nothing to run: no method is asked for on any of the datasets")
    if all(cell.skip for cell in cells):
        reasons = sorted({f"{c.method} on {c.dataset}: {c.skip}" for c in cells})
        raise UsageError(f"nothing can be run: {'; '.join(reasons)}")
    return cells


def _check_choice(chosen: Sequence[tuple[str, type[Dataset]]], config: Config, root: Path) -> None:
    """Whether there is something to run on these datasets, and their files can be used."""
    if not chosen or not config.variants or not config.seeds:
        raise UsageError("nothing to run: give a method (-m), a dataset (-d) and a seed (-s)")
    _check_recipe_names(config)
    if config.ood and not any(dataset.images for _, dataset in chosen):
        raise UsageError("--ood: none of the datasets has images; theirs bring their own OOD sets")
    if config.corruptions and not any(d.shape == CORRUPTED_SHAPE for _, d in chosen):
        raise UsageError("--corruptions: none of the datasets has images of 3x32x32")
    for name, dataset in chosen:
        _check_files(name, dataset(root), config)
    _check_number(config)


def _check_number(config: Config) -> None:
    """Whether a run's description can hold as many, before any is made."""
    variants = (math.prod(map(len, variant.values.values())) for variant in config.variants)
    count = sum(variants) * len(config.seeds)
    if count > MOST_CELLS:
        raise UsageError(f"{count:,} cells a dataset; a run has at most {MOST_CELLS:,} in all")


class _Grid:
    """Cells, each once, and each label for one thing."""

    def __init__(self) -> None:
        self.cells: dict[str, Cell] = {}
        self._rows: dict[tuple[str, str, int], str] = {}
        self._methods: dict[str, str] = {}

    def add(self, cell: Cell, place: str) -> None:
        """Take a cell in, which a variant of this place asked for.

        Raises:
            UsageError: it has another's label, or is another under a second label.
        """
        known = self.cells.setdefault(cell.id, cell)
        if known.label != cell.label:
            raise UsageError(
                f"{place}: on {cell.dataset}, {cell.label!r} is the same as {known.label!r}"
            )
        if self._rows.setdefault((cell.dataset, cell.label, cell.seed), cell.id) != cell.id:
            raise UsageError(f"{place}: another variant has the label {cell.label!r}")
        method = self._methods.setdefault(cell.label, cell.method)
        if method != cell.method:
            raise UsageError(
                f"{place}: the label {cell.label!r} is a variant of {method!r} already"
            )


def _known(name: str, names: Mapping[str, Any], what: str, place: str) -> None:
    if name not in names:
        raise UsageError(f"{place}: unknown {what} {name!r}{nearest(name, names)}")


def _dataset(name: str, config: Config) -> type[Dataset]:
    try:
        return datasets.get(name)
    except (datasets.UnknownDataset, BadData) as error:
        place = config.locations.get(f"datasets.{name}", "-d")
        raise UsageError(f"{place}: {error}") from None


def _check_files(name: str, dataset: Dataset, config: Config) -> None:
    try:
        dataset.check()
    except BadData as error:
        place = config.locations.get(f"datasets.{name}", "-d")
        raise UsageError(f"{place}: {error}") from None


def _method(variant: Variant) -> type[Method]:
    _known(variant.method, METHODS, "method", variant.location)
    return METHODS[variant.method]


def _recipe(dataset: type[Dataset], config: Config) -> Recipe:
    given = {**config.recipe, **config.recipes.get(dataset.name, {})}
    try:
        network = _network(dataset, given.pop("network", {}))
        recipe = recipe_for(dataset.recipe, network, given)
    except ValidationError as error:
        location, reason = first_error(error, Recipe)
        raise UsageError(f"{_place(config, dataset.name, str(location[0]))}: {reason}") from None
    except _BadNetwork as error:
        place = _place(config, dataset.name, "network", str(error.option))
        raise UsageError(f"{place}: {error}") from None
    if recipe.views and not dataset.images:
        place = _place(config, dataset.name, "augment")
        raise UsageError(f"{place}: augment: the inputs of {dataset.name} are no images")
    return recipe


def _place(config: Config, dataset: str, *names: str) -> str:
    """Where a value of the recipe was given, as exactly as is known."""
    paths = [".".join(names[:depth]) for depth in range(len(names), 0, -1)]
    places = [f"{start}.{path}" for path in paths for start in (f"recipes.{dataset}", "recipe")]
    places.append(f"recipes.{dataset}")
    return next((config.locations[each] for each in places if each in config.locations), "--set")


class _BadNetwork(Exception):
    """What is wrong with a network's description, and which of its options."""

    def __init__(self, message: str, option: str = "") -> None:
        super().__init__(message)
        self.option = option


def _network(dataset: type[Dataset], given: Any) -> dict[str, Any]:
    """The dataset's network with the given options over it, or another family's.

    Raises:
        _BadNetwork: an unknown family or option, or a wrong value.
    """
    if not isinstance(given, dict):
        raise _BadNetwork(f"network: options such as network.width=0.5, not {given!r}")
    if odd := [name for name in given if not isinstance(name, str)]:
        raise _BadNetwork(f"network: {odd[0]!r} is no name of an option (list networks)")
    family = given.get("family", dataset.network["family"])
    base = dataset.network if family == dataset.network["family"] else {}
    if not isinstance(family, str) or family not in OPTIONS:
        message = f"unknown network family {family!r}{nearest(str(family), OPTIONS)}"
        raise _BadNetwork(message, "family")
    if family != "mlp" and not dataset.images:
        message = f"network {family!r} needs images, which {dataset.name} has not"
        raise _BadNetwork(message, "family")
    try:
        return describe({**base, **given, "family": family})
    except ValidationError as error:
        location, reason = first_error(error, OPTIONS[family])
        raise _BadNetwork(f"network: {reason}", str(location[0]) if location else "") from None


def _check_recipe_names(config: Config) -> None:
    for name in config.recipes:
        if name not in config.datasets:
            _dataset(name, config)


def _combinations(variant: Variant) -> Iterator[dict[str, Any]]:
    names = list(variant.values)
    for values in itertools.product(*variant.values.values()):
        yield dict(zip(names, values, strict=True))


def _cells_of(
    dataset: type[Dataset],
    method: type[Method],
    variant: Variant,
    given: Mapping[str, Any],
    teachers: Sequence[TeacherPlan],
) -> Iterator[Cell]:
    """A cell a teacher; teachers of a dataset have the same recipe and sources."""
    parameters = resolve(method, dataset, given, variant)
    label = _checked_label(variant, {name: parameters[name] for name in given})
    recipe, data = teachers[0].recipe, teachers[0].data
    code_of_cell = cell_code(method, dataset.task)
    alike = digest(
        {
            "method": method.name,
            "parameters": parameters,
            "recipe": recipe.training(),
            "ood": sorted([s.name, s.group, bool(s.absent)] for s in data.sources.ood),
            "code": code_of_cell,
        }
    )
    stem = _stem(dataset, method, variant)
    protocol, code = protocol_code(dataset.task), digest([code_of_cell, data.code])[:32]
    for teacher in teachers:
        content = digest([alike, teacher.seed, teacher.outputs_key])
        yield Cell(
            id=f"{stem}.s{teacher.seed}.{content[:DIGITS]}",
            dataset=dataset.name,
            method=method.name,
            label=label,
            seed=teacher.seed,
            parameters=parameters,
            recipe=recipe,
            teacher=teacher,
            protocol=protocol,
            code=code,
            data=data.content[:32],
            skip=method.refuses.get(dataset.task, ""),
        )


def _stem(dataset: type[Dataset], method: type[Method], variant: Variant) -> str:
    """What the ids of cells begin with; files are named after them."""
    stem = re.sub(r"[^\w.+-]+", "_", f"{stream_name(dataset.name)}.{method.name}")
    if not is_id(f"{stem}.s{LAST_SEED}.{'0' * DIGITS}"):
        raise UsageError(
            f"{variant.location}: the names of dataset {truncated(dataset.name)} and method "
            f"{truncated(method.name)} are too long for the name of a file"
        )
    return stem


def _checked_label(variant: Variant, given: Mapping[str, Any]) -> str:
    label = label_of(variant, given)
    if len(label) > LONGEST or not label.isprintable():
        raise UsageError(
            f"{variant.location}: {truncated(label)!r} can't be a label: it is longer than "
            f"{LONGEST:,} characters, or can't be printed"
        )
    return label


def resolve(
    method: type[Method], dataset: type[Dataset], given: Mapping[str, Any], variant: Variant
) -> dict[str, Any]:
    """All parameters of a method on a dataset: given, else the dataset's, else the default.

    Raises:
        UsageError: an unknown parameter or a wrong value, or one that a run can't keep.
    """
    fields = method.Parameters.model_fields
    values = {
        name: dataset.defaults[name]
        for name, field in fields.items()
        if isinstance(field.json_schema_extra, dict)
        and field.json_schema_extra.get("dataset")
        and name in dataset.defaults
    }
    try:
        parameters = method.Parameters(**{**values, **given}).model_dump()
    except ValidationError as error:
        location, reason = first_error(error, method.Parameters)
        place = variant.locations.get(str(location[0]) if location else "", variant.location)
        raise UsageError(f"{place}: method {method.name!r}: {reason}") from None
    for name, value in parameters.items():
        if not is_plain(value):
            place = variant.locations.get(name, variant.location)
            raise UsageError(
                f"{place}: method {method.name!r}: a run can't keep the value of {name}: it is not "
                "finite, too large, nested too deeply, or of a kind that YAML lacks"
            )
    return parameters


def label_of(variant: Variant, given: Mapping[str, Any]) -> str:
    """`method[parameter=value,…]` with what was given, in canonical form.

    A variant with a label of its own shows the parameters of which it has several values.
    """
    if variant.label:
        given = {name: value for name, value in given.items() if len(variant.values[name]) > 1}
    name = variant.label or variant.method
    shown = ",".join(f"{key}={_shown(value)}" for key, value in sorted(given.items()))
    return f"{name}[{shown}]" if shown else name


def _shown(value: Any) -> str:
    if value is None or isinstance(value, bool):
        return str(value).lower()
    return f"{value:g}" if isinstance(value, float) else str(value).replace(" ", "")
