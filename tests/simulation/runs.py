"""Results from arrays of values, as if they had been read from a folder."""

from __future__ import annotations

from typing import Any

import numpy as np

from distillation_bench.bench.analysis.results import Results, assemble
from distillation_bench.bench.metrics.outcome import Array
from distillation_bench.bench.storage.tables import cell_key


def frames_of(tables: Array) -> Results:
    """A run with figures [datasets, seeds, students], without a folder."""
    manifest, rows = _tables(tables)
    return assemble((), manifest, {}, {cell_key(row): row for row in rows})


def _tables(tables: Array) -> tuple[dict[str, Any], list[dict[str, str]]]:
    cells: dict[str, Any] = {}
    rows = []
    for (dataset, seed, student), figure in np.ndenumerate(tables):
        names = {"dataset": f"d{dataset}", "label": f"m{student}", "method": f"m{student}"}
        measured = f"teacher {dataset} {seed}"
        cells[f"{dataset} {seed} {student}"] = {
            **names,
            "seed": seed,
            "measured": measured,
            "parameters": {},
        }
        rows.append({**names, "seed": str(seed), "status": "done", "nll": repr(float(figure))})
    manifest = {
        "cells": cells,
        "ood": {},
        "metrics": {"nll": {"better": "lower", "headline": True, "task": "any", "summary": ""}},
        "methods": [{"name": f"m{i}", "reference": False} for i in range(tables.shape[2])],
    }
    return manifest, rows
