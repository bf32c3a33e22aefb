"""What `compare` says of runs whose figures are known."""

from __future__ import annotations

import csv
import io
import json
import math
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy import stats

from bench.analysis.comparison import (
    Comparison,
    as_csv,
    as_json,
    as_latex,
    as_text,
    compare,
    compare_all,
    in_words,
)
from bench.analysis.results import Results, read

Table = Mapping[str, list[float]]
Made = Callable[..., Results]


@pytest.fixture
def made(make_run: Callable[..., Any], tmp_path: Path) -> Made:
    """made({label: figures by seed}, datasets=…, metric=…): a run that was read."""

    def make(
        table: Table,
        datasets: tuple[str, ...] = ("digits",),
        metric: str = "nll",
        folder: str = "run",
        **options: Any,
    ) -> Results:
        figures = {
            (dataset, label, seed): {metric: value}
            for dataset in datasets
            for label, values in table.items()
            for seed, value in enumerate(values)
        }
        return read([make_run(tmp_path / folder, figures, **options).folder])

    return make


THREE = {"kd": [1.0, 2.0, 3.0], "hydra+": [0.9, 1.8, 2.7]}
TEN = {
    "kd": [float(s) for s in range(10)],
    "hydra+": [s - 0.1 - 0.01 * s for s in range(10)],
    "gauss": [s + 0.1 * (-1) ** s for s in range(10)],
}


def test_a_pair_by_hand(made: Made) -> None:
    [entry] = compare(made(THREE), baseline="kd").datasets
    [pair] = entry.pairs
    # Differences -.1, -.2, -.3: mean -.2, standard error .1 / √3.
    assert (pair.first, pair.second, pair.n) == ("hydra+", "kd", 3)
    assert pair.interval == pytest.approx((-0.2, -0.4484138, 0.0484138))
    assert pair.effect == pytest.approx(-2 / math.sqrt(math.pi))
    assert (pair.wins, pair.ties, pair.losses) == (3, 0, 0)
    # Of nine pairs of runs, hydra+ is lower in (.9: 3, 1.8: 2, 2.7: 1).
    assert pair.improvement == pytest.approx(6 / 9)
    assert pair.sign_flip == pair.wilcoxon == (0.25, 0.25)
    assert (entry.least_p, entry.seeds_needed) == (0.25, 6)


def test_the_direction_is_the_metrics(made: Made) -> None:
    found = compare(made(THREE, metric="accuracy"), "accuracy", baseline="kd")
    [pair] = found.datasets[0].pairs
    assert (pair.wins, pair.losses) == (0, 3)
    assert pair.improvement == pytest.approx(3 / 9)


def test_a_metric_without_direction_has_no_better(made: Made) -> None:
    results = made(TEN, metric="epistemic@test")
    found = compare(results, "epistemic@test", baseline="kd")
    assert all(math.isnan(pair.improvement) for pair in found.datasets[0].pairs)
    words = " ".join([as_text(found), *in_words(found)])
    assert "better" not in words.replace("no better direction", "")
    assert "hydra+ has a lower epistemic@test than kd" in words


def test_few_seeds_are_said_to_be_too_few(made: Made) -> None:
    found = compare(made(THREE), baseline="kd")
    text = (
        "with 3 seeds no test can reach .05: the smallest possible p is .25; with 1 comparison 6 "
        "seeds would be needed."
    )
    assert in_words(found)[0] == f"On digits, {text}"
    assert "With" + text[4:] in as_text(found).replace("\n", " ")
    assert "*" not in as_text(found).split("nll: lower is better")[0]


def test_one_seed(made: Made) -> None:
    found = compare(made({"kd": [1.0], "gauss": [2.0]}))
    assert "with 1 seed no test can reach .05" in in_words(found)[0]
    [row] = [line for line in as_text(found).splitlines() if line.startswith("gauss")]
    assert row.split() == ["gauss", "1.0", "–", "–", "0.00", "0/0/1", "1", "1", "1"]
    json.loads(as_json(found))


def test_who_is_better_is_said_in_words(made: Made) -> None:
    found = compare(made(TEN), baseline="kd")
    differences = [-0.1 - 0.01 * s for s in range(10)]
    low, high = stats.ttest_1samp(differences, 0).confidence_interval()
    assert in_words(found)[0] == (
        f"On digits, hydra+ has a lower (better) nll than kd by 0.145 (95 % interval {-high:.3f} "
        f"to {-low:.3f}, n = 10 seeds; sign-flip p = .004 after Holm over 2 comparisons). 1 of 2 "
        "comparisons tell nothing apart."
    )
    [row] = [line for line in as_text(found).splitlines() if line.startswith("hydra+")]
    assert "10/0/0  10   .004*    .004" in row


def test_all_pairs_without_a_baseline(made: Made) -> None:
    [entry] = compare(made(TEN)).datasets
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


