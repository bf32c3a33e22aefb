"""Pairs of methods on one dataset: values, directions, ties, references and unpaired cells."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy import stats
from tests.bench.analysis.comparison.compared_runs import (
    TEN,
    THREE,
    MakeResults,
    pairs_of,
)

from distillation_bench.bench.analysis.comparison import (
    compare,
)
from distillation_bench.bench.analysis.comparison.comparison_tables import (
    comparison_latex,
    comparison_text,
)
from distillation_bench.bench.analysis.comparison.comparison_values import comparison_json
from distillation_bench.bench.analysis.results import load


def test_a_pair_equals_the_calculation_by_hand(make_results: MakeResults) -> None:
    comparison = compare(make_results(THREE), baseline="kd")
    [pair] = pairs_of(comparison)
    # Differences -.1, -.2, -.3: mean -.2, standard error .1 / √3.
    assert (pair.first, pair.second, pair.n) == ("hydra+", "kd", 3)
    assert (pair.mean, pair.low, pair.high) == pytest.approx((-0.2, -0.4484138, 0.0484138))
    assert pair.effect == pytest.approx(-2 / math.sqrt(math.pi))
    assert (pair.wins, pair.ties, pair.losses) == (3, 0, 0)
    # Of nine pairs of runs, hydra+ is lower in (.9: 3, 1.8: 2, 2.7: 1).
    assert pair.improvement == pytest.approx(6 / 9)
    assert (pair.p, pair.p_holm, pair.p_rank, pair.p_rank_holm) == (0.25,) * 4
    entry = comparison.datasets.loc["digits"]
    assert (entry["smallest_p_holm"], entry["seeds_needed"]) == (0.25, 6)


def test_the_metric_decides_which_direction_is_better(make_results: MakeResults) -> None:
    comparison = compare(make_results(THREE, metric="accuracy"), "accuracy", baseline="kd")
    [pair] = pairs_of(comparison)
    assert (pair.wins, pair.losses) == (0, 3)
    assert pair.improvement == pytest.approx(3 / 9)
    # Accuracy is printed as the error, of which less is better.
    [printed] = comparison.printed.itertuples()
    assert printed.mean == pytest.approx(-100 * pair.mean) and printed.low < printed.high
    assert printed.effect == -pair.effect and printed.differences[0] == -100 * pair.differences[0]


def test_a_metric_without_direction_has_no_better_method(make_results: MakeResults) -> None:
    results = make_results(TEN, metric="epistemic@test")
    comparison = compare(results, "epistemic@test", baseline="kd")
    assert comparison.pairs["improvement"].isna().all()
    text = " ".join([comparison_text(comparison), *comparison.sentences])
    assert "better" not in text.replace("no better direction", "")
    assert "hydra+ has a lower Epistemic uncertainty than kd" in text


def test_the_text_says_when_there_are_too_few_seeds(make_results: MakeResults) -> None:
    comparison = compare(make_results(THREE), baseline="kd")
    text = "cannot tell with n = 3: at least 6 seeds are needed (the smallest possible p = .25)"
    assert comparison.sentences[0] == f"NLL on digits: {text}"
    assert text in " ".join(comparison_text(comparison).split())
    assert f"{text.capitalize()}." in comparison_latex(comparison)
    assert "*" not in comparison_text(comparison).split("NLL: lower is better")[0]


def test_one_seed_has_no_interval_and_no_test(make_results: MakeResults) -> None:
    comparison = compare(make_results({"kd": [1.0], "gauss": [2.0]}))
    assert (
        "cannot tell with n = 1: at least 6 seeds are needed (the smallest possible p = 1)"
        in comparison.sentences[0]
    )
    [row] = [line for line in comparison_text(comparison).splitlines() if line.startswith("gauss")]
    assert row.split() == [*("gauss", "−", "kd", "1.0", "–", "1", "1°", "–", "0.00", "0/0/1")]
    json.loads(comparison_json(comparison))


def test_sentences_name_the_better_method(make_results: MakeResults) -> None:
    comparison = compare(make_results(TEN), baseline="kd")
    differences = [-0.1 - 0.01 * s for s in range(10)]
    low, high = stats.ttest_1samp(differences, 0).confidence_interval()
    assert comparison.sentences[0] == (
        f"NLL: hydra+ is better than kd on digits by 0.145 nats [{-high:.3f}, {-low:.3f}], "
        "n = 10, p = .004"
    )
    low, high = stats.ttest_1samp([0.1 * (-1) ** s for s in range(10)], 0).confidence_interval()
    assert comparison.sentences[1] == (
        "NLL: gauss and kd on digits are not statistically distinguishable: 0.00 nats "
        f"[{low:.2f}, {high:.2f}], n = 10, p = 1"
    )
    assert list(comparison.verdicts["verdict"]) == comparison.sentences[:2]
    text = comparison_text(comparison, width=120)
    [row] = [line for line in text.splitlines() if line.startswith("hydra+")]
    assert row.split()[5:] == [*("10", ".002", ".004*", "-4.38", "0.55", "10/0/0", ".002", ".004")]


def test_all_pairs_are_compared_without_a_baseline(make_results: MakeResults) -> None:
    pairs = pairs_of(compare(make_results(TEN)))
    assert [(p.first, p.second) for p in pairs] == [
        ("hydra+", "kd"),
        ("gauss", "kd"),
        ("gauss", "hydra+"),
    ]
    assert (pairs[0].p, pairs[0].p_holm) == pytest.approx((2 / 1024, 6 / 1024))
    assert (
        pairs[2].p
        == stats.permutation_test(
            (np.array(pairs[2].differences),),
            np.mean,
            permutation_type="samples",
            n_resamples=np.inf,
        ).pvalue
    )


def test_equal_values_are_ties(make_results: MakeResults) -> None:
    [pair] = pairs_of(compare(make_results({"a": [1.0, 2.0], "b": [1.0, 2.0]})))
    assert (pair.wins, pair.ties, pair.losses) == (0, 2, 0)
    assert (pair.p, pair.p_holm, pair.p_rank, pair.p_rank_holm) == (1, 1, 1, 1)
    assert pair.improvement == 0.5


def test_missing_cells_are_named_and_not_averaged(make_results: MakeResults) -> None:
    table = {"kd": [1.0, 2, math.nan, 4, 5], "gauss": [2.0, 3, 4, math.inf, 6], "endd": [1.0]}
    bad = {("digits", "endd", 1): "out of memory", ("digits", "endd", 2): "out of memory"}
    missing = [("digits", "endd", 3)]
    comparison = compare(make_results(table, failed=bad, missing=missing), baseline="kd")
    endd, gauss = sorted(pairs_of(comparison), key=lambda pair: pair.first)
    assert (endd.seeds, gauss.seeds) == ((0,), (0, 1, 4))
    assert gauss.mean == 1
    assert comparison.sentences[1] == (
        "Left out on digits: kd: nan (seed 2); gauss: inf (seed 3); endd: failed (seeds 1-2), "
        "missing (seed 3)."
    )
    assert "Left out on digits: " in comparison_text(comparison)
    assert "Left out on digits: kd: nan (seed 2)" in comparison_latex(comparison)


def test_values_that_differ_by_rounding_are_ties(make_results: MakeResults) -> None:
    # .3 - .2 is not .1 in floating point, and 1e-17 is no win.
    table = {"a": [0.3, 1.0, 0.0], "b": [0.3 + 1e-17, 0.0, 1e-17]}
    [pair] = pairs_of(compare(make_results(table)))
    assert (pair.wins, pair.ties, pair.losses) == (1, 2, 0)
    assert pair.p_rank == pair.p == 1


@pytest.mark.parametrize("metric", ["flops", "parameters"])
def test_costs_are_compared_but_not_tested(make_results: MakeResults, metric: str) -> None:
    table = {"ensemble": [9.0] * 10, "kd": [1.0] * 10, "gauss": [2.0] * 10}
    comparison = compare(make_results(table, metric=metric), metric, baseline="kd")
    assert {pair.first: pair.mean for pair in pairs_of(comparison)} == {
        "ensemble": 8,
        "gauss": 1,
    }
    assert not comparison.is_tested and comparison.pooled.empty and comparison.across is None
    [sentence] = comparison.sentences
    name = {"flops": "FLOPs", "parameters": "Params"}[metric]
    reason = "what a student costs is chosen, not measured, so nothing is tested."
    assert sentence == f"{name}: {reason}"
    assert "so nothing is tested" in comparison_text(comparison).replace("\n", " ")
    assert json.loads(comparison_json(comparison))[0]["note"] == sentence
    assert ".05" not in comparison_text(comparison) and ".002" not in comparison_latex(comparison)


def test_the_teacher_is_not_compared_with_itself(
    make_results: MakeResults, mistake: Callable[..., str]
) -> None:
    table = {"ensemble": [0.0] * 10, "kd": TEN["kd"], "gauss": TEN["gauss"]}
    results = make_results(table, metric="teacher_kl")
    comparison = compare(results, "teacher_kl")
    assert [(p.first, p.second) for p in pairs_of(comparison)] == [("gauss", "kd")]
    assert comparison.note == (
        "KL to teacher: measured against the ensemble, so references are left out."
    )
    assert comparison.note in comparison_text(comparison).replace("\n", " ")
    assert mistake(lambda: compare(results, "teacher_kl", baseline="ensemble")).startswith(
        "--baseline ensemble: KL to teacher: measured against the ensemble"
    )
    assert "there is only kd" in mistake(
        lambda: compare(results, "teacher_kl", labels=["kd", "ensemble"])
    )


def test_references_belong_to_the_family_only_if_selected(make_results: MakeResults) -> None:
    results = make_results({"ensemble": [0.5 * s for s in range(10)], **TEN})
    comparison = compare(results, baseline="kd")
    bound, *students = pairs_of(comparison)
    assert bound.first == "ensemble" and not bound.tested
    assert comparison.datasets.loc["digits", "comparisons"] == 2
    assert bound.mean == pytest.approx(-2.25)
    # As without the reference.
    assert {(p.p, p.p_holm) for p in students} == {
        (p.p, p.p_holm)
        for p in pairs_of(compare(make_results(TEN, folder="students"), baseline="kd"))
    }
    text = comparison_text(compare(results, baseline="kd"), width=120)
    [row] = [line for line in text.splitlines() if "-2.25" in line]
    assert row.split()[-2:] == row.split()[-7:-5] == ["–", "–"]
    for baseline, labels in (("ensemble", []), ("kd", [*TEN, "ensemble"])):
        assert compare(results, baseline=baseline, labels=labels).pairs["tested"].sum() == 3
    alone = compare(results, labels=["kd"], baseline="ensemble")
    assert alone.pairs["tested"].sum() == 1


def test_a_student_and_a_reference_form_no_family(make_results: MakeResults) -> None:
    comparison = compare(make_results({"ensemble": [1.0, 2.0], "kd": [1.5, 2.5]}))
    assert comparison.sentences[0] == "NLL on digits: nothing is tested: no two students"
    assert math.isnan(comparison.datasets.loc["digits", "smallest_p_holm"])
    json.loads(comparison_json(comparison))
    assert r"\begin{table}" in comparison_latex(comparison)


def test_runs_of_other_teachers_are_not_paired(
    make_run: Callable[..., Any], tmp_path: Path, mistake: Callable[..., str]
) -> None:
    folders = []
    for name, label in (("one", "kd"), ("two", "gauss")):
        figures = {("digits", label, seed): {"nll": seed} for seed in range(3)}
        measured = dict.fromkeys(figures, name)
        folders.append(make_run(tmp_path / name, figures, measured=measured).folder)
    assert "another teacher" in mistake(load, *folders)
    mixed = load(*folders, mixed=True)
    assert "gauss (two) and kd: other teachers or sets" in mistake(compare, mixed)


def test_other_seeds_are_not_paired(make_results: MakeResults, mistake: Callable[..., str]) -> None:
    table = {"kd": [1.0, math.nan], "gauss": [math.nan, 1.0]}
    assert "gauss and kd: no seed in common" in mistake(compare, make_results(table))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"metric": "nlll"}, "nlll: unknown metric; did you mean 'nll'?"),
        ({"metric": "crps"}, "crps: no cell has this value"),
        ({"baseline": "kdd"}, "--baseline kdd: not in these runs; did you mean 'kd'?"),
        ({"labels": ["kd", "hydra"]}, "--method hydra: not in these runs; did you mean 'hydra+'?"),
        ({"labels": ["kd"]}, "NLL: there is only kd; two methods are needed"),
        ({"datasets": ["digit"]}, "--dataset digit: not in these runs; did you mean 'digits'?"),
    ],
)
def test_a_mistake_is_reported(
    make_results: MakeResults, mistake: Callable[..., str], arguments: dict[str, Any], message: str
) -> None:
    results = make_results(THREE)
    assert mistake(lambda: compare(results, **arguments)).startswith(message)


def test_a_baseline_without_values_is_reported(
    make_results: MakeResults, mistake: Callable[..., str]
) -> None:
    failed = {("digits", "endd", seed): "broken" for seed in range(3)}
    results = make_results(THREE, failed=failed)
    assert mistake(lambda: compare(results, baseline="endd")) == (
        "NLL on digits: nothing to compare: the baseline endd: failed (seeds 0-2)"
    )


def test_a_metric_of_another_task_is_reported(
    make_run: Callable[..., Any], tmp_path: Path, mistake: Callable[..., str]
) -> None:
    figures = {
        (dataset, label, seed): {metric: float(seed)}
        for dataset, metric in (("digits", "accuracy"), ("sine", "crps"))
        for label in ("kd", "gauss")
        for seed in range(2)
    }
    results = load(make_run(tmp_path / "run", figures).folder)
    assert compare(results, "crps").not_comparable == {"digits": "no method has it"}
    assert mistake(lambda: compare(results, "crps", datasets=["digits"])) == (
        "CRPS on digits: nothing to compare: no method has it"
    )


def test_an_unfinished_run_says_what_is_missing(
    make_results: MakeResults, mistake: Callable[..., str]
) -> None:
    missing = [("digits", "hydra+", seed) for seed in range(3)]
    failed = {("digits", "endd", 0): "broken"}
    results = make_results({"kd": [1.0, 2.0]}, missing=missing, failed=failed)
    assert mistake(lambda: compare(results)) == (
        "NLL on digits: nothing to compare: only kd has it; endd: failed (seed 0), "
        "hydra+: missing (seeds 0-2)"
    )


def test_values_that_are_not_finite_are_not_absent(
    make_results: MakeResults, mistake: Callable[..., str]
) -> None:
    table = {"kd": [math.nan], "gauss": [math.inf]}
    assert mistake(lambda: compare(make_results(table))).endswith("no method has a finite value")


def test_a_method_name_selects_all_its_variants(
    make_results: MakeResults, mistake: Callable[..., str]
) -> None:
    table = {"kd": [1.0], "h[2]": [2.0], "h[3]": [3.0]}
    results = make_results(table, methods={"h[2]": "h", "h[3]": "h"})
    compared = compare(results, baseline="kd", labels=["h"])
    assert set(compared.pairs["first"]) == {"h[2]", "h[3]"}
    assert mistake(lambda: compare(results, baseline="h")) == "--baseline h: which of h[2], h[3]?"


def test_a_pair_of_few_seeds_is_not_called_alike(make_results: MakeResults) -> None:
    table = {**TEN, "endd": [s - 5.0 for s in range(3)], "swag": [s + 0.0 for s in range(10)]}
    sentences = compare(make_results(table), baseline="kd").sentences
    assert sentences[0].startswith("NLL: hydra+ is better than kd on digits by")
    assert sentences[1].startswith(
        "NLL: endd and kd on digits: cannot tell with n = 3: at least 8 seeds are needed"
    )
    assert sentences[2].startswith(
        "NLL on digits: gauss, swag are not statistically distinguishable from kd, n = 10"
    )
