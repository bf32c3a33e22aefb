"""From a configuration to cells and the graph of tasks, all of it checked; without torch.

Data and teacher keys are made of content alone: names, values, hashes of code. No path, no order.
"""

from __future__ import annotations

import functools
import itertools
import re
import sys
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from bench.cache import key_of
from bench.config import Config, Variant, explain
from bench.errors import UsageError, nearest
from bench.fingerprint import code_digest, digest, file_digest
from bench.metrics.registry import METRICS
from bench.recipe import Recipe, recipe_for
from datasets import DATASETS
from datasets.base import Dataset
from methods import METHODS
from methods.base import Method

DATA_CODE = ("datasets/base.py", "bench/data.py", "bench/randomness.py")
TEACHER_CODE = (
    *("bench/training.py", "bench/optimizer.py", "bench/teacher.py", "bench/randomness.py"),
    *("methods/tasks.py", "methods/networks/*.py"),
)
CELL_CODE = (
    *("bench/student.py", "bench/evaluation.py", "bench/cost.py", "bench/metrics/*.py"),
    *("bench/worker.py", "methods/base.py", "methods/schedules.py", "methods/predictions.py"),
)


@dataclass(frozen=True)
class TeacherPlan:
    """A teacher to be: what it is trained on and how, and its key in the cache."""

    dataset: str
    seed: int
    data_seed: int
    recipe: Recipe
    data_key: str
    key: str

    @property
    def pieces(self) -> list[range]:
        """Members that are trained as one batch."""
        members, size = self.recipe.members, self.recipe.piece
        return [range(i, min(i + size, members)) for i in range(0, members, size)]

    def piece_key(self, piece: int) -> str:
        """The key of a piece's weights, kept until the teacher is whole."""
        members = self.pieces[piece]
        return f"{self.key}.{members.start}-{members.stop - 1}"


@dataclass(frozen=True)
class Cell:
    """dataset × variant × seed: the unit that is run, recorded, resumed, failed.

    `skip` is the reason why it can't be run; empty where it can.
    """

    id: str
    dataset: str
    method: str
    label: str
    seed: int
    parameters: Mapping[str, Any]
    recipe: Recipe
    teacher: TeacherPlan
    skip: str = ""

    def described(self) -> dict[str, Any]:
        """What a run's description keeps of it."""
        names = ("dataset", "method", "label", "seed", "parameters", "skip")
        return {name: getattr(self, name) for name in names} | {"teacher": self.teacher.key}


def make_cells(config: Config) -> list[Cell]:
    """Every cell of a configuration, each once, in the order asked for.

    Raises:
        UsageError: an unknown name, a wrong value or an impossible combination; with its place.
    """
    chosen = [(name, _dataset(name, config)) for name in dict.fromkeys(config.datasets)]
    if not chosen or not config.variants:
        raise UsageError("nothing to run: give at least one method (-m) and one dataset (-d)")
    recipes = {name: _recipe(dataset, config) for name, dataset in chosen}
    _check_recipe_names(config, recipes)
    cells: dict[str, Cell] = {}
    for variant in config.variants:
        method = _method(variant)
        for name in variant.datasets:
            _known(name, DATASETS, "dataset", variant.place)
        for (name, dataset), values in itertools.product(chosen, _combinations(variant)):
            if variant.datasets and name not in variant.datasets:
                continue
            for cell in _cells_of(dataset, method, variant, values, recipes[name], config.seeds):
                known = cells.setdefault(cell.id, cell)
                if known.label != cell.label:
                    raise UsageError(
                        f"{variant.place}: on {name}, {cell.label!r} is the same as {known.label!r}"
                    )
    if all(cell.skip for cell in cells.values()):
        reasons = sorted({f"{c.method} on {c.dataset}: {c.skip}" for c in cells.values()})
        raise UsageError(f"nothing can be run: {'; '.join(reasons)}")
    return list(cells.values())


def _known(name: str, names: Mapping[str, Any], what: str, place: str) -> None:
    if name not in names:
        raise UsageError(f"{place}: unknown {what} {name!r}{nearest(name, names)}")


def _dataset(name: str, config: Config) -> type[Dataset]:
    _known(name, DATASETS, "dataset", config.places.get(f"datasets.{name}", "-d"))
    return DATASETS[name]


def _method(variant: Variant) -> type[Method]:
    _known(variant.method, METHODS, "method", variant.place)
    return METHODS[variant.method]


