"""The families that are drawn from arrays beside the cells."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from matplotlib.patches import StepPatch
from tests.bench.figures.figure_runs import Make, curves, draw_one, figures, line_curves, texts

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


def test_epistemic_histograms_have_a_logarithmic_axis_where_values_are_stored(
    make_run: Make, tmp_path: Path
) -> None:
    base = curves()
    values = np.geomspace(1e-4, 1e-2, 200, dtype=np.float32)
    base["fidelity/test"] = np.stack([values, values[::-1] * 10])
    none = base | {"fidelity/test": np.stack([values * 0, values * 10])}
    results = run_of(make_run, tmp_path / "run", {"hydra": [base], "kd": [none]})
    total, _, epistemic = draw_one(results, "histograms", sets=("test",)).figure.axes
    assert (total.get_xscale(), epistemic.get_xscale()) == ("linear", "log")
    teacher, student, *_, silent = [
        patch for patch in epistemic.patches if isinstance(patch, StepPatch)
    ]
    heights, edges, base_line = student.get_data()
    shares = ((heights - base_line) / 0.92) ** 2
    assert edges[-1] == pytest.approx(0.1) and shares[edges[:-1] > 0.011].max() == 0
    assert shares[edges[:-1] < 0.009].min() > 0
    assert teacher.get_data()[0][edges[:-1] > 0.011].min() > base_line
    assert not silent.get_data()[0].any()
    assert "none" in [text.get_text() for text in epistemic.texts]
    old = {k: v for k, v in base.items() if not k.startswith("fidelity")}
    results = run_of(make_run, tmp_path / "old", {"hydra": [old]})
    panels = draw_one(results, "histograms", sets=("test",)).figure.axes
    assert {axes.get_xscale() for axes in panels} == {"linear"}


def reliability(counts: list[float], accuracy: float) -> dict[str, Any]:
    """Return arrays with these numbers of examples in the last bins."""
    bins = np.full((3, 15), np.nan, np.float32)
    bins[0] = 0
    bins[0, -len(counts) :] = counts
    bins[1, -len(counts) :] = 1 - (np.arange(len(counts))[::-1] + 0.5) / 15
    bins[2, -len(counts) :] = accuracy
    return curves() | {"reliability/test": bins}


def test_reliability_fades_bins_of_few_examples_and_shows_counts_and_the_range_of_seeds(
    make_run: Make, tmp_path: Path
) -> None:
    seeds = [reliability([4, 0, 30, 1000], 0.5), reliability([0, 15, 10, 980], 0.9)]
    results = run_of(make_run, tmp_path / "run", {"kd": seeds})
    drawing = draw_one(results, "reliability")
    (axes,) = drawing.figure.axes
    pale, full = (np.asarray(line.get_ydata()) for line in axes.lines[2:4])
    assert pale.tolist() == pytest.approx([0.5, 0.9, 0.6, 0.698], abs=1e-3)
    assert np.isnan(full).tolist() == [True, True, False, False]
    (bars,) = [patch for patch in axes.patches if isinstance(patch, StepPatch)]
    heights, _, base = bars.get_data()
    expected = np.log1p([4, 15, 40, 1980]) / np.log1p(1980)
    assert ((heights - base) / -base)[-4:].tolist() == pytest.approx(expected.tolist())
    (vertices,) = [np.asarray(path.vertices) for path in axes.collections[0].get_paths()]
    assert {round(float(y), 3) for y in vertices[:, 1]} == {0.5, 0.9}
    assert vertices[:, 0].min() == pytest.approx(0.9)
    assert axes.get_title().split() == ["kd", "ECE", "10.00", "%"]
    assert "at most 1,980; pale: bins with fewer than 20; band: range of" in drawing.note


def test_a_score_that_is_nan_leaves_out_its_curve_alone(make_run: Make, tmp_path: Path) -> None:
    slots = [("plane", label, seed) for label in ("ensemble", "kd") for seed in (0, 1)]
    arrays = {slot: curves() for slot in slots}
    for name in ("roc/total/ood:far", "selective/test"):
        arrays["plane", "kd", 1][name] *= np.float32(np.nan)
    make_run(tmp_path / "run", dict.fromkeys(slots, figures()), curves=arrays)
    results = load(tmp_path / "run")
    for kind in ("roc", "selective"):
        assert ". kd n = 1." in f"{draw_one(results, kind).note}."
    for kind in ("maps", "histograms", "reliability"):
        assert "damaged" not in draw_one(results, kind).note


def test_roc_shows_the_range_of_seeds_and_sorts_labels_by_auroc(
    make_run: Make, tmp_path: Path
) -> None:
    auroc = {"kd": [0.7, 0.8], "hydra": [0.9, 0.95], "ensemble": [0.8, 0.9]}
    cells = {
        ("d", label, seed): {"accuracy": 0.5, "ood_auroc:total@ood:far": value}
        for label, values in auroc.items()
        for seed, value in enumerate(values)
    }
    line = np.linspace(0, 1, 201, dtype=np.float32)
    arrays = {slot: curves() | {"roc/total/ood:far": line ** (slot[2] + 1)} for slot in cells}
    make_run(tmp_path / "run", cells, curves=arrays)
    drawing = draw_one(load(tmp_path / "run"), "roc")
    legend = [text.get_text() for text in drawing.figure.legends[0].get_texts()]
    assert legend == ["hydra  92.50", "ensemble  85.00", "kd  75.00"]
    (axes,) = drawing.figure.axes
    assert (axes.get_xlabel()[:3], axes.get_ylabel()[:3]) == ("FPR", "TPR")
    assert len(axes.collections) == 3
    assert np.allclose(np.asarray(axes.lines[1].get_ydata()), (line + line**2) / 2)
    for slot in cells:
        cells[slot]["ood_auroc:total@ood:far"] -= 0.5
    make_run(tmp_path / "below", cells, curves=arrays)
    drawing = draw_one(load(tmp_path / "below"), "roc")
    legend = [text.get_text().split()[0] for text in drawing.figure.legends[0].get_texts()]
    assert legend == load(tmp_path / "below").labels()
    assert (
        "none is best: OOD AUROC (total, ood:far), where the teacher itself detects worse"
        in drawing.note
    )
    assert "Best student" not in drawing.alt