def test_the_same_figures_are_ties(made: Made) -> None:
    [pair] = compare(made({"a": [1.0, 2.0], "b": [1.0, 2.0]})).datasets[0].pairs
    assert (pair.wins, pair.ties, pair.losses) == (0, 2, 0)
    assert pair.sign_flip == pair.wilcoxon == (1, 1)
    assert pair.improvement == 0.5


def test_what_is_missing_is_named_and_not_averaged(made: Made) -> None:
    table = {"kd": [1.0, 2, math.nan, 4, 5], "gauss": [2.0, 3, 4, math.inf, 6], "endd": [1.0]}
    bad = {("digits", "endd", 1): "out of memory", ("digits", "endd", 2): "out of memory"}
    missing = [("digits", "endd", 3)]
    found = compare(made(table, failed=bad, missing=missing), baseline="kd")
    endd, gauss = sorted(found.datasets[0].pairs, key=lambda pair: pair.first)
    assert (endd.over, gauss.over) == ((0,), (0, 1, 4))
    assert gauss.interval.mean == 1
    assert in_words(found)[0].endswith(
        "Left out: kd: nan (seed 2); gauss: inf (seed 3); endd: failed (seeds 1-2), not run "
        "(seed 3)."
    )
    assert "Left out: " in as_text(found)
    assert "digits: left out: kd: nan (seed 2)" in as_latex(found)


def test_across_five_complete_datasets(make_run: Callable[..., Any], tmp_path: Path) -> None:
    found = compare(read([_many(make_run, tmp_path, 6)]), labels=["a", "b", "c"])
    across = found.across
    assert across is not None
    means = _means(6)
    assert across.labels == ("a", "b", "c")
    assert across.ranks == (1, 2, 3)
    assert across.friedman == pytest.approx(stats.friedmanchisquare(*means.T).pvalue)
    expected = stats.studentized_range.sf(2 * math.sqrt(6 * 6 / 12) * math.sqrt(2), 3, np.inf)
    assert across.nemenyi[0, 2] == pytest.approx(expected)
    assert across.groups == (("a", "b"), ("b", "c"))
    assert across.critical_difference == pytest.approx(2.343 / math.sqrt(3), abs=1e-3)
    pair = across.pairs[0]
    assert pair.differences == pytest.approx(means[:, 1] - means[:, 0])
    assert (pair.n, pair.sign_flip.p) == (6, 2 / 64)
    assert math.isnan(pair.improvement)
    words = in_words(found)[-1]
    assert words.startswith("Across 6 datasets, 3 methods differ in nll (Friedman's p = .002).")
    assert words.endswith("on: a and c.")
    assert "with 6 datasets no test can reach .05" in as_text(found).replace("\n", " ")


def test_incomplete_methods_are_left_out_across(
    make_run: Callable[..., Any], tmp_path: Path
) -> None:
    failed = {("d3", "c", 1): "broken"}
    found = compare(read([_many(make_run, tmp_path, 5, failed)]))
    assert found.across is not None
    assert found.across.labels == ("a", "b")
    assert found.incomplete == {"c": "failed (seed 1) on d3"}
    assert "c: failed (seed 1) on d3" in as_text(found)
    lacking = compare(read([tmp_path / "many"]), baseline="c")
    assert lacking.across is None
    assert lacking.no_across == "the baseline c is incomplete"


def test_few_datasets_are_not_enough_but_pooled(
    make_run: Callable[..., Any], tmp_path: Path
) -> None:
    found = compare(read([_many(make_run, tmp_path, 3)]), baseline="a")
    assert in_words(found)[-1] == (
        "Across datasets nothing is tested: it needs 5 datasets, here are 3."
    )
    assert [(test.n, test.datasets) for test in found.pooled] == [(9, 3), (9, 3)]
    text = as_text(found).replace("\n", " ")
    assert "On exactly these datasets (d0, d1, d2), seeds pooled" in text
    assert "It says nothing about other datasets." in text


def _figure(dataset: int, label: str, seed: int) -> float:
    return 10.0 * dataset + seed + "abc".index(label) * (1 + 0.1 * dataset + 0.01 * seed)


def _means(datasets: int) -> np.ndarray:
    return np.array(
        [
            [np.mean([_figure(d, label, s) for s in range(3)]) for label in "abc"]
            for d in range(datasets)
        ]
    )


def _many(
    make_run: Callable[..., Any],
    folder: Path,
    datasets: int,
    failed: Mapping[tuple[str, str, int], str] | None = None,
) -> Path:
    figures = {
        (f"d{d}", label, seed): {"nll": _figure(d, label, seed)}
        for d in range(datasets)
        for label in "abc"
        for seed in range(3)
        if (f"d{d}", label, seed) not in (failed or {})
    }
    return Path(make_run(folder / "many", figures, failed=failed).folder)


