"""The families that are drawn from arrays beside the cells."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from tests.bench.figures.figure_runs import Make, curves, draw_one, line_curves, texts

from distillation_bench.bench.analysis.results import Results, load


def run_of(make_run: Make, folder: Path, arrays: dict[str, list[Any]], **options: Any) -> Results:
    """Write and read a run on dataset `d`: the arrays of each seed, by label."""
    slots = {("d", k, s): cell for k, seeds in arrays.items() for s, cell in enumerate(seeds)}
    make_run(
        folder,
        {slot: {"accuracy": 0.5, "ece@test": 0.1} for slot in slots},
        curves=slots,
        **options,
    )
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


def test_maps_have_one_scale_for_each_uncertainty_around_the_training_points(
    make_run: Make, tmp_path: Path
) -> None:
    wide, dim = curves(0, side=21), curves(1, side=21)
    for arrays in (wide, dim):
        arrays["train/x"] = arrays["train/x"] / 2
        far = np.abs(arrays["canvas/x"]).max(1) > 0.9
        arrays["canvas/total"][far] = 100.0
        arrays["canvas/epistemic"] *= np.float32(0.1)
    many = {f"kd {index}": [dim] for index in range(12)}
    drawing = draw_one(run_of(make_run, tmp_path / "run", {"ensemble": [wide]} | many), "maps")
    maps = [axes for axes in drawing.figure.axes if axes.images]
    assert len(maps) == 3 * 13
    bars = [axes for axes in drawing.figure.axes if not axes.images]
    assert [axes.get_ylabel() for axes in bars] == ["[nats]"] * 3
    highest = {float(axes.images[0].get_clim()[1] or 0) for axes in maps}
    assert len(highest) == 3 and max(highest) < 1.1 and min(highest) < 0.11
    (limits,) = {axes.get_xlim() for axes in maps}
    points = wide["train/x"][:, 0]
    assert limits[0] < points.min() and points.max() < limits[1] < 0.9
    assert len([axes for axes in maps if axes.lines]) == 13
