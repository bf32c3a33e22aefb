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
from tests.bench.analysis.test_latex import HOSTILE, compiled, needs_pdflatex
from tests.simulation.comparisons import on_each_dataset, together
from tests.simulation.null import NOISES
from tests.simulation.runs import results_of

from distillation_bench.bench.analysis.comparison.across_datasets import compare_across_datasets
from distillation_bench.bench.analysis.comparison.comparison_latex import comparison_latex
from distillation_bench.bench.analysis.comparison.comparison_text import comparison_text
from distillation_bench.bench.analysis.comparison.csv_and_json import (
    comparison_csv,
    comparison_json,
)
from distillation_bench.bench.analysis.comparison.method_comparison import (
    Comparison,
    compare,
    compare_all,
)
from distillation_bench.bench.analysis.comparison.sentences import comparison_sentences
from distillation_bench.bench.analysis.markup.latex_tables import preamble
from distillation_bench.bench.analysis.pairing import PairedValues
from distillation_bench.bench.analysis.results import Results, read
from distillation_bench.bench.analysis.statistics import sign_flip_p
from distillation_bench.bench.analysis.tables.table_builder import make_tables
from distillation_bench.bench.analysis.tables.table_model import TableOptions
from distillation_bench.bench.cli.main import main
from distillation_bench.bench.storage.tables import CellKey

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
    assert (entry.smallest_p, entry.seeds_needed) == (0.25, 6)


def test_the_direction_is_the_metrics(made: Made) -> None:
    found = compare(made(THREE, metric="accuracy"), "accuracy", baseline="kd")
    [pair] = found.datasets[0].pairs
    assert (pair.wins, pair.losses) == (0, 3)
    assert pair.improvement == pytest.approx(3 / 9)


def test_a_metric_without_direction_has_no_better(made: Made) -> None:
    results = made(TEN, metric="epistemic@test")
    found = compare(results, "epistemic@test", baseline="kd")
    assert all(math.isnan(pair.improvement) for pair in found.datasets[0].pairs)
    words = " ".join([comparison_text(found), *comparison_sentences(found)])
    assert "better" not in words.replace("no better direction", "")
    assert "hydra+ has a lower epistemic@test than kd" in words


def test_few_seeds_are_said_to_be_too_few(made: Made) -> None:
    found = compare(made(THREE), baseline="kd")
    text = (
        "with 3 seeds no sign-flip or Wilcoxon test can reach .05: the smallest possible p is .25; "
        "with 1 comparison 6 seeds would be needed."
    )
    assert comparison_sentences(found)[0] == f"On digits, {text}"
    assert "With" + text[4:] in comparison_text(found).replace("\n", " ")
    assert "*" not in comparison_text(found).split("nll: lower is better")[0]


def test_one_seed(made: Made) -> None:
    found = compare(made({"kd": [1.0], "gauss": [2.0]}))
    assert (
        "with 1 seed no sign-flip or Wilcoxon test can reach .05" in comparison_sentences(found)[0]
    )
    [row] = [line for line in comparison_text(found).splitlines() if line.startswith("gauss")]
    assert row.split() == ["gauss", "1.0", "–", "–", "0.00", "0/0/1", "1", "1", "1"]
    json.loads(comparison_json(found))


