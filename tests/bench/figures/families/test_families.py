"""The content of each family of figures."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.bench.figures.figure_runs import Make, a_run, curves, draw_one, texts

from distillation_bench.bench.analysis.results import load
from distillation_bench.bench.common.errors import UsageError
from distillation_bench.bench.figures.drawing import draw_figures


def test_histograms_show_the_total_variation(make_run: Make, tmp_path: Path) -> None:
    results = a_run(make_run, tmp_path / "run", ["ensemble", "kd"], seeds=1)
    pair = curves(1)["histogram/total/test"].astype(float)
    expected = f"{np.abs(pair[0] - pair[1]).sum() / 2:.2f}"
    drawing = draw_one(results, "histograms", sets=("test",))
    labels = [text.get_text() for text in drawing.figure.axes[0].texts]
    assert labels[1] == expected


def test_metrics_show_means_intervals_and_every_seed(make_run: Make, tmp_path: Path) -> None:
    values = {"kd": [1.0, 2.0, 3.0], "hydra": [2.0, 2.5, 3.0]}
    cells = {("d", k, s): {"nll": v} for k, vs in values.items() for s, v in enumerate(vs)}
    make_run(tmp_path / "run", cells, failed={("d", "endd", 0): "boom"})
    drawing = draw_one(load(tmp_path / "run"), "metrics", metrics=("nll",))
    seeds, interval, mean = drawing.figure.axes[0].lines[:3]
    assert np.asarray(seeds.get_xdata()).tolist() == [1, 2, 3]
    # Student's t with 2 degrees of freedom: 4.303 standard errors of 1 / √3.
    assert np.asarray(interval.get_xdata()).tolist() == pytest.approx(
        [2 - 2.4841, 2 + 2.4841], abs=1e-3
    )
    assert np.asarray(mean.get_xdata()).tolist() == [2]
    assert "best student means: nll: kd (2.000 nats)" in drawing.alt.lower()
    assert "n = 3 seeds. failed: endd" in " ".join(texts(drawing)).replace("\n", " ")


def test_a_single_seed_has_no_interval(make_run: Make, tmp_path: Path) -> None:
    make_run(tmp_path / "run", {("d", "kd", 0): {"nll": 1.0}})
    drawing = draw_one(load(tmp_path / "run"), "metrics")
    assert "a single seed has no interval; n = 1 seed" in " ".join(texts(drawing))


def test_lines_over_shifts_start_at_the_test_set(make_run: Make, tmp_path: Path) -> None:
    results = a_run(make_run, tmp_path / "run", ["kd"], seeds=2)
    drawing = draw_one(results, "shift")
    line = drawing.figure.axes[0].lines[-1]
    assert np.asarray(line.get_ydata()).tolist() == pytest.approx([0.25, 0.35, 0.55])


def test_ablation_lines_join_variants_that_differ_in_one_parameter(
    make_run: Make, tmp_path: Path
) -> None:
    parameters: dict[str, dict[str, Any]] = {
        "a": {"lam": 0.0, "b": 0.5},
        "b": {"lam": 3.0, "b": 0.5},
        "c": {"lam": 3.0, "b": 1.0},
    }
    make_run(
        tmp_path / "run",
        {("d", k, 0): {"nll": 1.0 + i} for i, k in enumerate(parameters)},
        parameters=parameters,
        methods=dict.fromkeys(parameters, "hydra+"),
    )
    axes = draw_one(load(tmp_path / "run"), "ablation").figure.axes
    values = {panel.get_xlabel(): np.asarray(panel.lines[0].get_ydata()).tolist() for panel in axes}
    assert values == {"λ": [1, 2], "b": [2, 3]}


def test_ranks_need_five_datasets(make_run: Make, tmp_path: Path) -> None:
    cells = {(f"d{d}", k, 0): {"nll": i + 0.1 * d} for d in range(5) for i, k in enumerate("abc")}
    make_run(tmp_path / "five", cells)
    drawing = draw_one(load(tmp_path / "five"), "ranks")
    assert "a 1.00, b 2.00, c 3.00" in drawing.alt
    make_run(tmp_path / "four", {slot: row for slot, row in cells.items() if slot[0] != "d4"})
    with pytest.raises(UsageError, match="it needs 5 datasets, here are 4"):
        list(draw_figures(load(tmp_path / "four"), ["ranks"]))


def test_only_a_method_with_all_seeds_is_named_best(make_run: Make, tmp_path: Path) -> None:
    values = {"kd": [1.0, 2.0, 3.0], "hydra": [2.0, 3.0, 4.0], "lucky": [0.1]}
    cells = {("d", k, s): {"nll": v} for k, vs in values.items() for s, v in enumerate(vs)}
    make_run(tmp_path / "run", cells, missing=[("d", "lucky", 1)])
    drawing = draw_one(load(tmp_path / "run"), "metrics", metrics=("nll",))
    assert "Best student means: NLL: kd (2.000 nats)" in drawing.alt
