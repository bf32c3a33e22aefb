"""Paper tables: units, marks, daggers, missing values and selections."""

from __future__ import annotations

import math
from collections.abc import Callable
from statistics import fmean, stdev
from typing import Any

import numpy as np
import pytest
from scipy import stats
from tests.bench.analysis.tables.paper_table_values import entries, notes, of, row
from tests.simulation.daggers import daggers
from tests.simulation.runs import frames_of

from distillation_bench.bench.analysis.metric_info import metric_format
from distillation_bench.bench.analysis.results import Results
from distillation_bench.bench.analysis.tables.paper_tables import make_tables
from distillation_bench.bench.analysis.tables.table import Table, tables_text
from distillation_bench.bench.analysis.tables.table_latex import tables_latex
from distillation_bench.bench.common.errors import UsageError


def test_units_are_those_that_papers_use(results_of: Callable[..., Results]) -> None:
    results = results_of(
        {
            ("d", "kd", s): {"accuracy": a, "ece": 0.0123, "nll": 0.5}
            for s, a in enumerate((0.9, 0.8))
        }
    )
    (table,) = make_tables(results)
    error, ece, nll = row(table, 0).values()
    assert table.columns == ["Error [%] ↓", "ECE [%] ↓", "NLL [nats] ↓"]
    assert error.mean == pytest.approx(15)
    assert error.std == pytest.approx(stdev([10, 20]))
    assert ece.format.text(ece.mean) == "1.23"
    assert nll.mean == 0.5
    (raw,) = make_tables(results, raw=True, digits=2)
    assert raw.columns == ["Accuracy ↑", "ECE ↓", "NLL [nats] ↓"]
    assert "0.85 ± 0.07" in tables_text([raw])


def test_the_unit_of_sizes_follows_the_largest_value(results_of: Callable[..., Results]) -> None:
    results = results_of(of("flops", kd=[2_500_000.0], single=[900.0]))
    metric = results.metric("flops")
    assert metric_format(metric, [2_500_000.0, 900.0]).header == "FLOPs [M]"
    assert metric_format(metric, [0.0]).header == "FLOPs"
    (table,) = make_tables(results, metrics=("flops",))
    assert "2.50" in tables_text([table]) and not table.entries["mark"].any()


def test_best_and_second_are_decided_by_rounded_means(results_of: Callable[..., Results]) -> None:
    figures = of("nll", ensemble=[0.1], a=[0.5001], b=[0.5004], c=[0.6], d=[0.7])
    cells = entries(make_tables(results_of(figures))[0])
    # a and b print alike: both best, and nobody is second.
    assert {label: entry.mark for label, entry in cells.items()} == {
        "ensemble": "",
        "a": "best",
        "b": "best",
        "c": "",
        "d": "",
    }
    finer = entries(make_tables(results_of(figures), digits=4)[0])
    assert (finer["a"].mark, finer["b"].mark, finer["c"].mark) == ("best", "second", "")


def test_a_student_that_is_distinguishable_from_the_best_does_not_share_its_mark(
    results_of: Callable[..., Results],
) -> None:
    seeds = range(10)
    figures = of(
        "nll",
        a=[0.5 + 0.01 * s for s in seeds],
        b=[0.5001 + 0.01 * s for s in seeds],
        c=[0.5 + 0.01 * s - 0.0003 * (-1) ** s for s in seeds],
        d=[0.9] * 10,
    )
    (table,) = make_tables(results_of(figures))
    assert {x.format.text(x.mean) for label, x in entries(table).items() if label != "d"} == {
        "0.545"
    }
    assert levels(table) == {"b": "no", "c": "yes", "d": "no"}
    assert {label: entry.mark for label, entry in entries(table).items()} == {
        "a": "best",
        "b": "",
        "c": "best",
        "d": "",
    }
    # Nobody is second, so the legend does not explain its mark.
    assert ": second" not in tables_text([table]) and "*: best student" in tables_text([table])
    assert "underlined" not in tables_latex([table])