def test_who_is_better_is_said_in_words(made: Made) -> None:
    found = compare(made(TEN), baseline="kd")
    differences = [-0.1 - 0.01 * s for s in range(10)]
    low, high = stats.ttest_1samp(differences, 0).confidence_interval()
    assert comparison_sentences(found)[0] == (
        f"On digits, hydra+ has a lower (better) nll than kd by 0.145 (95 % interval {-high:.3f} "
        f"to {-low:.3f}, n = 10 seeds; sign-flip p = .004 after Holm over 2 comparisons). 1 of 2 "
        "comparisons tell nothing apart."
    )
    [row] = [line for line in comparison_text(found).splitlines() if line.startswith("hydra+")]
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
    assert comparison_sentences(found)[0].endswith(
        "Left out: kd: nan (seed 2); gauss: inf (seed 3); endd: failed (seeds 1-2), missing "
        "(seed 3)."
    )
    assert "Left out: " in comparison_text(found)
    assert "Left out: kd: nan (seed 2)" in comparison_latex(found)


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
    # Datasets' figures may be of different units: no averages over them.
    assert np.isnan([*pair.interval, pair.effect, pair.improvement]).all()
    table = comparison_text(found).partition("6 datasets, means over seeds")[2]
    assert "method  W/T/L  n  p flip  p rank" in table
    assert "c       0/0/6  6    .094    .094" in table
    words = comparison_sentences(found)[-1]
    assert words.startswith("Across 6 datasets, 3 methods differ in nll (Friedman's p = .002).")
    assert words.endswith("by Nemenyi's test average ranks at least 1.35 apart differ: a and c.")
    assert (
        "with 6 datasets the smallest possible p = .031, but after Holm's correction over 3 "
        "comparisons p = .094: no sign-flip or Wilcoxon test can reach .05; 7 datasets would be "
        "needed."
    ) in comparison_text(found).replace("\n", " ")


def test_incomplete_methods_are_left_out_across(
    make_run: Callable[..., Any], tmp_path: Path
) -> None:
    failed = {("d3", "c", 1): "broken"}
    found = compare(read([_many(make_run, tmp_path, 5, failed)]))
    assert found.across is not None
    assert found.across.labels == ("a", "b")
    assert found.incomplete == {"c": "failed (seed 1) on d3"}
    assert "c: failed (seed 1) on d3" in comparison_text(found)
    lacking = compare(read([tmp_path / "many"]), baseline="c")
    assert lacking.across is None
    assert lacking.no_across == "the baseline c is incomplete"


def test_few_datasets_are_not_enough_but_pooled(
    make_run: Callable[..., Any], tmp_path: Path
) -> None:
    found = compare(read([_many(make_run, tmp_path, 3)]), baseline="a")
    assert comparison_sentences(found)[-1] == (
        "Across datasets nothing is tested: it needs 5 datasets, here are 3."
    )
    assert [(test.n, test.datasets) for test in found.pooled] == [(9, ("d0", "d1", "d2"))] * 2
    text = comparison_text(found).replace("\n", " ")
    assert "On exactly these datasets (d0, d1, d2), seeds pooled" in text
    assert "It says nothing about other datasets." in text


def test_a_dataset_that_is_named_five_times_is_one(made: Made) -> None:
    results = made(TEN)
    found = compare(results, datasets=["digits"] * 5)
    assert [entry.dataset for entry in found.datasets] == ["digits"]
    assert found.across is None and found.pooled == ()
    assert comparison_text(found) == comparison_text(compare(results))
    blocks = PairedValues(results, found.metric, results.values(found.metric), ["kd", "gauss"])
    with pytest.raises(AssertionError, match="twice"):
        compare_across_datasets(blocks, ["digits"] * 5, ["kd", "gauss"], "", "lower")


