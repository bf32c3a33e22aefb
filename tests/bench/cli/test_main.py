"""The program as it is typed: errors, exit status, imports."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

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
    ("merge r", "Missing option '--into'"),
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
    ("status r --watch --every 0", "'--every': Input should be greater than or equal to 0.1"),
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