def test_a_column_is_not_alone(results_of: Callable[..., Results]) -> None:
    figures = of("nll", a=[0.1, 0.2], b=[0.3]) | {("e", "a", 0): {"nll": 1.0, "rmse": 1.0}}
    results = results_of(figures, missing=[("d", "b", 1)])
    (table,) = make_tables(results, ("rmse",), by="metric")
    assert table.headers == ["e", "n"] and table.counts == ["1"]
    alone, both = make_tables(results)
    assert (alone.headers, alone.counts) == (["NLL [nats] ↓", "n"], ["2", "1"])
    assert both.headers == ["NLL [nats] ↓", "RMSE ↓"]
    (turned,) = make_tables(results, datasets=("d",), transpose=True)
    assert turned.headers == ["a", "b"]


def test_the_highest_mean_is_best_if_higher_is_better(results_of: Callable[..., Results]) -> None:
    results = results_of(of("ood_auroc", a=[0.9], b=[0.8], c=[0.7]))
    cells = entries(make_tables(results)[0])
    assert (cells["a"].mark, cells["b"].mark) == ("best", "second")


def test_a_single_method_is_not_marked_as_best(results_of: Callable[..., Results]) -> None:
    (table,) = make_tables(results_of(of("nll", ensemble=[0.1, 0.2], kd=[0.3, 0.4])))
    assert not table.entries["mark"].any()
    assert "Bold" not in notes(table) and "cannot tell" not in notes(table)


def test_few_seeds_give_no_daggers_and_the_note_says_how_many_are_needed(
    results_of: Callable[..., Results],
) -> None:
    figures = of("nll", a=[0.1, 0.2, 0.3], b=[0.1, 0.2, 0.31], c=[0.5, 0.6, 0.7])
    (table,) = make_tables(results_of(figures))
    assert not table.entries["level"].any()
    # Three pairs: 3 · 2^(1 − n) ≤ .05 from n = 7 on.
    assert "At n = 3, no student can be statistically distinguishable" in notes(table)
    assert "from the best: with 3 comparisons" in notes(table)
    assert "needs 7 seeds" in notes(table) and "†" not in notes(table)


BEST = [0.1, 0.12, 0.09, 0.11, 0.1, 0.13, 0.08, 0.1]
NOISE = [0.03, -0.02, 0.02, -0.025, 0.031, -0.01, 0.015, -0.021]


def test_daggers_are_holm_corrected_sign_flips(results_of: Callable[..., Results]) -> None:
    labels = {
        "a": BEST,
        "b": [x + d for x, d in zip(BEST, NOISE, strict=True)],
        "c": [x + 0.2 for x in BEST],
    }
    (table,) = make_tables(results_of(of("nll", **labels)))
    p = {
        pair: stats.permutation_test(
            ([x - y for x, y in zip(*(labels[label] for label in pair), strict=True)],),
            fmean,
            permutation_type="samples",
            n_resamples=10_000,
        ).pvalue
        for pair in ("ab", "ac", "bc")
    }
    # All pairs are the family, though only those with the best a show.
    adjusted = dict(zip(p, multitest_holm([*p.values()]), strict=True))
    assert adjusted["ab"] > 0.05 >= adjusted["ac"]
    assert {label: entry.level for label, entry in entries(table).items()} == {
        "a": "",
        "b": "yes",
        "c": "no",
    }
    assert "ranked and without †: statistically distinguishable" in notes(table)
    assert "3 comparisons" in notes(table)
    assert "'†" in tables_text([table]).replace(" ", "")


def multitest_holm(ps: list[float]) -> list[float]:
    """Holm's correction: the i-th smallest p times the number of remaining tests, made monotone."""
    ranked = sorted(ps)
    steps = [(len(ps) - i) * p for i, p in enumerate(ranked)]
    return [max(steps[: ranked.index(p) + 1]) for p in ps]


def test_all_pairs_are_corrected_for_because_the_best_is_chosen_from_the_same_values(
    results_of: Callable[..., Results],
) -> None:
    # Each difference has one sign: p = 2^(1 - 7). Two comparisons with the best would pass .05,
    # and all three pairs do; with four students three would pass, and all six do not.
    steps = {label: [i + 0.1 * seed for seed in range(7)] for i, label in enumerate("abcd")}
    assert 3 * 2**-6 <= 0.05 < 6 * 2**-6
    three = {label: steps[label] for label in "abc"}
    (table,) = make_tables(results_of(of("nll", **three)))
    assert levels(table) == {"b": "no", "c": "no"}
    (table,) = make_tables(results_of(of("nll", **steps)))
    assert levels(table) == {} and "needs 8 seeds" in notes(table)


