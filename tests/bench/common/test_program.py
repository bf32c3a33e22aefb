"""The name of the program in messages: as it was started."""

import shlex
import stat
import sys
from pathlib import Path

import pytest

from distillation_bench.bench.common import program

SCRIPT = "/opt/env/bin/distillation-bench"
MODULE = "/opt/env/lib/python3.11/site-packages/distillation_bench/__main__.py"


@pytest.fixture(autouse=True)
def python(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "executable", "/opt/env/bin/python")


@pytest.mark.parametrize(
    ("file", "recorded", "command"),
    [
        ("../run_bench.py", "python run_bench.py", "/opt/env/bin/python ../run_bench.py"),
        (MODULE, "python -m distillation_bench", "/opt/env/bin/python -m distillation_bench"),
        (SCRIPT, "distillation-bench", SCRIPT),
    ],
)
def test_a_command_names_the_program_as_it_was_started(
    monkeypatch: pytest.MonkeyPatch, file: str, recorded: str, command: str
) -> None:
    monkeypatch.setattr(sys, "argv", [file, "run", "-m", "a b", "--force"])
    assert program.recorded_command() == f"{recorded} run -m 'a b' --force"
    assert program.command_here("status", "x") == f"{command} status x"
    assert program.resume_command() == f"{command} run -m 'a b'"
    arguments = shlex.split(program.recorded_command())
    assert program.split_program(arguments) == (recorded.split(), ["run", "-m", "a b", "--force"])


def test_the_command_is_named_alone_where_a_shell_finds_it(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    script = tmp_path / "distillation-bench"
    script.touch()
    script.chmod(script.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(sys, "argv", [str(script), "run"])
    assert program.resume_command() == "distillation-bench run"


def test_another_program_is_not_this_one() -> None:
    assert program.split_program(["rm", "-rf", "run_bench.py"]) == (
        [],
        ["rm", "-rf", "run_bench.py"],
    )
