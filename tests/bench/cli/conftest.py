"""Fixtures of tests of the command line."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from distillation_bench.bench.cli.main import main

Program = Callable[..., tuple[int, str, str]]


@pytest.fixture
def program(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Program:
    """program(*arguments): exit status, stdout and stderr of a command in a fresh folder."""
    monkeypatch.chdir(tmp_path)

    def call(*arguments: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["run_bench.py", *arguments])
        # Else the help names pytest as the program, if that was started as a module.
        monkeypatch.setattr(sys.modules["__main__"], "__package__", None)
        capsys.readouterr()
        with pytest.raises(SystemExit) as ended:
            main()
        return int(ended.value.code or 0), *capsys.readouterr()

    return call