def test_daggers_hold_their_level_when_no_method_differs() -> None:
    # Corrected for comparisons with the best alone, it would be .063 and .091.
    for runs, students, seeds in ((1500, 3, 8), (500, 7, 10)):
        assert daggers(runs, students, seeds).share <= 0.05


def test_pairs_that_are_not_tested_are_named(results_of: Callable[..., Results]) -> None:
    figures = of("nll", a=BEST, b=[x + 0.2 for x in BEST], c=[0.01] * 7)
    # It has as many seeds as the others but shares only one: a test of one pair shows nothing.
    figures |= {("d", "far", seed): {"nll": 0.9} for seed in range(7, 15)}
    results = results_of(figures, failed={("d", "c", 7): "boom"})
    (table,) = make_tables(results)
    cells = entries(table)
    assert (cells["a"].mark, cells["c"].mark) == ("best", "")
    # The untested pair has no dagger and changes no other one.
    assert shared(table) == {"b": 8, "far": 1}
    assert cells["far"].level == "" and cells["b"].level == "no"
    assert "Not tested, for too few seeds shared with the best: far." in notes(table)
    assert "Neither ranked nor tested where a seed is missing or not finite: c." in notes(table)


def test_only_values_of_the_same_teacher_are_paired(results_of: Callable[..., Results]) -> None:
    figures = of("nll", a=BEST, b=[x + 0.2 for x in BEST])
    results = results_of(figures)
    is_other = results.planned["label"].eq("b") & results.planned["seed"].gt(5)
    results.planned.loc[is_other, "teacher"] = "another"
    (table,) = make_tables(results)
    assert shared(table) == {"b": 6}


def test_pairs_share_their_teacher(results_of: Callable[..., Results]) -> None:
    figures = of("nll", a=[0.1] * 8, b=[0.1001] * 8)
    apart = {("d", "b", seed): "another teacher" for seed in range(8)}
    with pytest.raises(UsageError, match="teacher"):
        results_of(figures, measured=apart)


def levels(table: Table) -> dict[str, str]:
    """Return whether a test distinguished students from the best, of those that it could."""
    tested = table.entries[table.entries["level"].ne("")]
    return dict(zip(tested["label"], tested["level"], strict=True))


def shared(table: Table) -> dict[str, int]:
    """Return the seeds that each student shares with the best."""
    compared = table.entries.dropna(subset="shared")
    return dict(zip(compared["label"], compared["shared"].astype(int), strict=True))


def test_missing_values_are_shown_and_not_ranked(results_of: Callable[..., Results]) -> None:
    figures = of("nll", a=[0.5, 0.6, 0.7], b=[0.8, 0.9, 1.0], c=[0.1], d=[0.5, math.nan, 0.6])
    results = results_of(
        figures,
        failed={("d", "c", 1): "ValueError: no", ("d", "e", 0): "boom"},
        missing=[("d", "c", 2), ("d", "f", 0)],
        skipped={("d", "g", 0): "not its task"},
    )
    (table,) = make_tables(results)
    cells = entries(table)
    assert (cells["a"].mark, cells["b"].mark, cells["c"].mark) == ("best", "second", "")
    assert (cells["e"].status, cells["f"].status, cells["g"].status) == (
        *("failed", "missing", "skipped"),
    )
    assert table.counts == ["3", "3", "1", "3", "0", "0", "0"]
    text = tables_text(make_tables(results, transpose=True))
    assert "0.100 (1)" in text and "nan" in text and "(n) after a value" in text
    assert "c on d: 1 failed and 1 missing of 3: ValueError: no." in text
    assert "g on d: 1 skipped of 1: not its task." in text


