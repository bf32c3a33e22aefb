"""A detector worse than chance has no best method in any table, comparison or figure."""

from __future__ import annotations

import csv
import io
import json
import math
import sys
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from distillation_bench.bench.analysis import comparison as comparisons
from distillation_bench.bench.analysis.comparison import Comparison
from distillation_bench.bench.analysis.comparison.comparison_data import (
    comparison_csv,
    comparison_json,
)
from distillation_bench.bench.analysis.comparison.comparison_latex import comparison_latex
from distillation_bench.bench.analysis.comparison.comparison_text import comparison_text
from distillation_bench.bench.analysis.old_chance_level import (
    auroc_metric,
    teacher_detection,
    teacher_detections,
)
from distillation_bench.bench.analysis.old_results import Results
from distillation_bench.bench.analysis.results import load
from distillation_bench.bench.analysis.tables.leaderboard import make_leaderboards, ranks_by_metric
from distillation_bench.bench.analysis.tables.leaderboard_text import (
    leaderboard_markdown,
    leaderboard_text,
)
from distillation_bench.bench.analysis.tables.table_builder import make_tables
from distillation_bench.bench.analysis.tables.table_csv import table_csv
from distillation_bench.bench.analysis.tables.table_latex import latex_macros, table_latex
from distillation_bench.bench.analysis.tables.table_model import PaperTable, TableOptions
from distillation_bench.bench.analysis.tables.table_notes import table_notes
from distillation_bench.bench.analysis.tables.table_text import table_markdown, table_text
from distillation_bench.bench.cli.terminal import page
from distillation_bench.bench.figures.drawing import draw_figures
from distillation_bench.bench.figures.figure_data import FigureOptions
from distillation_bench.bench.storage.tables import CellKey

Figures = dict[CellKey, dict[str, float]]
SEEDS = range(8)
"""So many that compare would tell two students apart."""


def figures_of(dataset: str, **labels: dict[str, float]) -> Figures:
    """Return values by label; each seed is a little larger."""
    return {
        (dataset, label, seed): {k: v + 0.002 * seed for k, v in values.items()}
        for label, values in labels.items()
        for seed in SEEDS
    }


BELOW = figures_of(
    "spiral",
    ensemble={"ood_auroc": 0.2, "nll": 0.1},
    kd={"ood_auroc": 0.1, "nll": 0.3},
    hydra={"ood_auroc": 0.6, "nll": 0.2},
)
"""The teacher itself is worse than chance."""
ABOVE = figures_of(
    "digits",
    ensemble={"ood_auroc": 0.9, "nll": 0.1},
    kd={"ood_auroc": 0.3, "nll": 0.3},
    hydra={"ood_auroc": 0.4, "nll": 0.2},
)
"""The teacher is better than chance, and no student is."""


@pytest.fixture
def two_datasets(results_of: Callable[..., Results]) -> Results:
    return results_of({**BELOW, **ABOVE})


def compare(results: Results, metric: str, **options: Any) -> Comparison:
    return comparisons.compare(load(*(run.folder for run in results.runs)), metric, **options)


def by_dataset(tables: list[PaperTable]) -> dict[str, dict[str, Any]]:
    return {table.name: {name: row[0] for name, row in table.rows} for table in tables}


# The rule


def test_the_mean_of_the_teacher_decides() -> None:
    assert teacher_detection([0.4, 0.55]).is_below_chance
    assert not teacher_detection([0.5]).is_below_chance and not teacher_detection([0.5]).reason
    assert teacher_detection([0.4, math.nan, 0.58]).is_below_chance
    unknown = teacher_detection([math.nan])
    assert unknown.is_unknown and not unknown.is_below_chance
    assert "not known" in unknown.reason and "not known" in teacher_detection([]).reason
    assert "0.475" in teacher_detection([0.4, 0.55]).reason
    verdicts = [teacher_detection(means).verdict for means in ([0.4], [0.6], [])]
    assert verdicts == ["worse", "better", "unknown"]


def test_metrics_of_detection_are_judged_by_their_auroc() -> None:
    assert [auroc_metric(f"ood_{name}") for name in ("auroc", "aupr", "fpr95")] == ["ood_auroc"] * 3
    assert auroc_metric("ours", score="total") == "ood_auroc"
    assert auroc_metric("misclassification_auroc") == "misclassification_auroc"
    assert not any(map(auroc_metric, ("nll", "aurc", "teacher_spearman", "ece")))


