"""Quality against cost, and two metrics against each other."""

from __future__ import annotations

import itertools
import math
from pathlib import Path

import numpy as np
import pytest
from tests.bench.figures.figure_runs import Make, draw_one, texts

from distillation_bench.bench.analysis.results import load
from distillation_bench.bench.common.errors import UsageError
from distillation_bench.bench.figures.drawing import draw_figures
from distillation_bench.bench.figures.families.trade_offs import LATENCY
from distillation_bench.bench.figures.figure_data import FigureOptions


def test_the_front_is_what_no_student_beats(make_run: Make, tmp_path: Path) -> None:
    costs = {"cheap": (1e6, 0.5), "better": (2e6, 0.3), "worse": (3e6, 0.4), "best": (4e6, 0.1)}
    costs["ensemble"] = (0.5e6, 0.05)
    cells = {("d", k, 0): {"nll": nll, "flops": flops} for k, (flops, nll) in costs.items()}
    make_run(tmp_path / "run", cells)
    drawing = draw_one(load(tmp_path / "run"), "cost")
    assert "in both than cheap, better, best." in drawing.alt
    assert "hollow: bounds, not students" in drawing.note


def test_a_student_without_all_seeds_is_not_in_the_front(make_run: Make, tmp_path: Path) -> None:
    cells = {("d", "kd", seed): {"nll": 0.5, "flops": 1e6} for seed in range(2)}
    cells |= {("d", "lucky", 0): {"nll": 0.1, "flops": 1e5}}
    make_run(tmp_path / "run", cells, missing=[("d", "lucky", 1)])
    drawing = draw_one(load(tmp_path / "run"), "cost")
    assert "in both than kd." in drawing.alt
    assert "lucky n = 1" in drawing.note


@pytest.mark.parametrize("kind", ["cost", "pareto"])
def test_equal_markers_do_not_hide_each_other(make_run: Make, tmp_path: Path, kind: str) -> None:
    labels = [f"m{index}" for index in range(12)]
    make_run(tmp_path / "run", {("d", k, 0): {"nll": 0.5, "flops": 2e6} for k in labels})
    drawing = draw_one(load(tmp_path / "run"), kind)
    (axes,) = drawing.figure.axes
    drawing.figure.draw_without_rendering()
    markers = [line for line in axes.lines if line.get_marker() not in ("", "None")]
    points = axes.transData.transform(
        np.array([np.asarray(line.get_xydata())[0] for line in markers])
    )
    inches = points / drawing.figure.dpi
    assert len(inches) == 12
    assert min(math.dist(a, b) for a, b in itertools.combinations(inches, 2)) > 0.06
    assert "a line leads from a marker that is moved sideways to its place" in drawing.note


def test_latency_is_that_of_any_seed_with_its_quartiles(make_run: Make, tmp_path: Path) -> None:
    cells = {("d", k, seed): {"nll": 0.5 + seed} for k in ("kd", "single") for seed in range(2)}
    make_run(tmp_path / "run", cells)
    results = load(tmp_path / "run")
    medians = np.where(results.planned["seed"].eq(1), 2e-3, np.nan)
    columns = {LATENCY: medians, f"{LATENCY}_low": medians * 0.9, f"{LATENCY}_high": medians * 1.1}
    results.__dict__["cells"] = results.cells.assign(**columns)
    drawing = draw_one(results, "cost", seed=0, labels=("kd",))
    (axes,) = drawing.figure.axes
    assert axes.get_xlabel() == "latency of one example [ms]"
    spreads = [
        np.asarray(line.get_xdata()) for line in axes.lines if np.size(line.get_xdata()) == 2
    ]
    assert any(spread == pytest.approx([1.8, 2.2]) for spread in spreads)
    assert "latency: median and quartiles of many passes" in drawing.note


def test_pareto_takes_two_metrics(make_run: Make, tmp_path: Path) -> None:
    cells = {
        ("d", k, 0): {"nll": nll, "ece": ece, "flops": 1e6, "ood_auroc": 0.9}
        for k, nll, ece in (("a", 0.1, 0.4), ("b", 0.2, 0.2), ("c", 0.3, 0.3))
    }
    make_run(tmp_path / "run", cells)
    results = load(tmp_path / "run")
    drawing = draw_one(results, "pareto", metrics=("ece", "nll"))
    assert "in both than b, a." in drawing.alt
    assert "↙ better" in texts(drawing)
    assert drawing.name == "pareto-d-ece-nll"
    assert draw_one(results, "pareto").figure.axes[0].get_xlabel() == "OOD AUROC [%]"
    with pytest.raises(UsageError, match="two metrics: give --metric twice"):
        list(draw_figures(results, ["pareto"], FigureOptions(metrics=("nll",))))


def test_where_the_teacher_is_below_chance_none_is_best(make_run: Make, tmp_path: Path) -> None:
    values = {"nll": 0.5, "ood_auroc": 0.3, "ood_auroc@ood": 0.3, "flops": 1e6}
    make_run(tmp_path / "run", {("d", k, 0): values for k in ("ensemble", "kd")})
    results = load(tmp_path / "run")
    assert draw_one(results, "pareto").figure.axes[0].get_xlabel() == "FLOPs per example"
    drawing = draw_one(results, "pareto", metrics=("ood_auroc", "nll"))
    assert "the teacher itself detects worse than chance" in drawing.note
    assert "none is better" not in drawing.alt
