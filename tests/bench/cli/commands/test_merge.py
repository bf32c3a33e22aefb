"""Merged runs as other commands show them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from distillation_bench.bench.storage.run_folder import Run

MakeRun = Callable[..., Run]
Program = Callable[..., tuple[int, str, str]]


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
