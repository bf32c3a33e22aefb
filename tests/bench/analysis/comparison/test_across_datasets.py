"""Comparisons across datasets: ranks, pooled differences and what is left out."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy import stats
from tests.bench.analysis.comparison.compared_runs import (
    TEN,
    MakeResults,
    means_of,
    run_of_datasets,
)

from distillation_bench.bench.analysis.comparison import (
    compare,
)
from distillation_bench.bench.analysis.comparison.comparison_tables import comparison_text
from distillation_bench.bench.analysis.comparison.comparison_values import comparison_csv
from distillation_bench.bench.analysis.comparison.pairs import (
    NotComparable,
    compare_across_datasets,
)
from distillation_bench.bench.analysis.results import load
from distillation_bench.bench.analysis.statistics import sign_flip_p


def test_five_complete_datasets_have_ranks_and_tests_across_them(
    make_run: Callable[..., Any], tmp_path: Path
) -> None:
    comparison = compare(load(run_of_datasets(make_run, tmp_path, 6)), labels=["a", "b", "c"])
    across = comparison.across
    assert across is not None
    means = means_of(6)
    assert list(across.ranks["label"]) == ["a", "b", "c"]
    assert list(across.ranks["rank"]) == [1, 2, 3]
    assert comparison.ranks is across.ranks
    assert across.friedman == pytest.approx(stats.friedmanchisquare(*means.T).pvalue)
    expected = stats.studentized_range.sf(2 * math.sqrt(6 * 6 / 12) * math.sqrt(2), 3, np.inf)
    assert across.nemenyi.loc["a", "c"] == pytest.approx(expected)
    assert across.groups == (("a", "b"), ("b", "c"))
    assert across.critical_difference == pytest.approx(2.343 / math.sqrt(3), abs=1e-3)
    pair = next(across.pairs.itertuples())
    assert pair.differences == pytest.approx(means[:, 1] - means[:, 0])
    assert (pair.n, pair.p) == (6, 2 / 64)
    # Values of datasets may have different units, so no average is taken over them.
    assert np.isnan([pair.mean, pair.low, pair.high, pair.effect, pair.improvement]).all()
    table = comparison_text(comparison).partition("6 datasets, means over seeds")[2]
    assert "method  n      p  p Holm  W/T/L  p rank  p rank Holm" in table
    assert "c − b   6  .031°    .094  0/0/6   .031°         .094" in table
    sentence = comparison.sentences[6]
    assert sentence.startswith("NLL across 6 datasets: 3 methods differ (Friedman's p = .002);")
    assert sentence.endswith("by Nemenyi's test average ranks at least 1.35 apart differ: a and c")
    assert (
        "Pair by pair: cannot tell with n = 6: at least 7 datasets are needed (the smallest "
        "possible p = .031, after Holm's correction over 3 comparisons p = .094)."
    ) in comparison_text(comparison).replace("\n", " ")


def test_incomplete_methods_are_left_out_of_the_ranks(
    make_run: Callable[..., Any], tmp_path: Path
) -> None:
    failed = {("d3", "c", 1): "broken"}
    comparison = compare(load(run_of_datasets(make_run, tmp_path, 5, failed)))
    assert comparison.across is not None
    assert list(comparison.ranks["label"]) == ["a", "b"]
    assert comparison.incomplete == {"c": "failed (seed 1) on d3"}
    assert "c: failed (seed 1) on d3" in comparison_text(comparison)
    lacking = compare(load(tmp_path / "many"), baseline="c")
    assert lacking.across is None and lacking.ranks.empty
    assert lacking.no_across == "the baseline c is incomplete"


def test_few_datasets_have_pooled_differences_but_no_ranks(
    make_run: Callable[..., Any], tmp_path: Path
) -> None:
    comparison = compare(load(run_of_datasets(make_run, tmp_path, 3)), baseline="a")
    assert comparison.sentences[-1] == (
        "Across datasets nothing is tested: it needs 5 datasets, here are 3."
    )
    assert [(test.n, test.datasets) for test in comparison.pooled.itertuples()] == [
        (9, ("d0", "d1", "d2"))
    ] * 2
    text = comparison_text(comparison).replace("\n", " ")
    assert "NLL on exactly these datasets (d0, d1, d2), seeds pooled" in text
    assert "It says nothing about other datasets." in text


def test_too_few_pooled_differences_cannot_tell(
    make_run: Callable[..., Any], tmp_path: Path
) -> None:
    one_seed = {(d, m, 0): {"nll": float(m == "kd")} for d in "ab" for m in ("kd", "hydra")}
    make_run(tmp_path / "run", one_seed)
    (pooled,) = [x for x in compare(load(tmp_path / "run")).sentences if "seeds pooled" in x]
    assert "1 comparison: cannot tell with n = 2: at least 6 pairs are needed" in pooled
    assert "distinguishable" not in pooled


def test_a_dataset_that_is_named_five_times_counts_once(make_results: MakeResults) -> None:
    results = make_results(TEN)
    comparison = compare(results, datasets=["digits"] * 5)
    assert list(comparison.datasets.index) == ["digits"]
    assert comparison.across is None and comparison.pooled.empty
    assert comparison_text(comparison) == comparison_text(compare(results))
    with pytest.raises(NotComparable, match="it needs 5 datasets, here is 1"):
        compare_across_datasets(comparison.tables, ["kd", "gauss"], "", "lower")


def test_the_sentence_says_that_pooled_differences_are_scaled(
    make_run: Callable[..., Any], tmp_path: Path
) -> None:
    # a is lower by .001 on three datasets and higher by 6.7 on two seeds of the fourth.
    worse = {("d3", 1): 6.7, ("d3", 2): 6.7}
    figures = {
        (f"d{d}", label, s): {"nll": worse.get((f"d{d}", s), -0.001) if label == "a" else 0.0}
        for d in range(4)
        for label in "ab"
        for s in range(6 if d < 3 else 3)
    }
    comparison = compare(load(make_run(tmp_path / "run", figures).folder))
    [test] = comparison.pooled.itertuples()
    size = math.sqrt((2 * 6.7**2 + 1e-6) / 3)
    scaled = [1.0] * 18 + [x / size for x in (0.001, -6.7, -6.7)]
    # b minus a; on the mean of raw differences it would be below 0.
    assert test.scaled_mean == pytest.approx(np.mean(scaled))
    assert (test.n, test.agreeing) == (21, 3)
    assert test.p == pytest.approx(sign_flip_p(scaled), rel=1e-2)
    text = comparison_text(comparison).replace("\n", " ")
    assert "in differences scaled by each dataset's root mean square" in text
    assert "a is better than b in standardised differences, by 0.74 (n = 21 on 4; p" in text
    assert "its mean is better on 3 of 4 datasets)" in text
    [row] = [
        r for r in csv.DictReader(io.StringIO(comparison_csv(comparison))) if r["scope"] == "pooled"
    ]
    assert float(row["scaled_mean"]) == test.scaled_mean
    assert row["dataset"] == "d0, d1, d2, d3"


def test_references_are_marked_and_not_ranked(make_run: Callable[..., Any], tmp_path: Path) -> None:
    figures = {
        (f"d{d}", label, s): {"nll": d + s + 0.1 * i}
        for d in range(5)
        for i, label in enumerate(["ensemble", "kd", "gauss"])
        for s in range(2)
    }
    results = load(make_run(tmp_path / "run", figures).folder)
    comparison = compare(results)
    assert "ensemble (ref.)" in comparison_text(comparison)
    assert comparison.across is not None
    assert list(comparison.ranks["label"]) == ["kd", "gauss"]
    assert set(comparison.pooled["first"]) == {"gauss"}
    with_reference = compare(results, baseline="ensemble").ranks
    assert list(with_reference["label"]) == ["ensemble", "kd", "gauss"]
