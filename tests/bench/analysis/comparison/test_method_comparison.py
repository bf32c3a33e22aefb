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
)

from distillation_bench.bench.analysis.comparison.comparison_latex import comparison_latex
from distillation_bench.bench.analysis.comparison.comparison_text import comparison_text
from distillation_bench.bench.analysis.comparison.csv_and_json import (
    comparison_json,
)
from distillation_bench.bench.analysis.comparison.method_comparison import (
    compare,
)
from distillation_bench.bench.analysis.comparison.sentences import comparison_sentences
from distillation_bench.bench.analysis.old_results import read


def test_a_pair_equals_the_calculation_by_hand(make_results: MakeResults) -> None:
    [entry] = compare(make_results(THREE), baseline="kd").datasets
    [pair] = entry.pairs
    # Differences -.1, -.2, -.3: mean -.2, standard error .1 / √3.
    assert (pair.first, pair.second, pair.n) == ("hydra+", "kd", 3)
    assert pair.interval == pytest.approx((-0.2, -0.4484138, 0.0484138))
    assert pair.effect == pytest.approx(-2 / math.sqrt(math.pi))
    assert (pair.wins, pair.ties, pair.losses) == (3, 0, 0)
    # Of nine pairs of runs, hydra+ is lower in (.9: 3, 1.8: 2, 2.7: 1).
    assert pair.improvement == pytest.approx(6 / 9)
    assert pair.sign_flip == pair.wilcoxon == (0.25, 0.25)
    assert (entry.smallest_p, entry.seeds_needed) == (0.25, 6)


def test_the_metric_decides_which_direction_is_better(make_results: MakeResults) -> None:
    comparison = compare(make_results(THREE, metric="accuracy"), "accuracy", baseline="kd")
    [pair] = comparison.datasets[0].pairs
    assert (pair.wins, pair.losses) == (0, 3)
    assert pair.improvement == pytest.approx(3 / 9)


def test_a_metric_without_direction_has_no_better_method(make_results: MakeResults) -> None:
    results = make_results(TEN, metric="epistemic@test")
    comparison = compare(results, "epistemic@test", baseline="kd")
    assert all(math.isnan(pair.improvement) for pair in comparison.datasets[0].pairs)
    text = " ".join([comparison_text(comparison), *comparison_sentences(comparison)])
    assert "better" not in text.replace("no better direction", "")
    assert "hydra+ has a lower epistemic@test than kd" in text


def test_the_text_says_when_there_are_too_few_seeds(make_results: MakeResults) -> None:
    comparison = compare(make_results(THREE), baseline="kd")
    text = (
        "with 3 seeds no sign-flip or Wilcoxon test can reach .05: the smallest possible p is .25; "
        "with 1 comparison 6 seeds would be needed."
    )
    assert comparison_sentences(comparison)[0] == f"On digits, {text}"
    assert "With" + text[4:] in comparison_text(comparison).replace("\n", " ")
    assert "*" not in comparison_text(comparison).split("nll: lower is better")[0]


def test_one_seed_has_no_interval_and_no_test(make_results: MakeResults) -> None:
    comparison = compare(make_results({"kd": [1.0], "gauss": [2.0]}))
    assert (
        "with 1 seed no sign-flip or Wilcoxon test can reach .05"
        in comparison_sentences(comparison)[0]
    )
    [row] = [line for line in comparison_text(comparison).splitlines() if line.startswith("gauss")]
    assert row.split() == ["gauss", "1.0", "–", "–", "0.00", "0/0/1", "1", "1", "1"]
    json.loads(comparison_json(comparison))


def test_sentences_name_the_better_method(make_results: MakeResults) -> None:
    comparison = compare(make_results(TEN), baseline="kd")
    differences = [-0.1 - 0.01 * s for s in range(10)]
    low, high = stats.ttest_1samp(differences, 0).confidence_interval()
    assert comparison_sentences(comparison)[0] == (
        f"On digits, hydra+ has a lower (better) nll than kd by 0.145 (95 % interval {-high:.3f} "
        f"to {-low:.3f}, n = 10 seeds; sign-flip p = .004 after Holm over 2 comparisons). In 1 of "
        "2 comparisons the methods are not statistically distinguishable."
    )
    [row] = [line for line in comparison_text(comparison).splitlines() if line.startswith("hydra+")]
    assert "10/0/0  10   .004*    .004" in row


def test_all_pairs_are_compared_without_a_baseline(make_results: MakeResults) -> None:
    [entry] = compare(make_results(TEN)).datasets
    assert [(p.first, p.second) for p in entry.pairs] == [
        ("hydra+", "kd"),
        ("gauss", "kd"),
        ("gauss", "hydra+"),
    ]
    assert entry.pairs[0].sign_flip == pytest.approx((2 / 1024, 6 / 1024))
    assert (
        entry.pairs[2].sign_flip.p
        == stats.permutation_test(
            (np.array(entry.pairs[2].differences),),
            np.mean,
            permutation_type="samples",
            n_resamples=np.inf,
        ).pvalue
    )


def test_equal_values_are_ties(make_results: MakeResults) -> None:
    [pair] = compare(make_results({"a": [1.0, 2.0], "b": [1.0, 2.0]})).datasets[0].pairs
    assert (pair.wins, pair.ties, pair.losses) == (0, 2, 0)
    assert pair.sign_flip == pair.wilcoxon == (1, 1)
    assert pair.improvement == 0.5


