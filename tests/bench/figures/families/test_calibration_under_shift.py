"""Calibration error against the severity of shifts."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from tests.bench.figures.figure_runs import Make, draw_one

from distillation_bench.bench.analysis.results import Results, load
from distillation_bench.bench.common.errors import UsageError


def _run(make_run: Make, folder: Path, labels: tuple[str, ...]) -> Results:
    def row(seed: int) -> dict[str, float]:
        shifted = {f"ece@rotation/{k}": 0.1 * k + 0.02 * seed for k in (1, 2)}
        return {"nll": 0.5, "ece": 0.01 + 0.02 * seed, "ece@blur/1": 0.2, **shifted}

    make_run(folder, {("d", label, seed): row(seed) for label in labels for seed in range(2)})
    return load(folder)


def test_a_panel_is_a_shift_from_the_test_set_on(make_run: Make, tmp_path: Path) -> None:
    drawing = draw_one(_run(make_run, tmp_path / "run", ("ensemble", "kd")), "calibration")
    assert [axes.get_title() for axes in drawing.figure.axes] == ["blur", "rotation"]
    drawn = [line for line in drawing.figure.axes[1].lines if line.get_linestyle() != "None"]
    lines = [line for line in drawn if np.size(line.get_xdata()) == 3]
    teacher, student = lines
    assert np.asarray(student.get_ydata()).tolist() == pytest.approx([2, 11, 21])
    assert np.asarray(teacher.get_xdata()).tolist() == [0, 1, 2]
    assert (teacher.get_marker(), teacher.get_linewidth()) == ("", 1.8)
    assert "rotation 2: from 21.00 %" in drawing.alt


def test_the_teacher_is_there_in_any_selection(make_run: Make, tmp_path: Path) -> None:
    results = _run(make_run, tmp_path / "run", ("ensemble", "kd", "endd"))
    drawing = draw_one(results, "calibration", labels=("kd",))
    legend = [text.get_text() for text in drawing.figure.legends[0].get_texts()]
    assert legend == ["ensemble", "kd"]


def test_without_shifts_there_is_no_figure(make_run: Make, tmp_path: Path) -> None:
    make_run(tmp_path / "run", {("d", "kd", 0): {"ece": 0.1}})
    with pytest.raises(UsageError, match="no ece on shifted test sets"):
        draw_one(load(tmp_path / "run"), "calibration")
