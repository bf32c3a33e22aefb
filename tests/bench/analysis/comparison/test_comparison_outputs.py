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
    MakeResults,
    pairs_of,
)
from tests.bench.analysis.markup.test_latex import HOSTILE, compiled, needs_pdflatex

from distillation_bench.bench.analysis.comparison import (
    Comparison,
    compare,
    compare_all,
)
from distillation_bench.bench.analysis.comparison.comparison_data import (
    comparison_csv,
    comparison_json,
)
from distillation_bench.bench.analysis.comparison.comparison_latex import comparison_latex
from distillation_bench.bench.analysis.comparison.comparison_text import comparison_text
from distillation_bench.bench.analysis.markup.latex_tables import preamble
from distillation_bench.bench.analysis.results import load
from distillation_bench.bench.cli.main import main


def test_csv_and_json_hold_every_pair_and_value(make_results: MakeResults) -> None:
    results = make_results(TEN, datasets=("digits", "spiral"))
    comparisons = compare_all(results, ["nll"], baseline="kd")
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
    # 55 pairs: 45 and 10 rows.
    tables = text.split(r"\begin{table}")[1:5]
    assert [table.count(r" \\") - 1 for table in tables] == [45, 10] * 2
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
