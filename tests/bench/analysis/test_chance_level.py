"""A detector worse than chance has no best method in any table, comparison or figure."""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.bench.analysis.two_datasets import ABOVE, BELOW, Figures

from distillation_bench.bench.analysis import comparison as comparisons
from distillation_bench.bench.analysis.chance_level import label_detections, teacher_detections
from distillation_bench.bench.analysis.comparison import Comparison
from distillation_bench.bench.analysis.comparison.comparison_tables import (
    comparison_latex,
    comparison_text,
)
from distillation_bench.bench.analysis.comparison.comparison_values import (
    comparison_csv,
    comparison_json,
)
from distillation_bench.bench.analysis.results import Results, load
from distillation_bench.bench.analysis.tables.leaderboard import leaderboards_text
from distillation_bench.bench.figures.drawing import draw_figures
from distillation_bench.bench.figures.figure_data import FigureOptions
from distillation_bench.bench.storage.run_folder import Run


def compare(results: Results, metric: str, **options: Any) -> Comparison:
    return comparisons.compare(results, metric, **options)


def test_without_the_teacher_nothing_is_known(results_of: Callable[..., Results]) -> None:
    results = results_of({k: v for k, v in BELOW.items() if k[1] != "ensemble"})
    comparison = compare(results, "ood_auroc")
    assert comparison.is_tested and list(comparison.chance_unknown) == ["spiral"]
    assert "not known" in comparison_text(comparison) and any(
        "not known" in sentence for sentence in comparison.sentences
    )


def test_the_auroc_recorded_with_students_stands_for_the_teacher(
    results_of: Callable[..., Results],
) -> None:
    def detections(*selectors: str) -> list[float]:
        return [teacher_detections(results, results.metric(x))["spiral"].auroc for x in selectors]

    recorded = {"teacher_ood_auroc:total@ood": 0.2, "teacher_ood_auroc:epistemic@ood:far": 0.7}
    values = {"nll": 1.0, "ood_auroc": 0.9, "ood_auroc:epistemic@ood:far": 0.9}
    figures = {("spiral", x, s): {**values, **recorded} for x in ("kd", "hydra") for s in (0, 1)}
    results = results_of(figures)
    found = detections("ood_auroc", "ood_fpr95:total@ood", "ood_auroc:epistemic@ood:far")
    assert found == pytest.approx([0.2, 0.2, 0.7])
    assert list(compare(results, "ood_auroc").below_chance) == ["spiral"]


def test_labels_follow_the_teacher_of_their_own_protocol(
    make_run: Callable[..., Run], tmp_path: Path
) -> None:
    figures = {k: v for k, v in BELOW.items() if k[2] < 2}
    better = {k: {**v, "ood_auroc": 0.25 + v["ood_auroc"]} for k, v in figures.items()}
    make_run(tmp_path / "a", figures)
    make_run(tmp_path / "b", better, recipe={"epochs": 99}, measured=dict.fromkeys(better, "other"))
    results = load(tmp_path / "a", tmp_path / "b", mixed=True)
    metric = results.metric("ood_auroc")
    found = {x: each.auroc for (_, x), each in label_detections(results, metric).items()}
    assert found["kd"] == found["ensemble"] == pytest.approx(0.201)
    assert found["kd (b)"] == found["ensemble (b)"] == pytest.approx(0.451)
    assert teacher_detections(results, metric)["spiral"].auroc == pytest.approx(0.201)
    text = " ".join(leaderboards_text(results).split())
    assert "20.10 %" in text and "45.10 %" in text and "32.60 %" not in text
    notes = dict(
        re.findall(r"OOD AUROC on spiral of ([^,]*), [^~]*? \(its mean AUROC is (.*?)\)", text)
    )
    assert notes == {"ensemble": "20.10 %", "ensemble (b)": "45.10 %"}


# Comparisons


def test_compare_tests_no_pair_and_names_no_better_method(two_datasets: Results) -> None:
    comparison = compare(two_datasets, "ood_auroc")
    assert list(comparison.datasets.index) == ["digits"]
    assert list(comparison.below_chance) == ["spiral"]
    text = " ".join(comparison_text(comparison).split())
    assert "OOD AUROC on spiral: not compared: the teacher itself detects worse than" in text
    assert "OOD AUROC [%] on spiral" not in text and "OOD AUROC [%] on digits" in text
    sentences = [sentence for sentence in comparison.sentences if "on spiral" in sentence]
    assert sentences and all("so none is better" in sentence for sentence in sentences)
    assert not any("spiral" in pooled.datasets for pooled in comparison.pooled.itertuples())
    document = json.loads(comparison_json(comparison))[0]
    assert (
        document["worse_than_chance"] == ["spiral"]
        and "worse" in document["not_compared"]["spiral"]
    )
    rows = [*csv.DictReader(io.StringIO(comparison_csv(comparison)))]
    of_spiral = [row for row in rows if row["dataset"] == "spiral"]
    assert len(of_spiral) == 1 and "worse than chance" in of_spiral[0]["not_compared"]
    assert not of_spiral[0]["mean"] and not of_spiral[0]["sign_flip_p"]
    assert "OOD AUROC on spiral: not compared: the teacher" in comparison_latex(comparison)


