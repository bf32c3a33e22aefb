"""Epistemic uncertainty of students against the teacher's."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from tests.bench.figures.figure_runs import Make, a_run, curves, draw_one, figures, texts

from distillation_bench.bench.analysis.results import load
from distillation_bench.bench.common.errors import UsageError


def test_rho_is_printed_for_each_set(make_run: Make, tmp_path: Path) -> None:
    drawing = draw_one(a_run(make_run, tmp_path / "run", ["ensemble", "hydra", "kd"]), "fidelity")
    assert len(drawing.figure.axes) == 2
    assert drawing.figure.axes[0].get_title() == "hydra\nρ 0.30 test\nρ 0.40 far"


@pytest.mark.parametrize("kinds", [("flat", "hydra"), ("flat",)])
def test_without_epistemic_uncertainty_there_is_no_panel(
    make_run: Make, tmp_path: Path, kinds: tuple[str, ...]
) -> None:
    flat = curves()
    for name in ("fidelity/test", "fidelity/ood:far"):
        flat[name] = np.stack([np.zeros(20, np.float32), flat[name][1]])
    slots = {("d", label, 0): figures() for label in kinds}
    arrays = {slot: flat if slot[1] == "flat" else curves() for slot in slots}
    make_run(tmp_path / "run", slots, curves=arrays)
    results = load(tmp_path / "run")
    if kinds == ("flat",):
        with pytest.raises(UsageError, match="no student has epistemic uncertainty"):
            draw_one(results, "fidelity")
        return
    drawing = draw_one(results, "fidelity")
    assert len(drawing.figure.axes) == 1
    assert "without epistemic uncertainty: flat" in " ".join(texts(drawing)).replace("\n", " ")


def test_an_undefined_correlation_is_a_dash(make_run: Make, tmp_path: Path) -> None:
    row = figures() | {"teacher_spearman@test": float("nan")}
    make_run(tmp_path / "run", {("d", "kd", 0): row}, curves={("d", "kd", 0): curves()})
    drawing = draw_one(load(tmp_path / "run"), "fidelity")
    assert drawing.figure.axes[0].get_title() == "kd\nρ – test\nρ 0.40 far"
