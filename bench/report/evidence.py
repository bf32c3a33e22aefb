"""What a report tells beside figures: cells that have none, settings, versions, provenance."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from distillation_bench.bench.analysis.results import Results
from distillation_bench.bench.common.hashing import canonical_json
from distillation_bench.bench.storage.tables import CellKey


@dataclass(frozen=True)
class Trouble:
    """Cells of one variant without figures, for the same reason.

    Attributes:
        status: `failed`, `skipped` or `not run`.
        seeds: of the cells.
        cell: the id of the first one, to look into.
    """

    dataset: str
    label: str
    status: str
    reason: str
    seeds: list[int]
    cell: str


@dataclass(frozen=True)
class Variant:
    """A label with what stands behind it, on the datasets where that is the same."""

    label: str
    method: str
    reference: bool
    datasets: list[str]
    parameters: str


@dataclass(frozen=True)
class Evidence:
    """What the records say.

    Attributes:
        statuses: number of cells by status; the statuses that there are.
        troubles: cells without figures, failures first.
        environment: by name, its values with the number of records that have each.
        commits: with the number of records of each.
        newest: when the last record was finished, ISO 8601; empty if none says.
    """

    statuses: Counter[str] = field(default_factory=Counter)
    troubles: list[Trouble] = field(default_factory=list)
    environment: dict[str, Counter[str]] = field(default_factory=dict)
    commits: Counter[str] = field(default_factory=Counter)
    newest: str = ""
    variants: list[Variant] = field(default_factory=list)
    recipes: dict[str, dict[str, str]] = field(default_factory=dict)


def gather(results: Results) -> Evidence:
    """From what every record says."""
    statuses: Counter[str] = Counter()
    troubles: dict[tuple[str, ...], Trouble] = {}
    environment: dict[str, Counter[str]] = {}
    commits: Counter[str] = Counter()
    newest = ""
    for slot in results.cells:
        told = results.facts.get(slot)
        status = told.status if told else "missing"
        statuses[status] += 1
        if status != "done":
            _note(troubles, results, slot, status, told.reason if told else "")
        if told is None:
            continue
        newest = max(newest, told.finished)
        if told.commit:
            commits[told.commit] += 1
        for name, value in told.environment.items():
            environment.setdefault(name, Counter())[str(value)] += 1
    order = {"failed": 0, "missing": 1, "skipped": 2}
    return Evidence(
        statuses,
        sorted(troubles.values(), key=lambda each: order.get(each.status, 3)),
        environment,
        commits,
        newest,
        _variants(results),
        _recipes(results.manifest["recipes"]),
    )


def _note(
    troubles: dict[tuple[str, ...], Trouble],
    results: Results,
    slot: CellKey,
    status: str,
    reason: str,
) -> None:
    dataset, label, seed = slot
    cell = results.cells[slot]["id"]
    fresh = Trouble(dataset, label, status, reason, [], cell)
    troubles.setdefault((dataset, label, status, reason), fresh).seeds.append(seed)


def _variants(results: Results) -> list[Variant]:
    found: dict[tuple[str, str], Variant] = {}
    for (dataset, label, _), cell in results.cells.items():
        parameters = _mapping(cell.get("parameters"))
        text = ", ".join(f"{name} = {_plain(value)}" for name, value in parameters.items())
        fresh = Variant(label, cell["method"], label in results.references, [], text)
        variant = found.setdefault((label, canonical_json(parameters)), fresh)
        if dataset not in variant.datasets:
            variant.datasets.append(dataset)
    places = {label: place for place, label in enumerate(results.labels())}
    return sorted(found.values(), key=lambda each: places[each.label])


def _recipes(recipes: Mapping[str, Mapping[str, Any]]) -> dict[str, dict[str, str]]:
    """By name of the value, its text in each dataset's recipe; empty where a recipe lacks it."""
    flat = {dataset: dict(_flat(recipe)) for dataset, recipe in sorted(recipes.items())}
    names = dict.fromkeys(name for recipe in flat.values() for name in recipe)
    return {name: {each: recipe.get(name, "") for each, recipe in flat.items()} for name in names}


def _flat(values: Mapping[str, Any], prefix: str = "") -> Iterable[tuple[str, str]]:
    for name, value in values.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", _plain(value)


def _plain(value: Any) -> str:
    """A setting as the command line would have it."""
    if value is None or value == "":
        return "none"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, list):
        return " × ".join(map(_plain, value))
    return str(value)


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}