def test_the_auroc_of_the_same_score_and_set_decides(results_of: Callable[..., Results]) -> None:
    """AUPR and FPR95 of .3 decide nothing; means over sets are judged by the teacher's mean."""
    places = [f"{score}@{name}" for score in ("total", "epistemic") for name in ("ood", "ood:near")]
    below = {"total@ood:near", "epistemic@ood"}
    own = {f"ood_auroc:{key}": 0.3 if key in below else 0.7 for key in places}
    own |= {f"ood_{name}:{key}": 0.3 for key in places for name in ("aupr", "fpr95")}
    results = results_of(figures_of("d", ensemble=own, kd=dict.fromkeys(own, 0.9)))
    metrics = {text: results.metric(text) for text in own}
    figures = results.values_of([*metrics.values()])
    detections = teacher_detections(results, [*metrics.values()], figures)
    for text, metric in metrics.items():
        assert detections["d", metric].is_below_chance == (text.partition(":")[2] in below)


def test_misclassification_detection_is_judged_too(results_of: Callable[..., Results]) -> None:
    name = "misclassification_auroc@rotation/3"
    results = results_of(figures_of("d", ensemble={name: 0.4}, kd={name: 0.8}, hydra={name: 0.6}))
    (table,) = make_tables(results, TableOptions(metrics=(name,)))
    assert not any(entry.mark for entry in table.entries)


# Leaderboards


def boards_of(results: Results) -> dict[str, Any]:
    return {b.dataset: b for b in make_leaderboards(results.manifest, results.rows, {})}


def test_a_leaderboard_marks_and_ranks_no_method(two_datasets: Results) -> None:
    boards = boards_of(two_datasets)
    assert boards["spiral"].ranked("ood_auroc") == []
    assert boards["spiral"].ranked("nll") == boards["digits"].ranked("ood_auroc") == ["hydra", "kd"]
    assert ranks_by_metric([*boards.values()], "ood_auroc") == {"hydra": 1.0, "kd": 2.0}
    plain, marked = leaderboard_text([boards["spiral"]]), leaderboard_markdown([boards["spiral"]])
    assert "0.607 ± 0.005 ~" in plain and "0.207 ± 0.005 ~" in plain
    assert "0.607 ± 0.005 \\~" in marked and "**0.607" not in marked
    for text in (plain, marked):
        assert "~ the teacher itself detects worse than chance." in " ".join(text.split())
        assert "0.207), so none" in " ".join(text.split())
    assert "chance" not in leaderboard_text([boards["digits"]])
    # One dataset is left: no average over datasets.
    together = leaderboard_text([*boards.values()])
    assert "ood_auroc" not in together[together.index("average rank") :]