def test_all_layouts_hold_the_same_values(results_of: Callable[..., Results]) -> None:
    results = results_of(
        {
            (dataset, label, seed): {"nll": 0.1 * seed + len(label), "brier": 0.2}
            for dataset in ("d", "e")
            for label in ("kd", "gauss")
            for seed in range(2)
        }
    )
    values_by_layout = []
    for choice in ({}, {"by": "metric"}, {"transpose": True}):
        tables = make_tables(results, **choice)
        assert len(tables) == 2
        values_by_layout.append(
            sorted(
                (e.dataset, e.label, str(e.format.metric), e.mean)
                for table in tables
                for e in table.entries.itertuples()
            )
        )
    assert values_by_layout[0] == values_by_layout[1] == values_by_layout[2]
    turned = make_tables(results, transpose=True)[0]
    assert turned.corner == "metric" and turned.columns == ["kd", "gauss"]


def test_options_select_rows_and_columns(results_of: Callable[..., Results]) -> None:
    results = results_of(
        of("nll", a=[0.3], b=[0.1], c=[0.2]) | {("r", "a", 0): {"rmse": 1.0}},
    )
    choice: dict[str, Any] = {"datasets": ("d",), "labels": ("c", "a"), "metrics": ("nll",)}
    assert make_tables(results, **choice)[0].rows == ["c", "a"]
    by_value = make_tables(results, datasets=("d",), sort="nll")[0]
    assert by_value.rows == ["b", "c", "a"]
    assert "Methods by their mean in nll." in notes(make_tables(results, sort="nll")[0])
    # A dataset without the metric has no table.
    assert [t.name for t in make_tables(results, metrics=("nll",))] == ["d"]


def test_incomplete_methods_are_sorted_last(results_of: Callable[..., Results]) -> None:
    figures = of("nll", a=[0.3, 0.4], b=[0.1], c=[0.2, 0.3], e=[0.1, math.nan])
    table = make_tables(results_of(figures, missing=[("d", "b", 1)]), sort="nll")[0]
    assert table.rows == ["c", "a", "b", "e"]
    assert "last, where a seed is missing or not finite: b, e." in notes(table)


def test_a_method_name_selects_all_its_variants(results_of: Callable[..., Results]) -> None:
    labels = {"h5": "hydra", "h9": "hydra", "kd": "kd"}
    results = results_of(of("nll", h5=[0.1], h9=[0.2], kd=[0.3]), methods=labels)
    table = make_tables(results, labels=("kd", "hydra"))[0]
    assert table.rows == ["kd", "h5", "h9"]


@pytest.mark.parametrize(
    ("choice", "message"),
    [
        ({"metrics": ("error",)}, "error: give accuracy"),
        ({"metrics": ("nil",)}, "nil: unknown metric; did you mean 'nll'"),
        (
            {"metrics": ("accuracy",)},
            r"accuracy: no cell has this value \(a metric of class",
        ),
        ({"metrics": ("nll",), "labels": ("b",)}, "nll: no cell of b has this value"),
        ({"labels": ("kdd",)}, "--method kdd: not in these runs; did you mean 'kd'"),
        ({"datasets": ("x",)}, "--dataset x: not in these runs"),
        ({"labels": ("b",)}, "b: no cell has a headline value"),
    ],
)
def test_mistakes_are_one_line(
    results_of: Callable[..., Results], choice: dict[str, Any], message: str
) -> None:
    results = results_of(of("nll", kd=[0.1]), failed={("d", "b", 0): "boom"})
    with pytest.raises(UsageError, match=message) as error:
        make_tables(results, **choice)
    assert "\n" not in str(error.value)


def test_simulated_results_equal_results_read_from_a_run(
    results_of: Callable[..., Results],
) -> None:
    values = np.random.default_rng(0).normal(size=(2, 8, 3))
    on_disk = results_of(
        {
            (f"d{dataset}", f"m{student}", seed): {"nll": value}
            for (dataset, seed, student), value in np.ndenumerate(values)
        }
    )
    choice: dict[str, Any] = {"metrics": ("nll",)}
    read, simulated = (make_tables(results, **choice) for results in (on_disk, frames_of(values)))
    assert tables_text(read) == tables_text(simulated)
    for first, second in zip(read, simulated, strict=True):
        assert first.entries.astype(str).equals(second.entries.astype(str))
