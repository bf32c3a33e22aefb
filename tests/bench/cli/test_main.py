"""The program as it is typed: errors, exit status, imports."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.end_to_end.bench_command import ROOT

from distillation_bench import __version__
from distillation_bench.bench.common.paths import IMPORT_FOLDER
from distillation_bench.bench.storage.run_folder import Run

MakeRun = Callable[..., Run]
Program = Callable[..., tuple[int, str, str]]


MISTAKES = [
    ("verify", "verify: give a run's folder, or --cache FOLDER"),
    ("verify none", "none: no such folder"),
    ("verify .", ".: not a run (it has no run.json)"),
    ("verify --cache none", "none: no such folder"),
    ("clean", "clean: give a run's folder, or --cache FOLDER"),
    ("clean none --yes", "none: no such folder"),
    ("clean r --older 3", "--older: needs --cache FOLDER"),
    ("clean r --only faild", "--only faild: unknown; did you mean 'failed'?"),
    ("merge r", "error: --into: missing; give a new folder or a run to merge into\n"),
    ("merge r --into r", "one of the runs to merge"),
    ("merge r --into new --prefer none", "--prefer none: not one of the runs to merge"),
    ("export r", "export: give --out FILE.csv, --out FILE.parquet or --tensorboard FOLDER"),
    ("export r --out out.xlsx", "--out out.xlsx: neither .csv nor .parquet"),
    ("export none --out out.csv", "none: no such folder"),
    ("why r", "r: which cell?"),
    ("why r d a 7", "d a 7: no such cell; did you mean 'd a "),
    ("status none --watch", "none: no such folder"),
    ("status r --every 3", "--every: needs --watch"),
    ("export r --out r", "r: a folder, not a file"),
    ("why r \x1b[2J", "\N{REPLACEMENT CHARACTER}[2J: no such cell"),
    ("status r --watch --every 0", "error: --every 0: must be at least 0.1\n"),
    ("status r --watch --every \x1b", "error: --every \N{REPLACEMENT CHARACTER}: not a number\n"),
    ("status", "error: folder: missing; give a run's folder\n"),
    ("why", "error: RUN CELL: missing; give a run's folder and a cell's id"),
    (
        "run --epochs 3",
        "error: No such option: --epochs; values of the recipe are --set epochs=VALUE",
    ),
    ("plan --batch-size 3", "; values of the recipe are --set batch_size=VALUE\n"),
    ("status --epochs 3", "error: No such option: --epochs\n"),
    ("run results/mine", "(results/mine); the run's folder is --results FOLDER\n"),
    ("plot r maps", "error: maps: no such folder; a figure is -f maps\n"),
    ("compare r a", "error: a: no such folder; a method is -m a\n"),
    ("table r d", "error: d: no such folder; a dataset is -d d\n"),
    ("board r a", "error: a: no such folder; a method is -m a\n"),
    ("board r nowhere", "error: nowhere: no such folder\n"),
    ("check nope.py", "error: check nope.py: no such file\n"),
    ("plot r --format jpg", "error: --format jpg: unknown; there is pdf, png, svg\n"),
    ("table r --digits 2.5", "error: --digits 2.5: not a whole number\n"),
]


@pytest.mark.parametrize(("line", "message"), MISTAKES, ids=[mistake[0] for mistake in MISTAKES])
def test_a_mistake_is_one_line_and_status_2(
    tmp_path: Path, complete_run: MakeRun, program: Program, line: str, message: str
) -> None:
    complete_run(tmp_path / "r")
    before = sorted(tmp_path.rglob("*"))
    status, out, error = program(*line.split())
    assert (status, out) == (2, "")
    assert message in error and error.startswith("error: ") and len(error.splitlines()) == 1
    assert sorted(tmp_path.rglob("*")) == before


def test_without_arguments_the_program_prints_its_help(program: Program) -> None:
    status, out, error = program()
    assert (status, error) == (2, "")
    assert program("--help") == (0, out, "")
    assert out.startswith("Usage: run_bench.py [OPTIONS] COMMAND [ARGS]...\n\n  Compare methods")
    assert out.count("\n") > 20 and "--version" in out


def test_help_is_a_command_too(program: Program) -> None:
    assert program("help") == program("--help")
    assert program("help", "run") == program("run", "--help")


def test_list_without_a_name_lists_what_it_lists(program: Program) -> None:
    status, out, error = program("list")
    assert (status, error) == (0, "")
    assert "list methods\n" in out and "list recipe\n" in out


def test_version_is_that_of_the_package(program: Program) -> None:
    assert program("--version") == (0, f"distillation-bench {__version__}\n", "")
    assert program("--version", "status", "none")[0] == 0


@pytest.mark.parametrize("start", [["run_bench.py"], ["-m", "distillation_bench"]])
def test_all_ways_to_start_the_program_share_version_and_help(start: list[str]) -> None:
    version = f"distillation-bench {__version__}\n"
    for arguments, status, output in ((["--version"], 0, version), ([], 2, "Usage: ")):
        command = [sys.executable, *start, *arguments]
        environment = {"PYTHONPATH": str(IMPORT_FOLDER), "PYTHONDONTWRITEBYTECODE": "1"}
        done = subprocess.run(
            command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False
        )
        assert (done.returncode, done.stderr) == (status, "")
        assert done.stdout.startswith(output)


def test_no_command_imports_torch(tmp_path: Path, complete_run: MakeRun) -> None:
    complete_run(tmp_path / "r")
    commands = ("verify r", "clean r", "why r d a 0", "status r --watch", "merge r --into new")
    code = """
import sys
from distillation_bench.bench.cli.main import main
for line in sys.argv[1:]:
    sys.argv = ["run_bench.py", *line.split()]
    try:
        main()
    except SystemExit as end:
        assert not end.code, (line, end.code)
    assert "torch" not in sys.modules, line
"""
    done = subprocess.run(
        [sys.executable, "-c", code, *commands, "export r --out out.csv"],
        cwd=tmp_path,
        env={"PYTHONPATH": str(IMPORT_FOLDER), "PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
