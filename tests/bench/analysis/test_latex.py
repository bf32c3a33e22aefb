"""LaTeX output compiles, prints the names as they are and fits on the page."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from distillation_bench.bench.analysis.latex import (
    escape_latex,
    floats,
    preamble,
    tabulars,
)
from distillation_bench.bench.analysis.results import load
from distillation_bench.bench.analysis.tables.leaderboard import leaderboards
from distillation_bench.bench.analysis.tables.paper_tables import make_tables
from distillation_bench.bench.analysis.tables.published_values import published_tables
from distillation_bench.bench.analysis.tables.table_latex import (
    latex_macros,
    note_macro,
    tables_latex,
)
from distillation_bench.bench.storage.run_folder import Run

needs_pdflatex = pytest.mark.skipif(
    not shutil.which("pdflatex"),
    reason="pdflatex is not installed: that the LaTeX compiles was NOT checked",
)
HOSTILE = (
    *("a_b & 100% #1", r"\input{x}", "{", "}", "~^", "hydra+ λΩΑς", "<script>", "[kd]", "*star"),
    *("naïve ß ø \u0131 中", 'a--b ?` "q" $y$ §', "-1", "ensemble", "\x1b[1m\n\\\\", "x\u00a0≤ ∞²"),
)
METRICS = ("accuracy", "nll", "ece", "brier", "ood_auroc", "teacher_kl", "teacher_tv_epistemic")


def compiled(folder: Path, body: str) -> str:
    """Compile a document to folder/doc.pdf; return the log of pdflatex."""
    needed = re.search(r"% needs (.*)", body)
    packages = needed[1] if needed else preamble().removeprefix("% needs ")
    text = f"\\documentclass{{article}}{packages}\\begin{{document}}\n{body}\n\\end{{document}}\n"
    (folder / "doc.tex").write_text(text)
    command = ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "doc.tex"]
    done = subprocess.run(command, cwd=folder, capture_output=True, timeout=120, check=False)
    log = done.stdout.decode(errors="replace")
    assert done.returncode == 0, log[-2000:]
    return log


def figures(labels: tuple[str, ...], seeds: int, dataset: str = "d") -> dict:  # type: ignore[type-arg]
    return {
        (dataset, label, seed): dict.fromkeys(METRICS, 0.4 + 0.01 * i + 0.001 * seed)
        for i, label in enumerate(labels)
        for seed in range(seeds)
    }


def test_each_special_character_is_escaped() -> None:
    assert escape_latex(r"a_b & 100% #1") == r"a\_b \& 100\% \#1"
    assert escape_latex(r"\{~^}") == (r"\textbackslash{}\{\textasciitilde{}\textasciicircum{}\}")
    assert escape_latex("λΛΑ ± é") == r"$\lambda$$\Lambda$A $\pm$ \'{e}"
    assert escape_latex("中") == "{[}U+4E2D]"
    assert escape_latex("a\nb\tc\x1b") == "a b c "
    assert escape_latex("[*--") == "{[}{*}{-}{-}"


def test_output_is_ascii_and_holds_no_command_of_the_input() -> None:
    for code in (*range(0x20, 0x500), 0x2013, 0x2192, 0x1F600):
        text = escape_latex(chr(code))
        assert text.isascii() and text
    assert r"\input" not in escape_latex(r"\input{/etc/passwd}")


def test_a_table_float_equals_the_one_written_by_hand() -> None:
    tables = tabulars(["a", "b"], [["1", "2"], ["3", "4"]], rule=1)
    (text,) = floats(tables, "C", "", "tab: a_b}")
    lines = text.splitlines()
    assert r"\label{tab:-a-b-}" in lines and r"\caption{C.}" in lines
    start = lines.index(r"\toprule")
    assert lines[start : start + 7] == [
        *(r"\toprule", r"a & b \\", r"\midrule", r"1 & 2 \\", r"\midrule", r"3 & 4 \\"),
        r"\bottomrule",
    ]


def test_a_long_table_is_cut_into_numbered_parts() -> None:
    def rows_of(count: int, rule: int = 0) -> list[list[int]]:
        tables = tabulars(["n"], [[f"{row}"] for row in range(count)], rule)
        assert all(table.count(r"\midrule") == 1 for table in tables)
        return [list(map(int, re.findall(r"^(\d+) ", table, re.M))) for table in tables]

    assert rows_of(2) == [[0, 1]]
    assert [len(part) for part in rows_of(100)] == [33, 34, 33]
    # A thin line above the first row of a part would double that of its header.
    assert [len(part) for part in rows_of(46, rule=23)] == [23, 23] and rows_of(0) == []
    assert [row for part in rows_of(100) for row in part] == list(range(100))
    first, second = floats(["x", "y"], "T", "E.", "tab:t")
    assert r"\caption{T. E.}" in first and r"\label{tab:t}" in first
    assert r"\caption{T, continued.}" in second and r"\label{tab:t-2}" in second


@needs_pdflatex
def test_all_characters_compile(tmp_path: Path) -> None:
    signs = "".join(map(chr, (*range(0x20, 0x500), *range(0x2010, 0x2040), *range(0x2190, 0x2200))))
    rows = [[escape_latex(signs[i : i + 30]), escape_latex("x")] for i in range(0, len(signs), 30)]
    compiled(tmp_path, "\n\n".join(tabulars(["a", "b"], rows)))


@needs_pdflatex
@pytest.mark.parametrize(
    ("labels", "seeds"),
    [
        pytest.param(HOSTILE, 3, id="hostile"),
        pytest.param(HOSTILE, 1, id="one seed"),
        pytest.param(("kd",), 3, id="one method"),
        pytest.param(("ensemble", "kd", "hydra"), 3, id="worse than chance"),
        pytest.param(tuple(f"hydra+[heads={i}]" for i in range(40)), 8, id="forty methods"),
        pytest.param(tuple(f"hydra+[heads={i}]" for i in range(100)), 2, id="a hundred"),
    ],
)
def test_tables_compile_and_fit_on_the_page(
    make_run: Callable[..., Run], tmp_path: Path, labels: tuple[str, ...], seeds: int
) -> None:
    values = figures(labels, seeds, "a_b & 100% #1 \\input{x}")
    missing = [("a_b & 100% #1 \\input{x}", labels[0], 99)]
    failed = {("a_b & 100% #1 \\input{x}", "all } failed", 0): "100% \\bad_ {"}
    make_run(tmp_path / "run", values, missing=missing, failed=failed)
    results = load(tmp_path / "run")
    choices: tuple[dict[str, Any], ...] = ({}, {"by": "metric"}, {"transpose": True})
    tables = [table for choice in choices for table in make_tables(results, **choice)]
    tables += [replace(board, name=f"board {board.name}") for board in leaderboards(results)]
    body = latex_macros(tables) + tables_latex(tables, label="tab:a_b}")
    log = compiled(tmp_path, body)
    assert "Overfull" not in log
    assert "multiply defined" not in log


@needs_pdflatex
def test_the_tables_of_the_paper_compile(make_run: Callable[..., Run], tmp_path: Path) -> None:
    make_run(tmp_path / "run", figures(("kd", "gauss"), 2, "svhn"))
    tables = published_tables(load(tmp_path / "run"))
    assert "Overfull" not in compiled(tmp_path, latex_macros(tables) + tables_latex(tables))


def test_macros_have_distinct_legal_names(make_run: Callable[..., Run], tmp_path: Path) -> None:
    labels = ("a b", "a-b", "a_b", "A B", "ab", "hydra+ 20", "hydra 20", "中", "{}", "1", "one")
    make_run(tmp_path / "run", figures(labels, 3))
    tables = make_tables(load(tmp_path / "run"), metrics=("nll",))
    text = latex_macros(tables)
    names = re.findall(r"^\\newcommand\{\\([A-Za-z]+)\}", text, re.M)
    assert len(names) == len(text.splitlines()) == 2 * len(labels) == len(set(names))
    assert r"\newcommand{\resDHydraPlusTwoZeroNll}{0.451 $\pm$ 0.001}" in text
    assert r"\newcommand{\resDHydraPlusTwoZeroNllMean}{0.451}" in text


def test_a_macro_is_named_after_what_it_prints(
    make_run: Callable[..., Run], tmp_path: Path
) -> None:
    make_run(tmp_path / "run", {("digits", "kd", 0): {"accuracy": 0.75}})
    options: dict[str, Any] = {"metrics": ("accuracy",)}
    text = latex_macros(make_tables(load(tmp_path / "run"), **options))
    assert r"\newcommand{\resDigitsKdError}{25.00} % digits, kd, error: % n = 1" in text
    raw = latex_macros(make_tables(load(tmp_path / "run"), raw=True, **options))
    assert r"\newcommand{\resDigitsKdAccuracy}{0.750} % digits, kd, accuracy: n = 1" in raw


def test_the_same_table_gives_the_same_bytes(make_run: Callable[..., Run], tmp_path: Path) -> None:
    make_run(tmp_path / "run", figures(HOSTILE, 3))
    first, second = (tables_latex(make_tables(load(tmp_path / "run"))) for _ in range(2))
    assert first == second and first.isascii()


def test_the_note_is_printed_once_and_captions_are_short(
    make_run: Callable[..., Run], tmp_path: Path
) -> None:
    labels = ("ensemble", "kd", *(f"hydra+[heads={heads}]" for heads in range(60)))
    make_run(tmp_path / "run", figures(labels, 8) | figures(labels, 8, "e"))
    tables = make_tables(load(tmp_path / "run"))
    text = tables_latex(tables)
    assert text.count(r"\newcommand{\tablenote}") == 1
    assert text.count(r"\footnotesize \tablenote") == 1
    captions = re.findall(r"\\caption\{(.*)\}", text)
    # A line of the class article has about 75 characters.
    assert len(captions) > 2 and max(map(len, captions)) < 150
    apart = tables_latex(tables, with_note=False)
    assert r"\tablenote" not in apart and note_macro(tables) in text


def test_no_column_is_alone_in_its_part_of_a_table(
    make_run: Callable[..., Run], tmp_path: Path
) -> None:
    labels = tuple(f"label {i:02}" for i in range(24))
    make_run(tmp_path / "run", figures(labels, 2))
    results = load(tmp_path / "run")
    for count in range(2, len(labels)):
        options: dict[str, Any] = {"transpose": True, "labels": labels[:count], "metrics": ("nll",)}
        latex = tables_latex(make_tables(results, **options))
        columns = [len(part) for part in re.findall(r"\\begin\{tabular\}\{l(r+)\}", latex)]
        assert sum(columns) == count and min(columns) > 1
        assert max(columns) - min(columns) <= 1
