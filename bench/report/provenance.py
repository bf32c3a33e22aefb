"""What a page says beside values: cells without values, parameters, recipes, versions."""

from __future__ import annotations

import json
from typing import Any

import pandas as pd

from distillation_bench.bench.analysis.missing_cells import seed_ranges
from distillation_bench.bench.analysis.results import Results


def cells_without_values(results: Results) -> pd.DataFrame:
    """Return the cells that are not done, failures first, together if only their seeds differ.

    Each has `dataset`, `label`, `status`, `reason`, `seeds` as text, and `id` of the first cell.
    """
    rows = results.cells[results.cells["status"] != "done"]
    order = pd.Categorical(rows["status"].astype(str), ["failed", "missing", "skipped"])
    rows = rows.assign(status=order, reason=rows["reason"].fillna(""))
    groups = rows.groupby(["status", "dataset", "label", "reason"], observed=True)
    return groups.agg(seeds=("seed", seed_ranges), id=("id", "first")).reset_index()


def settings(results: Results) -> pd.DataFrame:
    """Return `label`, `method`, `dataset` and as text the `parameters` of each label on each."""
    rows = results.planned.drop_duplicates(["label", "dataset"])
    given = (results.manifest["cells"][cell_id].get("parameters") or {} for cell_id in rows["id"])
    # A method chooses what is None itself, such as a head for each member.
    texts = [
        ", ".join(f"{k} = {'–' if value is None else _plain(value)}" for k, value in g.items())
        for g in given
    ]
    return rows[["label", "method", "dataset"]].astype(str).assign(parameters=texts)


def variants(results: Results) -> pd.DataFrame:
    """Return `settings` with the datasets joined on which a label has the same ones."""
    groups = settings(results).groupby(["label", "method", "parameters"], sort=False)["dataset"]
    return groups.agg(", ".join).reset_index()


def recipes(results: Results) -> pd.DataFrame:
    """Return the text of each setting, a row each, by dataset; empty where a recipe lacks it."""
    recipes = {k: v for k, v in results.manifest["recipes"].items() if k in results.datasets}
    flat = {
        dataset: pd.json_normalize(recipe).iloc[0].map(_plain)
        for dataset, recipe in recipes.items()
    }
    return (
        pd.DataFrame(flat, dtype=object).fillna("").reindex(columns=results.datasets, fill_value="")
    )


def versions(results: Results) -> dict[str, dict[str, int]]:
    """Return commits and the values of the environment, with the number of cells that have each."""
    commits = results.cells["commit"].fillna("")
    counts = {"commit": commits[commits != ""].value_counts().to_dict()}
    for text, count in results.cells["environment"].dropna().value_counts().items():
        for name, value in json.loads(text).items():
            of_name = counts.setdefault(name, {})
            of_name[str(value)] = of_name.get(str(value), 0) + count
    return counts


def _plain(value: Any) -> str:
    """Return a setting as it is written on the command line."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, list):
        return " × ".join(map(_plain, value))
    return "none" if value is None or value == "" else str(value)
