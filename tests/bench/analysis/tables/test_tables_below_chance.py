"""A detector worse than chance has no best method in leaderboards and tables."""

from __future__ import annotations

import csv
import io
import math
import sys
from collections.abc import Callable
from typing import Any

import pandas as pd
import pytest
from tests.bench.analysis.tables.paper_table_values import board_of, notes, row
from tests.bench.analysis.two_datasets import BELOW, figures_of

from distillation_bench.bench.analysis.chance_level import TeacherDetection, teacher_detections
from distillation_bench.bench.analysis.results import Results
from distillation_bench.bench.analysis.tables.entries import is_below_chance
from distillation_bench.bench.analysis.tables.leaderboard import (
    average_ranks,
    leaderboards,
    leaderboards_text,
)
from distillation_bench.bench.analysis.tables.paper_tables import make_tables
from distillation_bench.bench.analysis.tables.table import (
    Table,
    tables_csv,
    tables_markdown,
    tables_text,
)
from distillation_bench.bench.analysis.tables.table_latex import latex_macros, tables_latex
from distillation_bench.bench.cli.terminal import page


def by_dataset(tables: list[Table]) -> dict[str, dict[str, Any]]:
    """Return the first entry of each row, by dataset and label."""
    return {
        table.name: {
            label: next(iter(row(table, i).values())) for i, label in enumerate(table.rows)
        }
        for table in tables
    }


def ranked(board: Table, name: str) -> list[str]:
    own = board.entries[[format.name == name for format in board.entries["format"]]]
    return list(own.dropna(subset="rank").sort_values("rank")["label"])


# The rule


def test_the_mean_of_the_teacher_decides(results_of: Callable[..., Results]) -> None:
    def detection(*aurocs: float) -> TeacherDetection:
        values = {("d", "ensemble", seed): {"ood_auroc": v} for seed, v in enumerate(aurocs)}
        results = results_of(values or {("d", "ensemble", 0): {"nll": 1.0}})
        return teacher_detections(results, results.metric("ood_auroc"))["d"]

    assert (
        detection(0.4, 0.55).is_below_chance
        and "(its mean AUROC is 47.50 %)" in detection(0.4, 0.55).reason
    )
    assert not detection(0.5).is_below_chance and not detection(0.5).reason
    assert detection(0.4, math.nan, 0.58).is_below_chance
    unknown = detection(math.nan)
    assert unknown.is_unknown and not unknown.is_below_chance
    assert "not known" in unknown.reason and "not known" in detection().reason
    verdicts = [TeacherDetection(mean).verdict for mean in (0.4, 0.6, math.nan)]
    assert verdicts == ["worse", "better", "unknown"]


def test_the_auroc_of_the_same_score_and_set_decides(results_of: Callable[..., Results]) -> None:
    """AUPR and FPR95 of .3 decide nothing; means over sets are judged by the teacher's mean."""
    places = [f"{score}@{name}" for score in ("total", "epistemic") for name in ("ood", "ood:near")]
    below = {"total@ood:near", "epistemic@ood"}
    own = {f"ood_auroc:{key}": 0.3 if key in below else 0.7 for key in places}
    own |= {f"ood_{name}:{key}": 0.3 for key in places for name in ("aupr", "fpr95")}
    results = results_of(figures_of("d", ensemble=own, kd=dict.fromkeys(own, 0.9)))
    for text in own:
        detection = teacher_detections(results, results.metric(text))["d"]
        assert detection.is_below_chance == (text.partition(":")[2] in below)


def test_metrics_that_detect_nothing_are_not_judged(results_of: Callable[..., Results]) -> None:
    names = ("nll", "aurc@test", "teacher_spearman@test", "ece")
    results = results_of(figures_of("d", ensemble=dict.fromkeys(names, 0.2)))
    assert not any(teacher_detections(results, results.metric(name)) for name in names)


def test_misclassification_detection_is_judged_too(results_of: Callable[..., Results]) -> None:
    name = "misclassification_auroc@rotation/3"
    results = results_of(figures_of("d", ensemble={name: 0.4}, kd={name: 0.8}, hydra={name: 0.6}))
    (table,) = make_tables(results, metrics=(name,))
    assert not table.entries["mark"].any()


# Tables


def test_a_leaderboard_marks_and_ranks_no_method(two_datasets: Results) -> None:
    digits, spiral = leaderboards(two_datasets)
    assert ranked(spiral, "OOD AUROC") == []
    assert ranked(spiral, "NLL") == ranked(digits, "OOD AUROC") == ["hydra", "kd"]
    plain = leaderboards_text(two_datasets, ["spiral"])
    marked = leaderboards_text(two_datasets, ["spiral"], markdown=True)
    assert "60.70 ± 0.49 ~" in plain and "20.70 ± 0.49 ~" in plain
    assert "60.70 ± 0.49 \\~" in marked and "**60.70" not in marked
    for text in (plain, marked):
        flat = " ".join(text.split()).replace("\\", "")
        assert "~: OOD AUROC on spiral, where the teacher itself detects worse than chance" in flat
        assert "20.70 %), so none is best" in flat
    assert "chance" not in leaderboards_text(two_datasets, ["digits"])
    # One dataset is left: no average over datasets.
    assert list(average_ranks(pd.concat([digits.entries, spiral.entries])).columns) == ["NLL"]
    assert (
        "OOD AUROC"
        not in leaderboards_text(two_datasets).partition("average rank")[2].partition("Mean ±")[0]
    )


