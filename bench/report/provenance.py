"""What a report says beside values: cells without values, variants, recipes, versions."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from distillation_bench.bench.analysis.old_results import Results
from distillation_bench.bench.common.hashing import canonical_json

STATUS_ORDER = {"failed": 0, "missing": 1, "skipped": 2}


@dataclass(frozen=True)
class CellsWithoutValues:
    """Cells of one variant that have no values for the same reason.

    Attributes:
        dataset, label: what they are of.
        status: `failed`, `skipped` or `missing`.
        reason: the reason in their records.
        seeds: seeds of the cells.
        first_id: id of the first cell.
    """

    dataset: str
    label: str
    status: str
    reason: str
    seeds: list[int]
    first_id: str


@dataclass(frozen=True)
class VariantSettings:
    """A label with its method and parameters, on the datasets on which these are the same."""

    label: str
    method: str
    reference: bool
    datasets: list[str]
    parameters: str


@dataclass(frozen=True)
class Provenance:
    """What the records say beside values.

    Attributes:
        statuses: number of cells by status.
        without_values: cells without values, failures first.
        environment: by name, the values with the number of records that have each.
        commits: number of records by commit.
        newest: when the last record was finished, ISO 8601; empty if unknown.
        variants: settings of every variant.
        recipes: by name of a setting, its text in each dataset's recipe.
    """

    statuses: Counter[str] = field(default_factory=Counter)
    without_values: list[CellsWithoutValues] = field(default_factory=list)
    environment: dict[str, Counter[str]] = field(default_factory=dict)
    commits: Counter[str] = field(default_factory=Counter)
    newest: str = ""
    variants: list[VariantSettings] = field(default_factory=list)
    recipes: dict[str, dict[str, str]] = field(default_factory=dict)


def provenance(results: Results) -> Provenance:
    """Return what all records say beside values."""
    facts = list(results.facts.values())
    environment: dict[str, Counter[str]] = {}
    for cell in facts:
        for name, value in cell.environment.items():
            environment.setdefault(name, Counter())[str(value)] += 1
    return Provenance(
        statuses=Counter(results.statuses[key] for key in results.cells),
        without_values=_without_values(results),
        environment=environment,
        commits=Counter(cell.commit for cell in facts if cell.commit),
        newest=max((cell.finished for cell in facts), default=""),
        variants=_variants(results),
        recipes=_recipes(results.manifest["recipes"]),
    )


def _without_values(results: Results) -> list[CellsWithoutValues]:
    """Return the cells that are not done, together if they differ in their seed only."""
    groups: dict[tuple[str, ...], CellsWithoutValues] = {}
    for key, cell in results.cells.items():
        dataset, label, seed = key
        status = results.statuses[key]
        if status == "done":
            continue
        reason = results.facts[key].reason if key in results.facts else ""
        new = CellsWithoutValues(dataset, label, status, reason, [], cell["id"])
        groups.setdefault((dataset, label, status, reason), new).seeds.append(seed)
    return sorted(groups.values(), key=lambda group: STATUS_ORDER.get(group.status, 3))


def _variants(results: Results) -> list[VariantSettings]:
    variants: dict[tuple[str, str], VariantSettings] = {}
    for (dataset, label, _), cell in results.cells.items():
        parameters = _mapping(cell.get("parameters"))
        text = ", ".join(f"{name} = {_plain(value)}" for name, value in parameters.items())
        new = VariantSettings(label, cell["method"], label in results.references, [], text)
        variant = variants.setdefault((label, canonical_json(parameters)), new)
        if dataset not in variant.datasets:
            variant.datasets.append(dataset)
    positions = {label: position for position, label in enumerate(results.labels())}
    return sorted(variants.values(), key=lambda variant: positions[variant.label])


def _recipes(recipes: Mapping[str, Mapping[str, Any]]) -> dict[str, dict[str, str]]:
    """Return the settings of all recipes by name and dataset; empty text where one lacks it."""
    flat = {dataset: dict(_flat(recipe)) for dataset, recipe in sorted(recipes.items())}
    names = dict.fromkeys(name for recipe in flat.values() for name in recipe)
    return {
        name: {dataset: recipe.get(name, "") for dataset, recipe in flat.items()} for name in names
    }


def _flat(values: Mapping[str, Any], prefix: str = "") -> Iterable[tuple[str, str]]:
    for name, value in values.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", _plain(value)


def _plain(value: Any) -> str:
    """Return a setting as it is written on the command line."""
    if value is None or value == "":
        return "none"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, list):
        return " × ".join(map(_plain, value))
    return str(value)


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}