def test_compare_of_only_such_values_answers_with_a_sentence(two_datasets: Results) -> None:
    """The request is answered, not refused."""
    comparison = compare(two_datasets, "ood_auroc", baseline="kd", datasets=["spiral"])
    assert comparison.datasets.empty and not comparison.is_tested
    text = comparison_text(comparison)
    assert "not compared" in text and "p rank" not in text and "W/T/L" not in text
    assert comparison_csv(comparison).count("\n") == 2
    assert json.loads(comparison_json(comparison))[0]["pairs"] == []
    assert "not compared" in comparison_latex(comparison) and "tabular" not in comparison_latex(
        comparison
    )
    assert compare(two_datasets, "nll", datasets=["spiral"]).is_tested


def test_such_a_dataset_counts_in_no_rank_across_datasets(
    results_of: Callable[..., Results],
) -> None:
    several: Figures = {}
    for number in range(6):
        source = BELOW if number == 0 else ABOVE
        several |= {(f"d{number}", label, s): v for (_, label, s), v in source.items()}
    results = results_of(several)
    comparison = compare(results, "ood_auroc")
    assert (
        comparison.across
        and "d0" not in comparison.across.seeds
        and len(comparison.across.seeds) == 5
    )
    (ranks,) = figures_by(results, "ranks", metrics=("ood_auroc",)).values()
    left_out = "Left out, where the teacher itself detects worse than chance: d0."
    assert "over N = 5 datasets" in ranks.note and left_out in ranks.note


# Figures and the report


def figures_by(results: Results, *names: str, **options: Any) -> dict[str, Any]:
    selection = FigureOptions(**options)
    return {figure.name: figure for figure in draw_figures(results, names, selection)}


def test_metric_dots_mark_no_best_method(two_datasets: Results) -> None:
    figures = figures_by(two_datasets, "metrics", metrics=("ood_auroc", "nll"))
    spiral, digits = figures["metrics-spiral"], figures["metrics-digits"]
    assert "OOD AUROC: hydra" in digits.alt and "OOD AUROC: hydra" not in spiral.alt
    assert "NLL: hydra" in spiral.alt and "worse than chance" in spiral.alt
    assert "grey, and none is best: OOD AUROC" in spiral.note and "chance" not in digits.note
    axes = spiral.figure.axes
    assert axes[0].title.get_color() != axes[1].title.get_color()
    sizes = [{line.get_markersize() for line in axis.lines} for axis in axes[:2]]
    assert 6 not in sizes[0] and 6 in sizes[1]


def test_cost_has_no_front_and_ablation_no_best(results_of: Callable[..., Results]) -> None:
    figures = {k: {**v, "flops": 1e3 * len(k[1])} for k, v in BELOW.items()}
    variants = {"kd": {"lam": 0.0}, "hydra": {"lam": 1.0}}
    results = results_of(figures, parameters=variants, methods=dict.fromkeys(variants, "hydra+"))
    cost, ablation = figures_by(results, "cost", "ablation", metrics=("ood_auroc",)).values()
    assert "none is better in both" not in cost.alt and "Best student" not in ablation.alt
    for figure in (cost, ablation):
        assert "grey, and none is best: OOD AUROC" in figure.note
    _, ablation = figures_by(results, "cost", "ablation", metrics=("nll",)).values()
    assert "Best student means: NLL: hydra" in ablation.alt and "grey, and" not in ablation.note


def test_a_roc_figure_names_no_best_method(results_of: Callable[..., Results]) -> None:
    curve = {"roc/total/ood:plane": np.linspace(0, 1, 201, dtype=np.float32)}
    figures = {
        k: {"nll": v["nll"], "ood_auroc:total@ood:plane": v["ood_auroc"]} for k, v in BELOW.items()
    }
    results = results_of(figures, curves=dict.fromkeys(figures, curve))
    for chosen in ((), ("kd", "hydra")):
        (roc,) = figures_by(results, "roc", labels=chosen).values()
        assert "Best student" not in roc.alt and "worse than chance" in roc.alt
        assert "grey, and none is best: OOD AUROC (total, ood:plane), where" in roc.note
