"""Temperatures and variances at a bound are reported in tables that depend on them."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable

from tests.bench.analysis.tables.paper_table_values import board_of, row

from distillation_bench.bench.analysis.results import Results
from distillation_bench.bench.analysis.tables.paper_tables import make_tables
from distillation_bench.bench.analysis.tables.table import tables_csv, tables_markdown, tables_text
from distillation_bench.bench.analysis.tables.table_latex import tables_latex
from distillation_bench.bench.analysis.values_at_bounds import describe_clamped_variances

ResultsOf = Callable[..., Results]


def test_a_temperature_at_a_bound_is_marked_in_tables_that_use_it(results_of: ResultsOf) -> None:
    tempered = {"nll_tempered@test": 0.4, "nll_tempered@rotation/3": 0.9, "ece_tempered@test": 0.1}
    results = results_of(
        {
            ("d", label, seed): {"nll": 0.5, "temperature_at_bound": float(flag), **tempered}
            for label, flags in {"kd": (0, 1), "endd": (0, 0), "hydra": (1, 1)}.items()
            for seed, flag in enumerate(flags)
        }
    )
    names = ("nll", "nll_tempered", "nll_tempered@rotation/3", "ece_tempered")
    tables = make_tables(results, metrics=names)
    counts = {
        label: [entry.at_bound for entry in row(tables[0], i).values()]
        for i, label in enumerate(tables[0].rows)
    }
    assert counts == {"kd": [0, 1, 1, 1], "endd": [0, 0, 0, 0], "hydra": [0, 2, 2, 2]}
    plain = tables_text(tables)
    assert "‡: the temperature of at least one seed is at a bound" in plain
    assert plain.count("‡") == 6 + 1
    assert plain.lower().count("fitted on validation") == 1
    latex = tables_latex(tables)
    assert latex.count(r"\rlap{$^\ddagger$}") == 6 and latex.isascii()
    assert tables_markdown(tables).count("‡") == 6 + 1
    rows = [*csv.DictReader(io.StringIO(tables_csv(tables, results.methods)))]
    at_bound = {row["label"]: row["at_bound"] for row in rows if row["metric"].startswith("nll_te")}
    assert at_bound == {"kd": "1", "endd": "", "hydra": "2"}
    assert "‡" not in tables_text(make_tables(results, metrics=("nll",)))


def flagged(own: float, teacher: float) -> dict[str, float]:
    return {"nll": 0.5, "variance_capped": own, "teacher_variance_capped": teacher}


def test_clamped_variances_are_named_with_the_largest_share(results_of: ResultsOf) -> None:
    results = results_of(
        {
            ("d", "ensemble", 0): flagged(0.25, 0.25),
            ("d", "kd", 0): flagged(0.0, 0.25),
            ("d", "hydra", 0): flagged(0.004, 0.1),
            ("d", "hydra", 1): flagged(0.012, 0.0),
            ("e", "kd", 0): flagged(0.0, 0.0),
            ("f", "older", 0): {"nll": 0.5},
        }
    )
    assert describe_clamped_variances(results, "d") == (
        "variances clamped to exp(±15) on some evaluation set: the teacher (up to 25 % of them), "
        "hydra (up to 1.2 % of them)"
    )
    assert "hydra" not in describe_clamped_variances(results, "d", ["kd"])
    assert describe_clamped_variances(results, "e") == ""
    assert describe_clamped_variances(results, "f") == ""


def test_leaderboards_and_tables_name_clamped_variances(clamped: Results) -> None:
    sentence = "the teacher (up to 2 % of them), hydra (up to 50 % of them)"
    sine = board_of(clamped, "sine")
    assert sentence in " ".join(sine.notes) and sentence in sine.to_markdown()
    assert sine.columns == ["NLL [nats] ↓"] and not board_of(clamped, "digits").remarks
    plain = tables_text(make_tables(clamped), width=200)
    assert plain.count("On sine, variances clamped") == 1 and sentence in plain
    (table,) = make_tables(clamped, datasets=("sine",), metrics=("variance_capped",))
    assert "50.00" in tables_text([table])
