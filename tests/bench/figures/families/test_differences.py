"""Differences to a baseline."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from matplotlib.axes import Axes
from tests.bench.figures.figure_runs import Make, draw_one, texts

from distillation_bench.bench.analysis.comparison import compare
from distillation_bench.bench.analysis.results import Results, load
from distillation_bench.bench.common.errors import UsageError
from distillation_bench.bench.figures.drawing import draw_figures
from distillation_bench.bench.figures.figure_data import FigureOptions


def _run(make_run: Make, folder: Path, seeds: int, datasets: str = "d") -> Results:
    draws = np.random.default_rng(0)
    better = {"ensemble": 0.3, "kd": 0.0, "endd": 0.0, "hydra": 0.2}
    cells = {
        (d, label, seed): {"nll": 1 - gain + 0.01 * draws.random(), "ece": 0.1 + 0.01 * seed}
        for d in datasets
        for label, gain in better.items()
        for seed in range(seeds)
    }
    make_run(folder, cells)
    return load(folder)


def _fills(axes: Axes) -> list[str]:
    lines = (line for line in axes.lines if line.get_marker() in ("o", "|"))
    return ["bound" if k.get_marker() == "|" else str(k.get_markerfacecolor()) for k in lines]


def test_what_is_distinguishable_is_filled(make_run: Make, tmp_path: Path) -> None:
    results = _run(make_run, tmp_path / "run", 10)
    drawing = draw_one(results, "forest", metrics=("nll",))
    (axes,) = drawing.figure.axes
    bound, endd, hydra = _fills(axes)
    assert (bound, endd) == ("bound", "w")
    assert hydra != "w"
    assert [label.get_text() for label in axes.get_yticklabels()] == ["ensemble", "endd", "hydra"]
    assert axes.get_xlabel() == "NLL [nats] − kd's\n← better"
    assert "distinguishable hydra -0.199" in drawing.alt
    pairs = compare(results, "nll", "kd").printed.set_index("first")
    marks = [
        np.asarray(line.get_xdata())[0] for line in axes.lines if line.get_marker() in ("o", "|")
    ]
    assert marks == pytest.approx(pairs["mean"][["ensemble", "endd", "hydra"]].tolist())


def test_few_seeds_distinguish_nothing(make_run: Make, tmp_path: Path) -> None:
    drawing = draw_one(_run(make_run, tmp_path / "run", 3), "forest", metrics=("nll",))
    assert set(_fills(drawing.figure.axes[0])) == {"bound", "w"}
    assert "with fewer than 7 seeds no two are statistically distinguishable" in drawing.note
    assert "n = 3 seeds" in drawing.note


def test_a_panel_is_a_metric_of_one_dataset_or_a_dataset(make_run: Make, tmp_path: Path) -> None:
    results = _run(make_run, tmp_path / "run", 6, "de")
    drawing = draw_one(results, "forest", baseline="hydra")
    assert [axes.get_title() for axes in drawing.figure.axes] == ["d", "e"]
    assert "NLL [nats] − hydra's\n← better" in texts(drawing)
    drawing = draw_one(results, "forest", datasets=("e",))
    names = [axes.get_xlabel().partition(" −")[0] for axes in drawing.figure.axes]
    assert sorted(names) == ["ECE [%]", "NLL [nats]"]


def test_an_unknown_baseline_is_named(make_run: Make, tmp_path: Path) -> None:
    results = _run(make_run, tmp_path / "run", 2)
    with pytest.raises(UsageError, match="--baseline hydr"):
        list(draw_figures(results, ["forest"], FigureOptions(baseline="hydr")))


def test_missing_pairs_are_a_dash_with_a_reason(make_run: Make, tmp_path: Path) -> None:
    cells = {(d, k, s): {"nll": 1.0 + s} for d in "de" for k in ("kd", "endd") for s in range(2)}
    cells |= {("d", "hydra", s): {"nll": 2.0 + s} for s in range(2)}
    failed = {("e", "hydra", s): "boom" for s in range(2)}
    make_run(tmp_path / "run", cells, failed=failed)
    drawing = draw_one(load(tmp_path / "run"), "forest")
    assert texts(drawing).count("–") == 1
    assert "hydra" in drawing.note.partition("failed")[2]