def test_references_are_marked_and_not_ranked(make_run: Callable[..., Any], tmp_path: Path) -> None:
    figures = {
        (f"d{d}", label, s): {"nll": d + s + 0.1 * i}
        for d in range(5)
        for i, label in enumerate(["ensemble", "kd", "gauss"])
        for s in range(2)
    }
    results = read([make_run(tmp_path / "run", figures).folder])
    found = compare(results)
    assert "ensemble (ref.)" in as_text(found)
    assert found.across is not None
    assert found.across.labels == ("kd", "gauss")
    asked = compare(results, baseline="ensemble").across
    assert asked is not None
    assert asked.labels == ("ensemble", "kd", "gauss")


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


def test_other_seeds_are_not_paired(made: Made, mistake: Callable[..., str]) -> None:
    table = {"kd": [1.0, math.nan], "gauss": [math.nan, 1.0]}
    assert "gauss and kd: no seed in common" in mistake(compare, made(table))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"metric": "nlll"}, "nlll: unknown metric; did you mean 'nll'?"),
        ({"metric": "crps"}, "crps: no cell has this figure"),
        ({"baseline": "kdd"}, "method kdd: not in the run; did you mean 'kd'?"),
        ({"labels": ["kd", "hydra"]}, "method hydra: not in the run; did you mean 'hydra+'?"),
        ({"labels": ["kd"]}, "compare: there is only kd; two methods are needed"),
        ({"datasets": ["digit"]}, "dataset digit: not in the run; did you mean 'digits'?"),
    ],
)
def test_mistakes(
    made: Made, mistake: Callable[..., str], arguments: dict[str, Any], message: str
) -> None:
    results = made(THREE)
    assert mistake(lambda: compare(results, **arguments)).startswith(message)


def test_a_baseline_without_figures(made: Made, mistake: Callable[..., str]) -> None:
    failed = {("digits", "endd", seed): "broken" for seed in range(3)}
    results = made(THREE, failed=failed)
    assert mistake(lambda: compare(results, baseline="endd")) == (
        "digits: nll can't be compared: the baseline endd: failed (seeds 0-2)"
    )


def test_a_metric_of_another_task(
    make_run: Callable[..., Any], tmp_path: Path, mistake: Callable[..., str]
) -> None:
    figures = {
        (dataset, label, seed): {metric: float(seed)}
        for dataset, metric in (("digits", "accuracy"), ("sine", "crps"))
        for label in ("kd", "gauss")
        for seed in range(2)
    }
    results = read([make_run(tmp_path / "run", figures).folder])
    assert compare(results, "crps").absent == {"digits": "no method has it"}
    assert mistake(lambda: compare(results, "crps", datasets=["digits"])) == (
        "digits: crps can't be compared: no method has it"
    )


def test_a_method_stands_for_its_variants(made: Made, mistake: Callable[..., str]) -> None:
    table = {"kd": [1.0], "h[2]": [2.0], "h[3]": [3.0]}
    results = made(table, methods={"h[2]": "h", "h[3]": "h"})
    assert {p.first for p in compare(results, baseline="kd", labels=["h"]).datasets[0].pairs} == {
        "h[2]",
        "h[3]",
    }
    assert mistake(lambda: compare(results, baseline="h")) == "baseline h: which of h[2], h[3]?"


def test_csv_and_json_hold_everything(made: Made) -> None:
    results = made(TEN, datasets=("digits", "spiral"))
    found = compare_all(results, ["nll"], baseline="kd")
    rows = list(csv.DictReader(io.StringIO(as_csv(*found))))
    assert [(row["scope"], row["first"]) for row in rows] == [
        *[("dataset", "hydra+"), ("dataset", "gauss")] * 2,
        ("pooled", "hydra+"),
        ("pooled", "gauss"),
    ]
    pair = found[0].datasets[0].pairs[0]
    assert float(rows[0]["mean"]) == pair.interval.mean
    assert float(rows[0]["wilcoxon_p_holm"]) == pair.wilcoxon.adjusted
    [described] = json.loads(as_json(*found))
    assert described["no_across"] == "it needs 5 datasets, here are 2"
    assert described["datasets"][0]["seeds_needed"] == 0
    assert as_csv(*found) == as_csv(*found)


def _hostile(made: Made) -> Comparison:
    names = ("a_b & 100% #1", "<script>alert(1)</script>", "../x", "hydra+[b=0.5,heads=20,lam=0]")
    table = {name: [i + 0.1 * s for s in range(3)] for i, name in enumerate(names)}
    return compare(made(table, datasets=("a_b & 100% #1",)))


def test_tables_fit_a_terminal(made: Made) -> None:
    text = as_text(_hostile(made))
    assert max(map(len, text.splitlines())) <= 80
    assert "hydra+[b=0.5,heads=20,lam=0]" in text


def test_latex_escapes_names(made: Made) -> None:
    text = as_latex(_hostile(made))
    assert r"a\_b \& 100\% \#1" in text
    assert "<script" not in text
    assert text.count(r"\begin{tabular}") == 1
    assert text.isascii()
