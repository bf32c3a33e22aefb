"""Error against coverage."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.bench.figures.figure_runs import Make, curves, draw_one, texts

from distillation_bench.bench.analysis.results import Results, load
from distillation_bench.bench.common.errors import UsageError


def _run(make_run: Make, folder: Path, arrays: dict[str, dict[str, Any]]) -> Results:
    cells = {
        ("d", label, seed): {"nll": 0.5, "nll@blur/1": 1} for label in arrays for seed in range(2)
    }
    make_run(folder, cells, curves={slot: arrays[slot[1]] for slot in cells})
    return load(folder)


def _risks(error: float) -> dict[str, Any]:
    curve = error * np.linspace(0, 1, 100, dtype=np.float32)
    return {"selective/test": curve, "selective/test/blur/1": 2 * curve}


def test_lines_are_means_with_bands_and_orders(make_run: Make, tmp_path: Path) -> None:
    arrays = {k: _risks(error) for k, error in (("ensemble", 0.1), ("kd", 0.2), ("endd", 0.3))}
    drawing = draw_one(_run(make_run, tmp_path / "run", arrays), "selective")
    (axes,) = drawing.figure.axes
    random, ideal, ensemble, kd, _ = (np.asarray(line.get_ydata()) for line in axes.lines)
    assert random.tolist() == pytest.approx([10] * 100)
    assert ideal[[88, 89, 94, 99]].tolist() == pytest.approx([0, 0, 100 * 5 / 95, 10], abs=1e-4)
    assert (ensemble[-1], kd[-1]) == pytest.approx((10, 20))
    assert len(axes.collections) == 3
    assert "at 80 % coverage, kd has the lowest" in drawing.alt
    assert "random order" in texts(drawing)


def test_sets_are_panels(make_run: Make, tmp_path: Path) -> None:
    results = _run(make_run, tmp_path / "run", {"kd": _risks(0.1)})
    drawing = draw_one(results, "selective", sets=("test", "blur/1"))
    assert [axes.get_title() for axes in drawing.figure.axes] == ["test", "test/blur/1"]
    assert "random order" not in texts(drawing)


def test_an_older_run_has_none(make_run: Make, tmp_path: Path) -> None:
    older = {name: array for name, array in curves().items() if "selective" not in name}
    results = _run(make_run, tmp_path / "run", {"kd": older})
    with pytest.raises(UsageError, match="the run was made before these curves were stored"):
        draw_one(results, "selective")
