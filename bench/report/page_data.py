"""The values of single cells, and of metrics that are not shown at first, for the page's script."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from typing import Any

import pandas as pd
from markupsafe import Markup

from distillation_bench.bench.analysis.results import Results
from distillation_bench.bench.common.text import counted
from distillation_bench.bench.report.columns import MAX_CELLS, Column
from distillation_bench.bench.report.provenance import settings

MAX_VALUES = 100_000
"""Number of values of single cells in a page."""
SIGNIFICANT = 6
"""Digits of a value of a single cell."""


def page_data(results: Results, columns: Sequence[Column]) -> Markup:
    """Return what the page's script needs, as JSON that can stand in a script element.

    Tables are columns of equal length. A cell's dataset, label and status are positions in lists; a
    value that is not finite is a text, and None if there is none.
    """
    number = results.cells.groupby(["dataset", "label"], observed=True).cumcount()
    cells = results.cells[number < _seeds_shown(results, columns)]
    reasons = cells["reason"].fillna("").reset_index(drop=True)
    data = {
        "datasets": results.datasets,
        "labels": results.labels(),
        "methods": [results.methods[label] for label in results.labels()],
        "references": [label in results.references for label in results.labels()],
        "statuses": list(cells["status"].cat.categories),
        "cells": {
            **{k: cells[k].cat.codes.tolist() for k in ("dataset", "label", "status")},
            "seed": cells["seed"].tolist(),
            "finished": cells["finished"].fillna("").str[:19].tolist(),
        },
        "reasons": reasons[reasons != ""].to_dict(),
        "settings": settings(results)[["dataset", "label", "parameters"]].to_numpy().tolist(),
        "columns": [_column(column, cells) for column in columns],
    }
    text = json.dumps(data, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    return Markup(text.replace("<", "\\u003c"))


def _seeds_shown(results: Results, columns: Sequence[Column]) -> int:
    """Return of how many seeds of each label a page has room for the values."""
    labels = len(results.planned[["dataset", "label"]].drop_duplicates())
    return max(1, MAX_VALUES // (labels * max(1, len(columns))))


def left_out(results: Results, columns: Sequence[Column]) -> list[str]:
    """Return what the page leaves out of a large run, a sentence each."""
    lines, shown = [], _seeds_shown(results, columns)
    seeds = results.planned.groupby(["dataset", "label"], observed=True).size().max()
    if seeds > shown:
        lines.append(
            f"Only the first {counted(shown, 'seed')} of {seeds} of each method are shown one by "
            "one; means are over all of them."
        )
    if len(results.planned) > MAX_CELLS:
        lines.append(
            f"Of a run of more than {MAX_CELLS:,} cells, only the metrics of the leaderboard are "
            "here; `table` and `plot` show the others."
        )
    return lines


def _column(column: Column, cells: pd.DataFrame) -> dict[str, Any]:
    values = column.values.reindex(cells.index)
    has_value = cells.index.isin(column.values.index)
    entry = {
        "key": column.key,
        "title": column.format.title,
        "better": column.format.better,
        "group": column.group,
        "meaning": column.meaning,
        "digits": column.format.digits,
        "reasons": column.reasons,
        "values": [_number(v) if has else None for v, has in zip(values, has_value, strict=True)],
    }
    if column.group not in ("quality", "cost"):
        rows = column.entries[column.entries["n"] > 0]
        entry["summary"] = [
            [
                e.dataset,
                e.label,
                _number(e.mean),
                e.n,
                e.text,
                "chance" if e.chance == "worse" else e.mark,
            ]
            for e in rows.itertuples()
        ]
    return entry


def _number(value: float) -> float | str:
    """Return a number that JSON can hold."""
    return float(f"{value:.{SIGNIFICANT}g}") if math.isfinite(value) else str(value)