def _recipe(dataset: type[Dataset], config: Config) -> Recipe:
    given = {**config.recipe, **config.recipes.get(dataset.name, {})}
    try:
        return recipe_for(dataset.recipe, dataset.network, given)
    except ValidationError as error:
        location, reason = explain(error, Recipe)
        places = (f"recipe.{location[0]}", f"recipes.{dataset.name}")
        place = next((config.places[each] for each in places if each in config.places), "--set")
        raise UsageError(f"{place}: {reason}") from None


def _check_recipe_names(config: Config, recipes: Mapping[str, Recipe]) -> None:
    for name in config.recipes:
        _known(name, DATASETS, "dataset", config.places.get(f"recipes.{name}", "recipes"))
    for name, recipe in recipes.items():
        known = set(DATASETS[name].network)
        for part in recipe.network:
            if part not in known:
                place = config.places.get("recipe.network", "--set network")
                raise UsageError(f"{place}: unknown network part {part!r}{nearest(part, known)}")


def _combinations(variant: Variant) -> Iterator[dict[str, Any]]:
    names = list(variant.values)
    for values in itertools.product(*variant.values.values()):
        yield dict(zip(names, values, strict=True))


def _cells_of(
    dataset: type[Dataset],
    method: type[Method],
    variant: Variant,
    given: Mapping[str, Any],
    recipe: Recipe,
    seeds: Iterable[int],
) -> Iterator[Cell]:
    parameters = resolve(method, dataset, given, variant.place)
    label = label_of(variant, {name: parameters[name] for name in given})
    code = _cell_code(method, dataset.task)
    skip = method.refuses.get(dataset.task, "")
    for seed in seeds:
        teacher = _teacher(dataset, recipe, seed)
        content = {
            "method": method.name,
            "parameters": parameters,
            "recipe": recipe.training(),
            "seed": seed,
            "teacher": teacher.key,
            "code": code,
        }
        stem = re.sub(r"[^\w.+-]+", "_", f"{dataset.name}.{method.name}.s{seed}")
        cell_id = f"{stem}.{digest(content)[:12]}"
        yield Cell(
            cell_id, dataset.name, method.name, label, seed, parameters, recipe, teacher, skip
        )


def resolve(
    method: type[Method], dataset: type[Dataset], given: Mapping[str, Any], place: str = "-m"
) -> dict[str, Any]:
    """All parameters of a method on a dataset: given, else the dataset's, else the default.

    Raises:
        UsageError: an unknown parameter or a wrong value.
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
        return method.Parameters(**{**values, **given}).model_dump()
    except ValidationError as error:
        _, reason = explain(error, method.Parameters)
        raise UsageError(f"{place}: method {method.name!r}: {reason}") from None


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


@functools.cache
def _class_code(cls: type, base: type) -> str:
    """A hash of the files that a class and its ancestors below the base are defined in."""
    classes = [each for each in cls.__mro__ if issubclass(each, base) and each is not base]
    return _files_code(each.__module__ for each in classes)


def _files_code(modules: Iterable[str]) -> str:
    files = {sys.modules[module].__file__ for module in modules}
    return digest(sorted(file_digest(Path(file)) for file in files if file))


@functools.cache
def _cell_code(method: type[Method], task: str) -> str:
    applying = [metric for metric in METRICS.values() if metric.applies(task)]
    return digest(
        {
            "engine": code_digest(*CELL_CODE),
            "method": _class_code(method, Method),
            "metrics": _files_code(metric.function.__module__ for metric in applying),
        }
    )


@functools.cache
def _data_key(dataset: type[Dataset], data_seed: int) -> str:
    shared = (*DATA_CODE, "datasets/shifts.py") if dataset.shifts else DATA_CODE
    code = [code_digest(*shared), _class_code(dataset, Dataset)]
    content = {"dataset": dataset.name, "data_seed": data_seed, "code": code}
    return key_of("data", content)


def _teacher(dataset: type[Dataset], recipe: Recipe, seed: int) -> TeacherPlan:
    data_seed = seed if recipe.data_seed is None else recipe.data_seed
    data_key = _data_key(dataset, data_seed)
    content = {
        "data": data_key,
        "recipe": recipe.for_teacher(),
        "seed": seed,
        "code": code_digest(*TEACHER_CODE),
    }
    key = key_of("teacher", content)
    return TeacherPlan(dataset.name, seed, data_seed, recipe, data_key, key)
