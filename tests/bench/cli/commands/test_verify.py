"""The exit status of `verify`."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from distillation_bench.bench.storage.run_folder import Run

MakeRun = Callable[..., Run]
Program = Callable[..., tuple[int, str, str]]


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
        "note  r: values that are not finite, which is allowed, by metric: temperature 8",
        "8 records checked: 1 wrong, 1 note",
    ]
