"""A comparison as text, CSV, JSON and LaTeX."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tests.bench.analysis.comparison.compared_runs import (
    TEN,
    THREE,
    MakeResults,
    pairs_of,
)
from tests.bench.analysis.test_latex import HOSTILE, compiled, needs_pdflatex

from distillation_bench.bench.analysis.comparison import (
    Comparison,
    compare,
)
from distillation_bench.bench.analysis.comparison.comparison_tables import (
    comparison_latex,
    comparison_text,
)
from distillation_bench.bench.analysis.comparison.comparison_values import (
    comparison_csv,
    comparison_json,
)
from distillation_bench.bench.analysis.comparison.sentences import verdict_lines
from distillation_bench.bench.analysis.latex import preamble
from distillation_bench.bench.analysis.results import load
from distillation_bench.bench.cli.main import main


def test_csv_and_json_hold_every_pair_and_value(make_results: MakeResults) -> None:
    results = make_results(TEN, datasets=("digits", "spiral"))
    comparisons = [compare(results, "nll", baseline="kd")]
    rows = list(csv.DictReader(io.StringIO(comparison_csv(*comparisons))))
    assert [(row["scope"], row["first"]) for row in rows] == [
        *[("dataset", "hydra+"), ("dataset", "gauss")] * 2,
        ("pooled", "hydra+"),
        ("pooled", "gauss"),
    ]
    pair = pairs_of(comparisons[0])[0]
    assert float(rows[0]["mean"]) == pair.mean
    assert float(rows[0]["wilcoxon_p_holm"]) == pair.p_rank_holm
    [described] = json.loads(comparison_json(*comparisons))
    assert described["no_across"] == "it needs 5 datasets, here are 2"
    assert described["datasets"][0]["seeds_needed"] == 0
    assert comparison_csv(*comparisons) == comparison_csv(*comparisons)


def _hostile(make_results: MakeResults) -> Comparison:
    names = ("a_b & 100% #1", "<script>alert(1)</script>", "../x", "hydra+[b=0.5,heads=20,lam=0]")
    table = {name: [i + 0.1 * s for s in range(3)] for i, name in enumerate(names)}
    return compare(make_results(table, datasets=("a_b & 100% #1",)))


def test_tables_fit_a_terminal(make_results: MakeResults) -> None:
    text = comparison_text(_hostile(make_results), width=80)
    assert max(map(len, text.splitlines())) <= 80
    assert "hydra+[b=0.5,heads=20,lam=0]" in text


def test_names_send_no_control_characters_to_a_terminal(make_results: MakeResults) -> None:
    label = "\x1b[2Jred\nkd  "
    failed = {("digits", label, 2): "broken"}
    text = comparison_text(
        compare(make_results({label: [1.0, 2.0], "kd": [1.0, 3.0]}, failed=failed))
    )
    assert "\x1b" not in text
    assert "�[2Jred kd" in text


def test_latex_escapes_names(make_results: MakeResults) -> None:
    text = comparison_latex(_hostile(make_results))
    assert r"a\_b \& 100\% \#1" in text
    assert "<script" not in text
    assert text.count(r"\begin{tabular}") == 1
    assert text.isascii()


def test_latex_has_tables_that_fit_a_page_for_each_dataset(make_results: MakeResults) -> None:
    table = {f"m{i}": [i + 0.1 * s for s in range(3)] for i in range(11)}
    comparison = compare(make_results(table, datasets=("digits", "spiral")))
    text = comparison_latex(comparison, comparison)
    assert text.startswith(preamble()) and text.count(preamble()) == 1
    # 55 pairs: at most 45 rows a page, in parts of about the same size.
    tables = text.split(r"\begin{table}")[1:5]
    assert [table.count(r" \\") - 1 for table in tables] == [28, 27] * 2
    assert r"\caption{NLL [nats] on digits, all pairs. NLL: lower is better" in tables[0].replace(
        "{[}", "["
    )
    assert "d_z" not in tables[0].replace("$d_z$", "") and "$d_z$: Cohen's" in tables[0]
    assert "$p$: sign{-}flip test" in tables[0]
    # What the columns mean is said once.
    assert "Cohen" not in "".join(tables[1:])
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
    results = load(make_run(tmp_path / "run", figures, failed=failed).folder)
    comparisons = [compare(results, baseline=baseline), compare(results, datasets=["e", "f"])]
    log = compiled(tmp_path, comparison_latex(*comparisons))
    assert "Overfull" not in log
    assert "multiply defined" not in log.replace("tab:compare-nll-e-all", "")


def test_files_are_checked_first_and_stdout_holds_only_data(
    make_run: Callable[..., Any],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    figures = {("d", x, s): {"nll": float(s + i * s)} for i, x in enumerate("ab") for s in range(3)}
    make_run(tmp_path / "run", figures)

    def command(*arguments: str) -> tuple[int, str, str]:
        command_line = ["run_bench.py", "compare", str(tmp_path / "run"), *arguments]
        monkeypatch.setattr("sys.argv", command_line)
        with pytest.raises(SystemExit) as ended:
            main()
        return int(ended.value.code or 0), *capsys.readouterr()

    written = tmp_path / "new" / "c.json"
    assert "NLL [nats] on d: first − second" in command("--json", str(written))[1]
    assert command("--json", "-")[1] == written.read_text()
    code, out, error = command("--csv", str(tmp_path / "c.csv"), "--latex", str(tmp_path))
    assert (code, out, error.count("\n")) == (2, "", 1)
    assert not (tmp_path / "c.csv").exists()


def test_the_text_begins_with_verdicts_and_ends_with_the_legend(make_results: MakeResults) -> None:
    results = make_results(TEN, datasets=("digits", "spiral"))
    few = make_results({k: v[:3] for k, v in TEN.items()}, metric="accuracy", folder="few")
    comparisons = [compare(results, baseline="kd"), compare(few, "accuracy", baseline="kd")]
    text = comparison_text(*comparisons, width=100)
    lines = text.splitlines()
    assert lines[0].startswith("NLL: hydra+ is better than kd on digits by 0.145 nats [0.123, 0.")
    assert lines[1].startswith("NLL: gauss and kd on digits are not statistically distinguishable")
    assert "\nError on digits: cannot tell with n = 3: at least 7 seeds are" in text
    first_table = text.index("difference")
    assert text.index("Error on digits") < first_table < text.index("NLL: lower is better")
    for words in ("Cohen's", "lower is better. Differences", "Student's t"):
        assert text.count(words) == 1
    assert text.rstrip().splitlines()[-1].endswith("seen.")


def test_the_legend_explains_only_what_is_shown(make_results: MakeResults) -> None:
    few = comparison_text(compare(make_results(THREE)), width=1000)
    assert "° no smaller p" in few and "p: sign-flip test" in few
    assert not any(text in few for text in ("p rank", "Holm: ", "* p Holm"))
    many = comparison_text(compare(make_results(TEN)), width=1000)
    assert all(text in many for text in ("p rank: Wilcoxon's", "Holm: after", "* p Holm at most"))
    alike = {"kd": TEN["kd"], "gauss": TEN["gauss"]}
    same = comparison_text(compare(make_results(alike)), width=1000)
    assert "Holm: after" in same and "* p Holm" not in same and "° no" not in same


def test_verdicts_of_equal_p_begin_with_the_largest_effect(make_results: MakeResults) -> None:
    seeds = range(10)
    gains = {"a": 0.0, "b": 0.1, "c": 5.0, "d": 0.2}
    table = {
        x: [s + gain + 0.01 * (s % 3) * i for s in seeds]
        for i, (x, gain) in enumerate(gains.items())
    }
    comparison = compare(make_results(table), baseline="a")
    assert comparison.pairs["p_holm"].nunique() == 1
    verdicts = verdict_lines(comparison)
    effects = comparison.pairs.set_index("first")["effect"].abs().sort_values(ascending=False)
    assert (
        [line.split(" than ")[1][0] for line in verdicts[:3]]
        == list(effects.index)
        != ["b", "c", "d"]
    )


def test_the_error_is_printed_for_the_accuracy(make_results: MakeResults) -> None:
    # kd has the higher accuracy by 1, 2, … 10 %.
    table = {"kd": [0.9] * 10, "gauss": [0.9 - 0.01 * (s + 1) for s in range(10)]}
    comparison = compare(make_results(table, metric="accuracy"), "accuracy")
    assert comparison.sentences[0] == (
        "Error: kd is better than gauss on digits by 5.5 points [3.3, 7.7], n = 10, p = .002"
    )
    text = comparison_text(comparison, width=120)
    [row] = [line for line in text.splitlines() if line.startswith("gauss − kd")]
    assert row.split()[3:7] == ["5.5", "3.3", "to", "7.7"] and "0/0/10" in row
    assert "Error [%] on digits" in text and "accuracy" not in text.lower()
    legend = " ".join(text.split())
    assert "Error: lower is better." in legend and "percentage points" in legend
    assert float(next(csv.DictReader(io.StringIO(comparison_csv(comparison))))["mean"]) < 0


def test_no_p_value_contradicts_its_effect_unexplained(make_results: MakeResults) -> None:
    # Ten methods, three seeds: all seeds agree, and still nothing can be shown.
    table = {f"m{i}": [i + 0.01 * s * i for s in range(3)] for i in range(10)}
    text = comparison_text(compare(make_results(table)), width=120)
    [row] = [line for line in text.splitlines() if line.startswith("m9 − m8")]
    assert row.split()[-4].startswith(".250°") and "Holm " not in row
    assert "p Holm" not in text.partition("NLL: lower is better")[0]
    assert "° no smaller p is possible with this n" in text
    assert " ".join(text.split()).startswith(
        "NLL on digits: cannot tell with n = 3: at least 11 seeds are needed (the smallest "
        "possible p = .25, after Holm's correction over 45 comparisons p = 1)"
    )


def test_many_pairs_begin_with_who_is_better_than_how_many(make_results: MakeResults) -> None:
    table = {f"m{i}": [i + 0.01 * s * i for s in range(14)] for i in range(10)}
    comparison = compare(make_results(table))
    assert comparison.sentences[0] == (
        "NLL on digits: m0 is better than all 9 other methods and worse than none; 45 of 45 pairs "
        "are statistically distinguishable, n = 14"
    )
    text = comparison_text(comparison, width=120)
    header = "method  better than  worse than  not distinguishable from"
    standings = [line.split() for line in text.partition(header)[2].splitlines()[2:5]]
    assert standings == [["m0", "9", "0", "0"], ["m1", "8", "1", "0"], ["m2", "7", "2", "0"]]
    assert "30 of 45 pairs, smallest p first" in text
    assert "15 more pairs: see --csv, --json or --baseline LABEL." in text


@pytest.mark.parametrize("width", [60, 80, 120, 200])
def test_rows_are_not_wrapped_and_columns_below_are_announced(
    make_results: MakeResults, width: int
) -> None:
    table = {f"h[heads={i}]": [i + 0.1 * s for s in range(10)] for i in (20, 5, 10)}
    results = make_results(table, methods=dict.fromkeys(table, "h"))
    text = comparison_text(compare(results), width=width)
    lines = text.splitlines()
    assert max(map(len, lines)) <= width
    rules = [line for line in lines if line.startswith("---")]
    assert len(rules) == {60: 3, 80: 2}.get(width, 1)
    assert ("goes on: " in text) == (width < 120)
    # A rule has a part for each column: the method, and at least two others.
    assert all(len(rule.split()) > 2 for rule in rules)
    rows = [line.partition("  ")[0] for line in lines if line.startswith("h[") and " − " in line]
    # In natural order.
    assert rows[:3] == [
        "h[heads=10] − h[heads=5]",
        "h[heads=20] − h[heads=5]",
        "h[heads=20] − h[heads=10]",
    ]
