"""The families that are drawn from arrays beside the cells."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from tests.bench.figures.figure_runs import Make, draw_one, line_curves, texts

from distillation_bench.bench.analysis.results import Results, load


def run_of(make_run: Make, folder: Path, curves: dict[str, list[Any]], **options: Any) -> Results:
    """Write and read a run on dataset `d`: the arrays of each seed, by label."""
    slots = {("d", k, s): arrays for k, seeds in curves.items() for s, arrays in enumerate(seeds)}
    make_run(folder, {slot: {"rmse": 1.0} for slot in slots}, curves=slots, **options)
    return load(folder)


def test_bands_show_every_function_of_a_student(make_run: Make, tmp_path: Path) -> None:
    old = {k: v for k, v in line_curves().items() if k != "canvas/passes"}
    arrays = {"mc-dropout": [line_curves()], "kd": [line_curves(passes=1)], "old": [old]}
    results = run_of(make_run, tmp_path / "run", arrays)
    drawing = draw_one(results, "bands")
    at = arrays["mc-dropout"][0]["canvas/x"][::2, 0]
    functions = [
        [line for line in axes.lines if np.size(line.get_xdata()) == len(at)]
        for axes in drawing.figure.axes
    ]
    assert [len(lines) for lines in functions] == [3, 0, 0]
    assert np.allclose(functions[0][2].get_xdata(), at)
    assert np.allclose(functions[0][2].get_ydata(), arrays["mc-dropout"][0]["canvas/passes"][2])
    assert "thin lines are up to 3 heads, members, or passes" in drawing.note
    assert "one function" not in texts(draw_one(results, "bands", labels=("old",)))


def test_bands_are_two_standard_deviations_and_fill_the_frame(
    make_run: Make, tmp_path: Path
) -> None:
    wild = line_curves() | {"canvas/mean": np.linspace(0, 1e6, 40, dtype=np.float32)}
    results = run_of(make_run, tmp_path / "run", {"kd": [line_curves()], "wild": [wild]})
    drawing = draw_one(results, "bands", labels=("kd",))
    (axes,) = drawing.figure.axes
    aleatoric = np.asarray(axes.lines[1].get_ydata(), float)
    assert np.allclose(aleatoric, line_curves()["canvas/mean"] - 0.4)
    assert "largest for kd (0.2)" in drawing.alt
    points = line_curves()["train/y"]
    low, high = axes.get_ylim()
    assert min(points.min(), aleatoric.min()) == np.float32(low)
    assert high < points.max() + 1
    most = draw_one(results, "bands").figure.axes[0].get_ylim()[1]
    assert np.isclose(most, points.max() + 1.5 * np.ptp(points))
