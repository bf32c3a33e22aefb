"""Runs with values and arrays for every kind of figure, and helpers to draw them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.text import Text

from distillation_bench.bench.analysis.results import Results, load
from distillation_bench.bench.figures.drawing import draw_figures
from distillation_bench.bench.figures.figure_data import FigureOptions
from distillation_bench.bench.figures.panels import Drawing
from distillation_bench.bench.storage.run_folder import Run

Make = Callable[..., Run]


def curves(seed: int = 0, ood: Sequence[str] = ("ood:far",), side: int = 8) -> dict[str, Any]:
    """Return the arrays of a cell of a classification dataset in the plane."""
    draws = np.random.default_rng(seed)
    grid = np.linspace(-1, 1, side)
    x, y = np.meshgrid(grid, grid)
    arrays: dict[str, Any] = {
        "canvas/x": np.stack([x.ravel(), y.ravel()], 1),
        "canvas/y": np.full(side**2, -1.0),
        "train/x": draws.uniform(-1, 1, (12, 2)),
        "train/y": np.zeros(12),
        "reliability/test": np.stack([np.full(15, 4.0), *np.tile(np.linspace(0, 1, 15), (2, 1))]),
    }
    arrays["selective/test"] = np.linspace(0, 0.1, 100)
    for name in ("total", "aleatoric", "epistemic"):
        arrays[f"canvas/{name}"] = draws.random(side**2)
        for key in ("test", *ood):
            arrays[f"histogram/{name}/{key}"] = draws.dirichlet(np.ones(50), 2)
            arrays[f"upper/{name}/{key}"] = np.array([1.1])
    for key in ("test", *ood):
        arrays[f"fidelity/{key}"] = draws.exponential(1, (2, 20))
    for key in ood:
        arrays[f"roc/total/{key}"] = np.linspace(0, 1, 201) ** 0.5
    return {name: np.asarray(array, np.float32) for name, array in arrays.items()}


def line_curves(seed: int = 0, passes: int = 3) -> dict[str, Any]:
    """Return the arrays of a cell of a regression dataset with a curve of 40 points."""
    draws, x = np.random.default_rng(seed), np.linspace(-2, 2, 40)
    arrays: dict[str, Any] = {
        "canvas/x": x[:, None],
        "canvas/y": np.sin(x),
        "canvas/mean": np.sin(x) + 0.1,
        "canvas/passes": np.sin(x[::2]) + draws.normal(0, 0.1, (passes, 1)),
        "train/x": draws.uniform(-1, 1, (12, 1)),
        "train/y": draws.normal(0, 1, 12),
        **{f"canvas/{name}": np.full(40, 0.04) for name in ("total", "aleatoric", "epistemic")},
    }
    return {name: np.asarray(array, np.float32) for name, array in arrays.items()}


def figures(value: float = 0.5) -> dict[str, float]:
    """Return the values of a cell."""
    return {
        "nll": value,
        "accuracy": 1 - value / 2,
        "ece": 0.1,
        "ece@rotation/1": 0.2,
        "ood_auroc": 0.7,
        "ood_auroc:total@ood:far": 0.7,
        "teacher_spearman@test": 0.3,
        "teacher_spearman@ood:far": 0.4,
        "flops": 1e6 * (1 + value),
        "parameters": 1e5 * (1 + value),
        "nll@rotation/1": value + 0.1,
        "nll@rotation/2": value + 0.3,
    }


def a_run(
    make_run: Make, folder: Path, labels: Sequence[str], seeds: int = 2, **options: Any
) -> Results:
    """Write and read a run on one dataset in the plane."""
    slots = [("plane", label, seed) for label in labels for seed in range(seeds)]
    history = [{"stage": "train", "epoch": e, "loss": 1 / (1 + e), "b_term": e} for e in range(5)]
    make_run(
        folder,
        {slot: figures(0.2 + 0.1 * index) for index, slot in enumerate(slots)},
        curves={slot: curves(index) for index, slot in enumerate(slots)},
        histories=dict.fromkeys(slots, history),
        **options,
    )
    return load(folder)


def texts(drawing: Drawing) -> list[str]:
    """Return all texts of a figure."""
    artists = drawing.figure.findobj(Text)
    return [
        artist.get_text() for artist in artists if isinstance(artist, Text) and artist.get_text()
    ]


def draw_one(results: Results, name: str, **options: Any) -> Drawing:
    (drawing,) = draw_figures(results, [name], FigureOptions(**options))
    return drawing