def test_values_below_chance_are_grey_on_a_terminal_with_colours(
    two_datasets: Results, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    text = leaderboards_text(two_datasets, ["spiral"])
    grey = "\x1b[90m60.70 ± 0.49 ~\x1b[39m"
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


def test_a_notebook_shows_such_values_in_grey(two_datasets: Results) -> None:
    html = board_of(two_datasets, "spiral")._repr_html_()
    assert "color: gray" in html and "Grey: OOD AUROC on spiral, where the teacher" in html
    assert "color: gray" not in leaderboards(two_datasets, ["digits"])[0]._repr_html_()


def test_without_the_teacher_students_are_ranked_with_a_note(
    results_of: Callable[..., Results],
) -> None:
    results = results_of({k: v for k, v in BELOW.items() if k[1] != "ensemble"})
    assert ranked(leaderboards(results, ["spiral"])[0], "OOD AUROC") == ["hydra", "kd"]
    text = " ".join(leaderboards_text(results).split())
    assert "there is no AUROC of the teacher, which -m ensemble adds to a run" in text
    (table,) = make_tables(results, metrics=("ood_auroc",))
    assert by_dataset([table])["spiral"]["hydra"].mark == "best"
    assert "there is no AUROC of the teacher" in notes(table)


def test_a_failed_teacher_counts_as_missing(results_of: Callable[..., Results]) -> None:
    students = {k: v for k, v in BELOW.items() if k[1] != "ensemble"}
    results = results_of(students, failed={("spiral", "ensemble", 0): "ValueError: no"})
    assert set(leaderboards(results, ["spiral"])[0].entries["chance"]) == {"unknown", ""}


def test_the_teacher_is_found_by_its_method(results_of: Callable[..., Results]) -> None:
    figures = {(d, {"ensemble": "mine"}.get(x, x), s): v for (d, x, s), v in BELOW.items()}
    results = results_of(figures, methods={"mine": "ensemble"})
    assert ranked(leaderboards(results, ["spiral"])[0], "OOD AUROC") == []


# Tables


def test_tables_mark_rank_and_test_no_method(two_datasets: Results) -> None:
    cells = by_dataset(make_tables(two_datasets, metrics=("ood_auroc",)))
    assert [cell.mark for cell in cells["spiral"].values()] == [""] * 3
    assert [cell.level for cell in cells["spiral"].values()] == [""] * 3
    assert all(map(is_below_chance, cells["spiral"].values()))
    assert cells["digits"]["hydra"].mark == "best"
    assert not any(map(is_below_chance, cells["digits"].values()))


def test_a_selection_without_the_teacher_is_still_judged_by_it(two_datasets: Results) -> None:
    chosen: dict[str, Any] = {
        "metrics": ("ood_auroc", "nll"),
        "labels": ("kd", "hydra"),
        "datasets": ("spiral",),
    }
    (table,) = make_tables(two_datasets, **chosen)
    detected, nll = row(table, table.rows.index("hydra")).values()
    assert is_below_chance(detected) and not detected.mark and nll.mark == "best"


def test_every_format_says_that_values_are_below_chance(two_datasets: Results) -> None:
    tables = make_tables(two_datasets, metrics=("ood_auroc", "nll"))
    plain = tables_text(tables)
    assert "60.70 ± 0.49 ~" in plain and "~: OOD AUROC on spiral, where the teacher" in plain
    marked = tables_markdown(tables)
    assert "60.70 ± 0.49 \\~" in marked and "**60.70" not in marked
    latex = tables_latex(tables)
    assert latex.startswith("% needs \\usepackage{booktabs,graphicx,xcolor}")
    grey = r"\textcolor{gray}{60.70{\scriptsize$\,\pm$ 0.49}}"
    assert grey in latex and latex.count(r"\textcolor") == 3
    assert "Grey: OOD AUROC on spiral, where the teacher" in latex
    rows = [*csv.DictReader(io.StringIO(tables_csv(tables, two_datasets.methods)))]
    chance = {(row["dataset"], row["metric"]): row["chance"] for row in rows}
    assert chance == {
        ("spiral", "ood_auroc"): "worse",
        ("digits", "ood_auroc"): "better",
        ("spiral", "nll"): "",
        ("digits", "nll"): "",
    }
    assert latex_macros(tables).count("the teacher itself is worse than chance") == 6
    # Where nothing is grey, nothing more is needed.
    above_chance = make_tables(two_datasets, ("ood_auroc",), datasets=("digits",))
    assert "xcolor" not in tables_latex(above_chance) and "chance" not in tables_text(above_chance)


def test_rows_are_not_sorted_by_values_below_chance(two_datasets: Results) -> None:
    (table,) = make_tables(two_datasets, datasets=("spiral",), sort="ood_auroc")
    assert table.rows == ["ensemble", "kd", "hydra"]
    assert "worse than chance, so methods can't be sorted by it" in " ".join(table.remarks)
    (table,) = make_tables(two_datasets, ("nll",), by="metric", sort="ood_auroc")
    # By digits alone.
    assert table.rows == ["ensemble", "hydra", "kd"]
    assert "average rank" not in " ".join(table.remarks)
