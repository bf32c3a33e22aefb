"""Temperatures and variances at a bound are reported beside the values that depend on them."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable
from typing import Any

from distillation_bench.bench.analysis.comparison import compare
from distillation_bench.bench.analysis.comparison.comparison_text import comparison_text
from distillation_bench.bench.analysis.old_results import Results
from distillation_bench.bench.analysis.old_values_at_bounds import describe_clamped_variances
from distillation_bench.bench.analysis.results import load
from distillation_bench.bench.analysis.tables.leaderboard import make_leaderboards
from distillation_bench.bench.analysis.tables.leaderboard_text import (
    leaderboard_markdown,
    leaderboard_text,
)
from distillation_bench.bench.analysis.tables.table_builder import make_tables
from distillation_bench.bench.analysis.tables.table_csv import table_csv
from distillation_bench.bench.analysis.tables.table_latex import table_latex
from distillation_bench.bench.analysis.tables.table_model import TableOptions
from distillation_bench.bench.analysis.tables.table_text import table_markdown, table_text
from distillation_bench.bench.figures.drawing import draw_figures
from distillation_bench.bench.figures.figure_data import FigureOptions
from distillation_bench.bench.report.page import build_report
from distillation_bench.bench.storage.tables import CellKey

Figures = dict[CellKey, dict[str, float]]


def test_a_temperature_at_a_bound_is_marked_in_tables_that_use_it(
    results_of: Callable[..., Results],
) -> None:
    tempered = {"nll_tempered@test": 0.4, "nll_tempered@rotation/3": 0.9, "ece_tempered@test": 0.1}
    results = results_of(
        {
            ("d", label, seed): {"nll": 0.5, "temperature_at_bound": float(flag), **tempered}
            for label, flags in {"kd": (0, 1), "endd": (0, 0), "hydra": (1, 1)}.items()
            for seed, flag in enumerate(flags)
        }
    )
    names = ("nll", "nll_tempered", "nll_tempered@rotation/3", "ece_tempered")
    tables = make_tables(results, TableOptions(metrics=names))
    counts = {name: [entry.at_bound for entry in row] for name, row in tables[0].rows}
    assert counts == {"kd": [0, 1, 1, 1], "endd": [0, 0, 0, 0], "hydra": [0, 2, 2, 2]}
    plain = table_text(tables)
    assert "‡: the temperature of at least one seed is at a bound" in plain
    assert plain.count("‡") == 6 + 1
    assert plain.lower().count("fitted on validation") == 1
    latex = table_latex(tables)
    assert latex.count(r"\rlap{$^\ddagger$}") == 6 and latex.isascii()
    assert table_markdown(tables).count("‡") == 6 + 1
    rows = [*csv.DictReader(io.StringIO(table_csv(tables, results)))]
    at_bound = {row["label"]: row["at_bound"] for row in rows if row["metric"].startswith("nll_te")}
    assert at_bound == {"kd": "1", "endd": "", "hydra": "2"}
    assert "‡" not in table_text(make_tables(results, TableOptions(metrics=("nll",))))
    sentence = "n 3 of 6 cells the temperature is at a bound of its fit"
    loaded = load(*(run.folder for run in results.runs))
    compared = [compare(loaded, name) for name in ("nll_tempered", "nll")]
    assert [
        sentence in " ".join(comparison_text(comparison).split()) for comparison in compared
    ] == [True, False]
    for name in ("nll_tempered", "nll"):
        (figure,) = draw_figures(loaded, ["metrics"], FigureOptions(metrics=(name,)))
        assert (sentence in figure.note) == (name != "nll")


def row(label: str, own: str, teacher: str) -> dict[str, str]:
    columns = {"variance_capped": own, "teacher_variance_capped": teacher}
    return {"dataset": "d", "label": label, "seed": "0", **columns}


def test_clamped_variances_are_named_with_the_largest_share() -> None:
    rows = [row("ensemble", "0.25", "0.25"), row("kd", "0.0", "0.25"), row("hydra", "0.004", "0.1")]
    rows.append(row("hydra", "0.012", "0.0"))
    own = frozenset(["ensemble"])
    assert describe_clamped_variances(rows, own) == (
        "variances clamped to exp(±15) on some evaluation set: the teacher (up to 25 % of them), "
        "hydra (up to 1.2 % of them)"
    )
    assert describe_clamped_variances([row("kd", "0.0", "0.0"), row("old", "", "")], own) == ""
    assert describe_clamped_variances([{"dataset": "d", "label": "older", "seed": "0"}], own) == ""


def test_leaderboards_tables_and_reports_name_clamped_variances(
    results_of: Callable[..., Results],
) -> None:
    flags: dict[str, Any] = {"teacher_variance_capped": 0.02}
    results = results_of(
        {
            ("sine", "kd", 0): {"nll": 0.5, "variance_capped": 0.0, **flags},
            ("sine", "hydra", 0): {"nll": 0.4, "variance_capped": 0.5, **flags},
            ("digits", "kd", 0): {"nll": 0.5},
        }
    )
    sentence = "the teacher (up to 2 % of them), hydra (up to 50 % of them)"
    digits, sine = make_leaderboards(results.manifest, results.rows, {})
    assert sentence in " ".join(
        leaderboard_text([sine]).split()
    ) and sentence in leaderboard_markdown([sine])
    assert not digits.clamped_note and set(sine.metrics) == {"nll"}
    plain = table_text(make_tables(results, TableOptions()), width=200)
    assert plain.count("On sine, variances clamped") == 1 and sentence in plain
    tables_of_run = load(*(run.folder for run in results.runs))
    assert sentence in build_report(tables_of_run, with_figures=False)
    (table,) = make_tables(results, TableOptions(datasets=("sine",), metrics=("variance_capped",)))
    assert "50.00" in table_text([table])
