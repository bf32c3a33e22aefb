"""What a page says beside values: cells without values, variants, recipes, versions."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

import pandas as pd

from distillation_bench.bench.analysis.missing_cells import seed_ranges
from distillation_bench.bench.analysis.results import Results


def cells_without_values(results: Results) -> list[dict[str, Any]]:
    """Return the cells that are not done, failures first, together if only their seeds differ.

    Each has `dataset`, `label`, `status`, `reason`, `seeds` as text, and `id` of the first cell.
    """
    rows = results.cells[results.cells["status"] != "done"].assign(
        reason=lambda t: t["reason"].fillna("")
    )
    order = pd.Categorical(rows["status"].astype(str), ["failed", "missing", "skipped"])
    groups = rows.assign(status=order).groupby(
        ["status", "dataset", "label", "reason"], observed=True
    )
    table = groups.agg(seeds=("seed", seed_ranges), id=("id", "first")).reset_index()
    return [dict(row) for row in table.to_dict("records")]


def settings(results: Results) -> pd.DataFrame:
    """Return the parameters of each label on each dataset, as text.

    Columns: `label`, `method`, `dataset`, `parameters`.
    """
    rows = results.planned.drop_duplicates(["label", "dataset"])
    given = (results.manifest["cells"][cell_id].get("parameters") or {} for cell_id in rows["id"])
    texts = [", ".join(f"{name} = {_plain(value)}" for name, value in g.items()) for g in given]
    return rows[["label", "method", "dataset"]].astype(str).assign(parameters=texts)


def variants(results: Results) -> pd.DataFrame:
    """Return `settings` with the datasets joined on which a label has the same ones."""
    table = settings(results)
    groups = table.groupby(["label", "method", "parameters"], sort=False)["dataset"]
    return groups.agg(", ".join).reset_index()


def recipes(results: Results) -> dict[str, dict[str, str]]:
    """Return the text of each setting by name and dataset; empty where a recipe lacks it."""
    flat = {dataset: dict(_flat(recipe)) for dataset, recipe in results.manifest["recipes"].items()}
    names = dict.fromkeys(name for recipe in flat.values() for name in recipe)
    return {
        name: {
            dataset: flat[dataset].get(name, "") for dataset in results.datasets if dataset in flat
        }
        for name in names
    }


def versions(results: Results) -> dict[str, dict[str, int]]:
    """Return commits and the values of the environment, with the number of cells that have each."""
    cells = results.cells
    counts = {
        "commit": cells.loc[cells["commit"].fillna("").ne(""), "commit"].value_counts().to_dict()
    }
    for text, count in cells["environment"].dropna().value_counts().items():
        for name, value in json.loads(text).items():
            of_name = counts.setdefault(name, {})
            of_name[str(value)] = of_name.get(str(value), 0) + count
    return counts


def _flat(values: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, str]]:
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