def test_missing_cells_are_named_and_not_averaged(make_results: MakeResults) -> None:
    table = {"kd": [1.0, 2, math.nan, 4, 5], "gauss": [2.0, 3, 4, math.inf, 6], "endd": [1.0]}
    bad = {("digits", "endd", 1): "out of memory", ("digits", "endd", 2): "out of memory"}
    missing = [("digits", "endd", 3)]
    comparison = compare(make_results(table, failed=bad, missing=missing), baseline="kd")
    endd, gauss = sorted(comparison.datasets[0].pairs, key=lambda pair: pair.first)
    assert (endd.over, gauss.over) == ((0,), (0, 1, 4))
    assert gauss.interval.mean == 1
    assert comparison_sentences(comparison)[0].endswith(
        "Left out: kd: nan (seed 2); gauss: inf (seed 3); endd: failed (seeds 1-2), missing "
        "(seed 3)."
    )
    assert "Left out: " in comparison_text(comparison)
    assert "Left out: kd: nan (seed 2)" in comparison_latex(comparison)


def test_values_that_differ_by_rounding_are_ties(make_results: MakeResults) -> None:
    # .3 - .2 is not .1 in floating point, and 1e-17 is no win.
    table = {"a": [0.3, 1.0, 0.0], "b": [0.3 + 1e-17, 0.0, 1e-17]}
    [pair] = compare(make_results(table)).datasets[0].pairs
    assert (pair.wins, pair.ties, pair.losses) == (1, 2, 0)
    assert pair.wilcoxon.p == pair.sign_flip.p == 1


@pytest.mark.parametrize("metric", ["flops", "parameters"])
def test_costs_are_compared_but_not_tested(make_results: MakeResults, metric: str) -> None:
    table = {"ensemble": [9.0] * 10, "kd": [1.0] * 10, "gauss": [2.0] * 10}
    comparison = compare(make_results(table, metric=metric), metric, baseline="kd")
    assert {pair.first: pair.interval.mean for pair in comparison.datasets[0].pairs} == {
        "ensemble": 8,
        "gauss": 1,
    }
    assert not comparison.is_tested and not comparison.pooled and comparison.across is None
    [sentence] = comparison_sentences(comparison)
    assert (
        sentence == f"{metric}: what a student costs is chosen, not measured, so nothing is tested."
    )
    assert "so nothing is tested" in comparison_text(comparison).replace("\n", " ")
    assert json.loads(comparison_json(comparison))[0]["note"] == sentence
    assert ".05" not in comparison_text(comparison) and ".002" not in comparison_latex(comparison)


def test_the_teacher_is_not_compared_with_itself(
    make_results: MakeResults, mistake: Callable[..., str]
) -> None:
    table = {"ensemble": [0.0] * 10, "kd": TEN["kd"], "gauss": TEN["gauss"]}
    results = make_results(table, metric="teacher_kl")
    comparison = compare(results, "teacher_kl")
    assert [(p.first, p.second) for p in comparison.datasets[0].pairs] == [("gauss", "kd")]
    assert comparison.note == (
        "teacher_kl is measured against the ensemble, so references are left out."
    )
    assert comparison.note in comparison_text(comparison).replace("\n", " ")
    assert mistake(lambda: compare(results, "teacher_kl", baseline="ensemble")).startswith(
        "--baseline ensemble: teacher_kl is measured against the ensemble"
    )
    assert "there is only kd" in mistake(
        lambda: compare(results, "teacher_kl", labels=["kd", "ensemble"])
    )


def test_references_belong_to_the_family_only_if_selected(make_results: MakeResults) -> None:
    results = make_results({"ensemble": [0.5 * s for s in range(10)], **TEN})
    [entry] = compare(results, baseline="kd").datasets
    bound, *students = entry.pairs
    assert bound.first == "ensemble" and not bound.is_tested and len(entry.tested) == 2
    assert bound.interval.mean == pytest.approx(-2.25)
    # As without the reference.
    assert {p.sign_flip for p in students} == {
        p.sign_flip
        for p in compare(make_results(TEN, folder="students"), baseline="kd").datasets[0].pairs
    }
    text = comparison_text(compare(results, baseline="kd"))
    [row] = [line for line in text.splitlines() if "-2.25" in line]
    assert row.split()[-2:] == ["–", "–"]
    for baseline, labels in (("ensemble", []), ("kd", [*TEN, "ensemble"])):
        [dataset] = compare(results, baseline=baseline, labels=labels).datasets
        assert len(dataset.tested) == 3
    [alone] = compare(results, labels=["kd"], baseline="ensemble").datasets
    assert len(alone.tested) == 1


def test_a_student_and_a_reference_form_no_family(make_results: MakeResults) -> None:
    comparison = compare(make_results({"ensemble": [1.0, 2.0], "kd": [1.5, 2.5]}))
    assert comparison_sentences(comparison)[0] == "On digits, nothing is tested: no two students."
    assert math.isnan(comparison.datasets[0].smallest_p)
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
    assert "another teacher" in mistake(read, folders)
    mixed = read(folders, mixed=True)
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
        ({"labels": ["kd"]}, "nll: there is only kd; two methods are needed"),
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
        "digits: nll can't be compared: the baseline endd: failed (seeds 0-2)"
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
    results = read([make_run(tmp_path / "run", figures).folder])
    assert compare(results, "crps").not_comparable == {"digits": "no method has it"}
    assert mistake(lambda: compare(results, "crps", datasets=["digits"])) == (
        "digits: crps can't be compared: no method has it"
    )


def test_a_method_name_selects_all_its_variants(
    make_results: MakeResults, mistake: Callable[..., str]
) -> None:
    table = {"kd": [1.0], "h[2]": [2.0], "h[3]": [3.0]}
    results = make_results(table, methods={"h[2]": "h", "h[3]": "h"})
    assert {p.first for p in compare(results, baseline="kd", labels=["h"]).datasets[0].pairs} == {
        "h[2]",
        "h[3]",
    }
    assert mistake(lambda: compare(results, baseline="h")) == "--baseline h: which of h[2], h[3]?"
