"""Runs whose values are known, to be compared."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from distillation_bench.bench.analysis.comparison import Comparison
from distillation_bench.bench.analysis.results import Results

Table = Mapping[str, list[float]]


MakeResults = Callable[..., Results]


THREE = {"kd": [1.0, 2.0, 3.0], "hydra+": [0.9, 1.8, 2.7]}


TEN = {
    "kd": [float(s) for s in range(10)],
    "hydra+": [s - 0.1 - 0.01 * s for s in range(10)],
    "gauss": [s + 0.1 * (-1) ** s for s in range(10)],
}


def value_of(dataset: int, label: str, seed: int) -> float:
    return 10.0 * dataset + seed + "abc".index(label) * (1 + 0.1 * dataset + 0.01 * seed)


def means_of(datasets: int) -> np.ndarray:
    return np.array(
        [
            [np.mean([value_of(d, label, s) for s in range(3)]) for label in "abc"]
            for d in range(datasets)
        ]
    )


def run_of_datasets(
    make_run: Callable[..., Any],
    folder: Path,
    datasets: int,
    failed: Mapping[tuple[str, str, int], str] | None = None,
) -> Path:
    figures = {
        (f"d{d}", label, seed): {"nll": value_of(d, label, seed)}
        for d in range(datasets)
        for label in "abc"
        for seed in range(3)
        if (f"d{d}", label, seed) not in (failed or {})
    }
    return Path(make_run(folder / "many", figures, failed=failed).folder)


def pairs_of(comparison: Comparison, dataset: str = "") -> list[Any]:
    """Return the pairs, of all datasets or one, with columns as attributes."""
    return [p for p in comparison.pairs.itertuples() if dataset in ("", p.dataset)]
