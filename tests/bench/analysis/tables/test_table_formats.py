"""Paper tables as text, CSV, Markdown and LaTeX, and the command that writes them."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable
from pathlib import Path
from statistics import fmean, stdev

import pytest
from tests.bench.analysis.tables.paper_table_values import of

from distillation_bench.bench.analysis.results import Results
from distillation_bench.bench.analysis.tables.paper_tables import make_tables
from distillation_bench.bench.analysis.tables.table import tables_csv, tables_markdown, tables_text
from distillation_bench.bench.cli.main import main
from distillation_bench.bench.common.terminal_tables import terminal_width
from distillation_bench.bench.storage.run_folder import Run

Maker = Callable[..., Run]


@pytest.mark.parametrize("width", [60, 80, 100])
def test_a_narrow_terminal_gets_the_table_in_blocks(
    results_of: Callable[..., Results], width: int
) -> None:
    names = ("accuracy", "nll", "ece", "brier", "ood_auroc", "teacher_kl", "teacher_tv_epistemic")
    figures = {
        ("d", label, seed): dict.fromkeys(names, 0.1 * seed + 0.2)
        for label in ("kd", "hydra+[heads=20]")
        for seed in range(3)
    }
    text = tables_text(make_tables(results_of(figures)), width=width)
    assert max(map(len, text.splitlines())) <= width
    # All columns are there, each block with the names of its rows.
    for part in ("Error", "NLL", "ECE", "Brier", "AUROC", "KL", "TV epistemic ↓"):
        assert part in text
    assert text.count("hydra+[heads=20]  ") == text.count("\nmethod")


def test_without_a_terminal_lines_have_100_characters(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("COLUMNS", raising=False)
    monkeypatch.setattr("os.get_terminal_size", lambda handle: (_ for _ in ()).throw(OSError()))
    assert terminal_width() == 100
    monkeypatch.setenv("COLUMNS", "72")
    assert terminal_width() == 72


def test_csv_is_tidy_and_unrounded(results_of: Callable[..., Results]) -> None:
    values = [0.123456789, 0.2, 0.3]
    results = results_of(of("nll", a=values), failed={("d", "b", 0): "x"})
    rows = list(csv.DictReader(io.StringIO(tables_csv(make_tables(results), results.methods))))
    assert [row["label"] for row in rows] == ["a", "b"]
    assert float(rows[0]["mean"]) == fmean(values)
    assert float(rows[0]["deviation"]) == pytest.approx(stdev(values), rel=1e-15)
    assert (rows[0]["n"], rows[0]["unit"], rows[1]["n"], rows[1]["empty"]) == (
        *("3", "nats", "0", "failed"),
    )


def test_markdown_escapes_names(results_of: Callable[..., Results]) -> None:
    label = "a|b_*<script>\n[x](y)"
    text = tables_markdown(make_tables(results_of(of("nll", **{label: [0.5]}))))
    assert r"a\|b\_\*\<script\> \[x\](y)" in text
    assert "<script>" not in text.replace(r"\<", "")


def test_a_terminal_gets_no_control_characters(results_of: Callable[..., Results]) -> None:
    text = tables_text(make_tables(results_of(of("nll", **{"a\x1b[2J\b": [0.5]}))))
    assert "\x1b" not in text and "\b" not in text


def test_the_command_writes_each_format(
    make_run: Maker,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    make_run(tmp_path / "run", of("nll", kd=[0.1, 0.2], gauss=[0.3, 0.4]))

    def table(*arguments: str) -> tuple[int, str, str]:
        monkeypatch.setattr(
            "sys.argv", ["run_bench.py", "table", str(tmp_path / "run"), *arguments]
        )
        with pytest.raises(SystemExit) as ended:
            main()
        return int(ended.value.code or 0), *capsys.readouterr()

    assert "0.150 ± 0.071 *" in table()[1]
    files = [str(tmp_path / name) for name in ("t.tex", "t.md", "t.csv", "t.macros.tex")]
    options = ("--latex", "--markdown", "--csv", "--macros")
    arguments = [part for pair in zip(options, files, strict=True) for part in pair]
    assert table(*arguments)[:2] == (0, "")
    assert all(Path(file).stat().st_size for file in files)
    assert table("--latex", "-")[1] == Path(files[0]).read_text()
    for wrong in (("--paper", "--by", "metric"), ("--by", "seed"), ("--csv", str(tmp_path))):
        code, out, err = table(*wrong)
        assert (code, out, err.count("\n")) == (2, "", 1)
