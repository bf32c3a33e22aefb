"""What a run prints before anything trains."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from distillation_bench.bench.execution.progress import announcements
from distillation_bench.bench.execution.progress.announcements import note_remarks
from distillation_bench.bench.planning.cells import Cell
from distillation_bench.bench.planning.run_description import describe_run
from distillation_bench.bench.storage.cache import Cache
from distillation_bench.bench.storage.run_folder import Run


def test_remarks_about_repaired_files_are_removed(
    cells: Callable[..., list[Cell]],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    planned, run = cells("kd", datasets=["spiral", "sine"]), Run(tmp_path / "run")
    spiral = [cell for cell in planned if cell.dataset == "spiral"]
    run.write_manifest(describe_run(run, planned, ""))

    def note(cells: list[Cell], lines: dict[str, list[str]]) -> None:
        monkeypatch.setattr(announcements, "remarks", lambda *_: lines)
        note_remarks(run, cells, Cache(tmp_path), tmp_path)

    note(planned, {"spiral": ["2 files are skipped"], "sine": ["a class is rare"]})
    assert capsys.readouterr().err.splitlines() == [
        "spiral: 2 files are skipped",
        "sine: a class is rare",
    ]
    note(spiral, {})
    assert run.manifest()["remarks"] == {"sine": ["a class is rare"]}