def test_values_below_chance_are_grey_on_a_terminal_with_colours(
    two_datasets: Results, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    text = leaderboard_text([boards_of(two_datasets)["spiral"]])
    grey = "\x1b[90m0.607 ± 0.005 ~\x1b[39m"
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.delenv("NO_COLOR", raising=False)
    page(text)
    assert "\x1b" not in capsys.readouterr().out
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    page(text)
    output = capsys.readouterr().out
    assert grey in output and output.count("\x1b[90m") == 3
    # Control characters in names are removed here, too.
    page("\x1b[2J 0.1 ~")
    assert "\x1b[2J" not in capsys.readouterr().out
    monkeypatch.setenv("NO_COLOR", "1")
    page(text)
    assert "\x1b" not in capsys.readouterr().out


def test_without_the_teacher_nothing_is_marked(results_of: Callable[..., Results]) -> None:
    results = results_of({k: v for k, v in BELOW.items() if k[1] != "ensemble"})
    board = boards_of(results)["spiral"]
    assert board.ranked("ood_auroc") == ["hydra", "kd"]
    assert "the teacher has no AUROC" in leaderboard_text([board])
    (table,) = make_tables(results, TableOptions(metrics=("ood_auroc",)))
    assert by_dataset([table])["spiral"]["hydra"].mark == "best"
    assert "the teacher has no AUROC" in " ".join(table_notes(table, ("a", "b")))
    comparison = compare(results, "ood_auroc")
    assert comparison.is_tested and list(comparison.chance_unknown) == ["spiral"]
    assert "not known" in comparison_text(comparison) and any(
        "not known" in sentence for sentence in comparison.sentences
    )


def test_a_failed_teacher_counts_as_missing(results_of: Callable[..., Results]) -> None:
    students = {k: v for k, v in BELOW.items() if k[1] != "ensemble"}
    results = results_of(students, failed={("spiral", "ensemble", 0): "ValueError: no"})
    assert boards_of(results)["spiral"].detections["ood_auroc"].is_unknown


def test_the_teacher_is_found_by_its_method(results_of: Callable[..., Results]) -> None:
    figures = {(d, {"ensemble": "mine"}.get(x, x), s): v for (d, x, s), v in BELOW.items()}
    results = results_of(figures, methods={"mine": "ensemble"})
    assert boards_of(results)["spiral"].below_chance == {"ood_auroc"}


# Tables


def test_tables_mark_rank_and_test_no_method(two_datasets: Results) -> None:
    cells = by_dataset(make_tables(two_datasets, TableOptions(metrics=("ood_auroc",))))
    assert [cell.mark for cell in cells["spiral"].values()] == [""] * 3
    assert [cell.indistinguishable for cell in cells["spiral"].values()] == [None] * 3
    assert all(cell.is_below_chance for cell in cells["spiral"].values())
    assert cells["digits"]["hydra"].mark == "best"
    assert not any(cell.is_below_chance for cell in cells["digits"].values())


def test_a_selection_without_the_teacher_is_still_judged_by_it(two_datasets: Results) -> None:
    chosen = TableOptions(
        metrics=("ood_auroc", "nll"), labels=("kd", "hydra"), datasets=("spiral",)
    )
    (table,) = make_tables(two_datasets, chosen)
    detected, nll = dict(table.rows)["hydra"]
    assert detected.is_below_chance and not detected.mark and nll.mark == "best"


def test_every_format_says_that_values_are_below_chance(two_datasets: Results) -> None:
    tables = make_tables(two_datasets, TableOptions(metrics=("ood_auroc", "nll")))
    plain = table_text(tables)
    assert "60.70 ± 0.49 ~" in plain and "~: OOD AUROC on spiral, where the teacher" in plain
    marked = table_markdown(tables)
    assert "60.70 ± 0.49 \\~" in marked and "**60.70" not in marked
    latex = table_latex(tables)
    assert latex.startswith("% needs \\usepackage{booktabs,graphicx,xcolor}")
    grey = r"\textcolor{gray}{60.70{\scriptsize$\,\pm$ 0.49}}"
    assert grey in latex and latex.count(r"\textcolor") == 3
    assert "Grey: OOD AUROC on spiral, where the teacher" in latex
    rows = [*csv.DictReader(io.StringIO(table_csv(tables, two_datasets)))]
    chance = {(row["dataset"], row["metric"]): row["chance"] for row in rows}
    assert chance == {
        ("spiral", "ood_auroc"): "worse",
        ("digits", "ood_auroc"): "better",
        ("spiral", "nll"): "",
        ("digits", "nll"): "",
    }
    assert latex_macros(tables).count("the teacher itself is worse than chance") == 6
    # Where nothing is grey, nothing more is needed.
    above_chance = make_tables(
        two_datasets, TableOptions(metrics=("ood_auroc",), datasets=("digits",))
    )
    assert "xcolor" not in table_latex(above_chance) and "chance" not in table_text(above_chance)


def test_rows_are_not_sorted_by_values_below_chance(two_datasets: Results) -> None:
    (table,) = make_tables(two_datasets, TableOptions(datasets=("spiral",), sort="ood_auroc"))
    assert [name for name, _ in table.rows] == ["ensemble", "kd", "hydra"]
    assert "worse than chance, so methods can't be sorted by it" in " ".join(table.remarks)
    (table,) = make_tables(
        two_datasets, TableOptions(metrics=("nll",), by="metric", sort="ood_auroc")
    )
    # By digits alone.
    assert [name for name, _ in table.rows] == ["ensemble", "hydra", "kd"]
    assert "average rank" not in " ".join(table.remarks)


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
    tables = load(*(run.folder for run in results.runs))
    selection = FigureOptions(**options)
    return {figure.name: figure for figure in draw_figures(tables, names, selection)}


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
    assert "none is better in both" not in cost.alt and "The best mean" not in ablation.alt
    for figure in (cost, ablation):
        assert "grey, and none is best: OOD AUROC" in figure.note
    _, ablation = figures_by(results, "cost", "ablation", metrics=("nll",)).values()
    assert "The best mean NLL is that of hydra" in ablation.alt and "grey, and" not in ablation.note


def test_a_roc_figure_names_no_best_method(results_of: Callable[..., Results]) -> None:
    curve = {"roc/total/ood:plane": np.linspace(0, 1, 201, dtype=np.float32)}
    figures = {
        k: {"nll": v["nll"], "ood_auroc:total@ood:plane": v["ood_auroc"]} for k, v in BELOW.items()
    }
    results = results_of(figures, curves=dict.fromkeys(figures, curve))
    for chosen in ((), ("kd", "hydra")):
        (roc,) = figures_by(results, "roc", labels=chosen).values()
        assert "largest mean AUROC" not in roc.alt and "worse than chance" in roc.alt
        assert "Grey titles, none is best: on plane" in roc.note
