"""Results from arrays of values, as if they had been read from a folder."""

from __future__ import annotations

from typing import Any

import numpy as np

from distillation_bench.bench.analysis.old_results import Results
from distillation_bench.bench.metrics.outcome import Array


def results_of(tables: Array) -> Results:
    """A run with figures [datasets, seeds, students], without a folder."""
    cells: dict[str, Any] = {}
    rows = []
    for (dataset, seed, student), figure in np.ndenumerate(tables):
        names = {"dataset": f"d{dataset}", "label": f"m{student}", "method": f"m{student}"}
        measured = f"teacher {dataset} {seed}"
        cells[f"{dataset} {seed} {student}"] = {**names, "seed": seed, "measured": measured}
        rows.append({**names, "seed": str(seed), "status": "done", "nll": repr(float(figure))})
    manifest = {
        "cells": cells,
        "metrics": {"nll": {"better": "lower", "headline": True, "task": "any", "summary": ""}},
        "methods": [{"name": f"m{i}", "reference": False} for i in range(tables.shape[2])],
    }
    return Results((), manifest, tuple(rows), {})
