"""verify, merge, export and clean as they are typed: output and exit status."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from distillation_bench.bench.cli.main import main
from distillation_bench.bench.common.paths import IMPORT_FOLDER
from distillation_bench.bench.storage.run_folder import Run

MakeRun = Callable[..., Run]
Program = Callable[..., tuple[int, str, str]]


@pytest.fixture
def program(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Program:
    """program(*arguments): exit status, stdout and stderr of a command in a fresh folder."""
    monkeypatch.chdir(tmp_path)

    def call(*arguments: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["run_bench.py", *arguments])
        capsys.readouterr()
        with pytest.raises(SystemExit) as ended:
            main()
        return int(ended.value.code or 0), *capsys.readouterr()

    return call


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


def test_the_status_of_verify_says_whether_a_run_is_sound(
    tmp_path: Path, complete_run: MakeRun, program: Program
) -> None:
    run = complete_run(tmp_path / "r")
    (tmp_path / "cache").mkdir()
    status, out, _ = program("verify", "r", "--cache", "cache")
    assert status == 0
    assert out.splitlines()[-1] == ("8 records and 0 entries of the cache checked: 0 wrong, 1 note")
    run.paths("d.a.s0").history.unlink()
    status, out, _ = program("verify", "r")
    assert status == 1
    assert out.splitlines() == [
        "WRONG r/cells/d.a.s0/history.csv: missing or empty",
        "note  r: evaluations in which a value is not finite, as it may be: temperature 8",
        "8 records checked: 1 wrong, 1 note",
    ]


def test_halves_are_merged_reported_and_exported(
    tmp_path: Path, complete_run: MakeRun, program: Program
) -> None:
    complete_run(tmp_path / "x", [("d", "a", 0), ("d", "b", 0)])
    complete_run(tmp_path / "y", [("d", "a", 1), ("d", "b", 1)], failed=(("d", "b", 1),))
    assert program("merge", "x", "y", "--into", "z")[0] == 0
    assert "4 cells: 3 done, 1 failed" in program("status", "z")[1]
    assert "failed: ValueError: it broke" in program("why", "z/cells/d.b.s1.json")[1]
    assert program("status", "z", "--watch")[:2] == (0, "4 cells: 3 done, 1 failed; nothing runs\n")
    assert "nothing was removed" in program("clean", "z")[1]
    assert "1 thing," in program("clean", "z", "--yes")[1]
    status, out, _ = program("export", "z", "--out", "-")
    # Three figures of three cells, and one row for what was not run.
    assert status == 0 and len(out.splitlines()) == 1 + 3 * 3 + 1
    assert "missing" in out.splitlines()[-1]


def test_damaged_histories_are_named_and_left_out(
    tmp_path: Path, complete_run: MakeRun, program: Program
) -> None:
    pytest.importorskip("tensorboardX", reason="tensorboardX is not installed")
    run = complete_run(tmp_path / "r", [("d", "a", 0), ("d", "a", 1)])
    run.paths("d.a.s0").history.write_text("loss\nabc\n")
    status, out, error = program("export", "r", "--tensorboard", "tb")
    message = "r/cells/d.a.s0/history.csv: damaged: its SHA-256 is not the record's"
    assert (status, error) == (0, f"{message}, left out\n") and out.startswith("1 cells' curves")
    status, out, _ = program("why", "r", "d", "a", "0")
    assert status == 0 and f"training: left out, {message}" in out


def test_a_written_table_is_reported_on_stderr(
    tmp_path: Path, complete_run: MakeRun, program: Program
) -> None:
    complete_run(tmp_path / "r", [("d", "a", 0)])
    assert program("export", "r", "--out", "t.csv") == (0, "", "t.csv: 3 rows\n")


def test_a_full_disk_is_reported_without_advice_to_resume(
    tmp_path: Path, complete_run: MakeRun, program: Program, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*arguments: object) -> None:
        raise OSError(28, "No space left on device", "r/results.csv")

    complete_run(tmp_path / "r")
    monkeypatch.setattr("distillation_bench.bench.storage.upkeep.clean.clean", full)
    message = "error: r/results.csv: No space left on device\n"
    assert program("clean", "r") == (2, "", message)


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