def test_pooled_differences_are_said_to_be_scaled(
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
    found = compare(read([make_run(tmp_path / "run", figures).folder]))
    [test] = found.pooled
    size = math.sqrt((2 * 6.7**2 + 1e-6) / 3)
    scaled = [1.0] * 18 + [x / size for x in (0.001, -6.7, -6.7)]
    # b minus a; on the mean of raw differences it would be below 0.
    assert test.scaled_mean == pytest.approx(np.mean(scaled))
    assert (test.n, test.agreeing) == (21, 3)
    assert test.sign_flip.p == pytest.approx(sign_flip_p(scaled), rel=1e-2)
    text = comparison_text(found).replace("\n", " ")
    assert "in differences scaled by each dataset's root mean square" in text
    assert "a is better than b in standardised differences of nll, by 0.74 (n = 21 on 4; p" in text
    assert "its mean is better on 3 of 4 datasets)" in text
    [row] = [
        r for r in csv.DictReader(io.StringIO(comparison_csv(found))) if r["scope"] == "pooled"
    ]
    assert float(row["scaled_mean"]) == found.pooled[0].scaled_mean
    assert row["dataset"] == "d0, d1, d2, d3"


def test_ties_are_those_of_the_tests(made: Made) -> None:
    # .3 - .2 is not .1 in floating point, and 1e-17 is no win.
    table = {"a": [0.3, 1.0, 0.0], "b": [0.3 + 1e-17, 0.0, 1e-17]}
    [pair] = compare(made(table)).datasets[0].pairs
    assert (pair.wins, pair.ties, pair.losses) == (1, 2, 0)
    assert pair.wilcoxon.p == pair.sign_flip.p == 1


@pytest.mark.parametrize("metric", ["flops", "parameters"])
def test_costs_are_compared_but_not_tested(made: Made, metric: str) -> None:
    table = {"ensemble": [9.0] * 10, "kd": [1.0] * 10, "gauss": [2.0] * 10}
    found = compare(made(table, metric=metric), metric, baseline="kd")
    assert {pair.first: pair.interval.mean for pair in found.datasets[0].pairs} == {
        "ensemble": 8,
        "gauss": 1,
    }
    assert not found.is_tested and not found.pooled and found.across is None
    [said] = comparison_sentences(found)
    assert said == f"{metric}: what a student costs is chosen, not measured, so nothing is tested."
    assert "so nothing is tested" in comparison_text(found).replace("\n", " ")
    assert json.loads(comparison_json(found))[0]["note"] == said
    assert ".05" not in comparison_text(found) and ".002" not in comparison_latex(found)


def test_the_teacher_is_not_compared_with_itself(made: Made, mistake: Callable[..., str]) -> None:
    table = {"ensemble": [0.0] * 10, "kd": TEN["kd"], "gauss": TEN["gauss"]}
    results = made(table, metric="teacher_kl")
    found = compare(results, "teacher_kl")
    assert [(p.first, p.second) for p in found.datasets[0].pairs] == [("gauss", "kd")]
    assert found.note == (
        "teacher_kl is measured against the ensemble, so references are left out."
    )
    assert found.note in comparison_text(found).replace("\n", " ")
    assert mistake(lambda: compare(results, "teacher_kl", baseline="ensemble")).startswith(
        "--baseline ensemble: teacher_kl is measured against the ensemble"
    )
    assert "there is only kd" in mistake(
        lambda: compare(results, "teacher_kl", labels=["kd", "ensemble"])
    )


def test_references_belong_to_the_family_only_if_asked_for(made: Made) -> None:
    results = made({"ensemble": [0.5 * s for s in range(10)], **TEN})
    [entry] = compare(results, baseline="kd").datasets
    bound, *students = entry.pairs
    assert bound.first == "ensemble" and not bound.is_tested and len(entry.tested) == 2
    assert bound.interval.mean == pytest.approx(-2.25)
    # As without the reference.
    assert {p.sign_flip for p in students} == {
        p.sign_flip for p in compare(made(TEN, folder="students"), baseline="kd").datasets[0].pairs
    }
    text = comparison_text(compare(results, baseline="kd"))
    [row] = [line for line in text.splitlines() if "-2.25" in line]
    assert row.split()[-2:] == ["–", "–"]
    for baseline, labels in (("ensemble", []), ("kd", [*TEN, "ensemble"])):
        [asked] = compare(results, baseline=baseline, labels=labels).datasets
        assert len(asked.tested) == 3
    [alone] = compare(results, labels=["kd"], baseline="ensemble").datasets
    assert len(alone.tested) == 1


def test_a_student_and_a_bound_are_no_family(made: Made) -> None:
    found = compare(made({"ensemble": [1.0, 2.0], "kd": [1.5, 2.5]}))
    assert comparison_sentences(found)[0] == "On digits, nothing is tested: no two students."
    assert math.isnan(found.datasets[0].smallest_p)
    json.loads(comparison_json(found))
    assert r"\begin{table}" in comparison_latex(found)


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
    assert "ensemble (ref.)" in comparison_text(found)
    assert found.across is not None
    assert found.across.labels == ("kd", "gauss")
    assert {test.first for test in found.pooled} == {"gauss"}
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
        ({"metric": "crps"}, "crps: no cell has this value"),
        ({"baseline": "kdd"}, "--baseline kdd: not in these runs; did you mean 'kd'?"),
        ({"labels": ["kd", "hydra"]}, "--method hydra: not in these runs; did you mean 'hydra+'?"),
        ({"labels": ["kd"]}, "nll: there is only kd; two methods are needed"),
        ({"datasets": ["digit"]}, "--dataset digit: not in these runs; did you mean 'digits'?"),
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
    assert compare(results, "crps").not_comparable == {"digits": "no method has it"}
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
    assert mistake(lambda: compare(results, baseline="h")) == "--baseline h: which of h[2], h[3]?"


def test_csv_and_json_hold_everything(made: Made) -> None:
    results = made(TEN, datasets=("digits", "spiral"))
    found = compare_all(results, ["nll"], baseline="kd")
    rows = list(csv.DictReader(io.StringIO(comparison_csv(*found))))
    assert [(row["scope"], row["first"]) for row in rows] == [
        *[("dataset", "hydra+"), ("dataset", "gauss")] * 2,
        ("pooled", "hydra+"),
        ("pooled", "gauss"),
    ]
    pair = found[0].datasets[0].pairs[0]
    assert float(rows[0]["mean"]) == pair.interval.mean
    assert float(rows[0]["wilcoxon_p_holm"]) == pair.wilcoxon.corrected
    [described] = json.loads(comparison_json(*found))
    assert described["no_across"] == "it needs 5 datasets, here are 2"
    assert described["datasets"][0]["seeds_needed"] == 0
    assert comparison_csv(*found) == comparison_csv(*found)


def _hostile(made: Made) -> Comparison:
    names = ("a_b & 100% #1", "<script>alert(1)</script>", "../x", "hydra+[b=0.5,heads=20,lam=0]")
    table = {name: [i + 0.1 * s for s in range(3)] for i, name in enumerate(names)}
    return compare(made(table, datasets=("a_b & 100% #1",)))


def test_tables_fit_a_terminal(made: Made) -> None:
    text = comparison_text(_hostile(made))
    assert max(map(len, text.splitlines())) <= 80
    assert "hydra+[b=0.5,heads=20,lam=0]" in text


def test_a_terminal_gets_no_commands_from_names(made: Made) -> None:
    label = "\x1b[2Jred\nkd  "
    failed = {("digits", label, 2): "broken"}
    text = comparison_text(compare(made({label: [1.0, 2.0], "kd": [1.0, 3.0]}, failed=failed)))
    assert "\x1b" not in text
    assert "�[2Jred kd" in text


def test_latex_escapes_names(made: Made) -> None:
    text = comparison_latex(_hostile(made))
    assert r"a\_b \& 100\% \#1" in text
    assert "<script" not in text
    assert text.count(r"\begin{tabular}") == 1
    assert text.isascii()


def test_latex_has_floats_of_a_page_for_each_dataset(made: Made) -> None:
    table = {f"m{i}": [i + 0.1 * s for s in range(3)] for i in range(11)}
    found = compare(made(table, datasets=("digits", "spiral")))
    text = comparison_latex(found, found)
    assert text.startswith(preamble()) and text.count(preamble()) == 1
    # 55 pairs: 45 and 10 rows.
    tables = text.split(r"\begin{table}")[1:5]
    assert [each.count(r" \\") - 1 for each in tables] == [45, 10] * 2
    assert r"\caption{nll on digits, all pairs. nll: lower is better" in tables[0]
    assert "d_z" not in tables[0].replace("$d_z$", "") and "$d_z$: Cohen's" in tables[0]
    assert r"$p_\mathrm{flip}$: sign{-}flip test" in tables[0]
    assert r"\label{tab:compare-nll-spiral-all-2}" in tables[3]


@needs_pdflatex
@pytest.mark.parametrize("baseline", ["", "kd"])
def test_latex_compiles_and_stays_on_the_page(
    make_run: Callable[..., Any], tmp_path: Path, baseline: str
) -> None:
    # 55 pairs, so two tables a dataset.
    labels = [*HOSTILE[:8], "kd", "ensemble", "hydra+[heads=20]"]
    figures = {
        (dataset, label, seed): {"nll": 100.0 * d + i + 0.1 * seed + 0.01 * i * seed}
        for d, dataset in enumerate(("a_b & 100% #1 \\input{x}", "d", "e", "f", "g"))
        for i, label in enumerate(labels)
        for seed in range(2)
        if (dataset, label, seed) != ("d", "kd", 1)
    }
    failed = {("d", "kd", 1): "100% \\bad_ {"}
    results = read([make_run(tmp_path / "run", figures, failed=failed).folder])
    found = [compare(results, baseline=baseline), compare(results, datasets=["e", "f"])]
    log = compiled(tmp_path, comparison_latex(*found))
    assert "Overfull" not in log
    assert "multiply defined" not in log.replace("tab:compare-nll-e-all", "")


def test_files_are_checked_before_and_stdout_is_kept_clean(
    make_run: Callable[..., Any],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    figures = {("d", x, s): {"nll": float(s + i * s)} for i, x in enumerate("ab") for s in range(3)}
    make_run(tmp_path / "run", figures)

    def command(*arguments: str) -> tuple[int, str, str]:
        given = ["run_bench.py", "compare", str(tmp_path / "run"), *arguments]
        monkeypatch.setattr("sys.argv", given)
        with pytest.raises(SystemExit) as ended:
            main()
        return int(ended.value.code or 0), *capsys.readouterr()

    written = tmp_path / "new" / "c.json"
    assert "d: nll, against a" in command("--json", str(written))[1]
    assert command("--json", "-")[1] == written.read_text()
    code, out, error = command("--csv", str(tmp_path / "c.csv"), "--latex", str(tmp_path))
    assert (code, out, error.count("\n")) == (2, "", 1)
    assert not (tmp_path / "c.csv").exists()


def test_simulated_runs_are_as_those_that_are_read(
    make_run: Callable[..., Any], tmp_path: Path
) -> None:
    tables = np.random.default_rng(0).normal(size=(5, 8, 3))
    simulated = results_of(tables)
    figures = {slot: {"nll": tables[_index(slot)]} for slot in simulated.cells}
    on_disk = read([make_run(tmp_path / "run", figures).folder])
    for baseline in ("", "m1"):
        assert comparison_json(compare(on_disk, baseline=baseline)) == comparison_json(
            compare(simulated, baseline=baseline)
        )
    choice = TableOptions(metrics=("nll",))
    assert make_tables(on_disk, choice) == make_tables(simulated, choice)


def _index(slot: CellKey) -> tuple[int, ...]:
    dataset, label, seed = slot
    return int(dataset[1:]), seed, int(label[1:])


@pytest.mark.parametrize("what", ["all", "fixed"])
@pytest.mark.parametrize("noise", NOISES)
def test_families_hold_their_level_when_all_are_the_same(what: str, noise: str) -> None:
    rate = on_each_dataset(400, 3, 8, noise, what)
    assert rate.share <= 0.05 + 3 * rate.error


def test_datasets_together_hold_their_level() -> None:
    for rate in together(60, 6):
        assert rate.share <= 0.05 + 3 * rate.error
