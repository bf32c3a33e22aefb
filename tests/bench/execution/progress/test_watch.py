"""`status --watch` prints the progress of a run and ends with it."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from distillation_bench.bench.execution.progress.watch import FinishedCell, WatchedRun, watch
from distillation_bench.bench.storage.run_folder import CellStatus, Record, Run

MakeRun = Callable[..., Run]


def test_each_change_is_printed_as_a_line(
    tmp_path: Path,
    complete_run: MakeRun,
    driver: Callable[[Path], Any],
    capsys: pytest.CaptureFixture[str],
) -> None:
    slots = [("d", "a", 0), ("d", "a", 1), ("d", "b", 0)]
    finished = complete_run(tmp_path / "whole", slots, failed=(slots[2],))
    run = complete_run(tmp_path / "r", slots, missing=tuple(slots[1:]))
    with driver(run.folder):
        watching = threading.Thread(target=watch, args=(run, 0.02))
        watching.start()
        while "3 cells: 1 done, 2 missing" not in (out := capsys.readouterr().out):
            time.sleep(0.01)
        assert "driven by process" in out and "left" in out
        for slot in slots[1:]:
            name = "{}.{}.s{}.json".format(*slot)
            (run.cells / f".{name}").write_bytes((finished.cells / name).read_bytes())
            (run.cells / f".{name}").replace(run.cells / name)
    watching.join(timeout=30)
    assert not watching.is_alive()
    lines = capsys.readouterr().out.splitlines()
    assert "d a seed 1  done, 1.5 s" in lines
    assert "FAILED d b seed 0: ValueError: it broke" in lines
    assert lines[-1] == "3 cells: 2 done, 1 failed; nothing runs"


def test_a_run_without_a_driver_is_printed_once(
    tmp_path: Path, complete_run: MakeRun, capsys: pytest.CaptureFixture[str]
) -> None:
    run = complete_run(tmp_path / "r")
    (run.folder / ".driver").write_text("process 1 on nowhere")
    watch(run, 3600)
    assert capsys.readouterr().out == "8 cells: 8 done; nothing runs\n"


def test_a_record_is_read_once(
    tmp_path: Path, complete_run: MakeRun, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = complete_run(tmp_path / "r", failed=(("d", "a", 0),))
    read: list[str] = []
    record = run.record

    def reading(name: str) -> Record | None:
        read.append(name)
        return record(name)

    monkeypatch.setattr(run, "record", reading)
    watched = WatchedRun(run)
    assert len(watched.update()) == len(read) == 8
    assert watched.update() == [] and len(read) == 8
    run.paths("d.a.s0").record.unlink()
    assert watched.update() == [] and "1 missing" in watched.summary()
    screen = watched.screen()
    assert "8 cells: 7 done, 1 missing" in screen and "method" in screen


def test_the_remaining_time_is_estimated_from_this_driver(
    tmp_path: Path, complete_run: MakeRun, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = complete_run(tmp_path / "r", missing=(("d", "a", 0), ("d", "a", 1), ("e", "b", 1)))
    with run.locked():
        watched = WatchedRun(run)
        watched.update()
        # Older records tell how long cells take, not how fast this driver is.
        assert "time left not known yet" in watched.summary()
        start = (run.folder / ".driver").stat().st_mtime
        # Three cells of 1.5 s since it began, 60 s ago: 20 s each, with teachers.
        for name in ("e.a.s0", "e.a.s1", "d.b.s0"):
            watched.finished[name] = FinishedCell(CellStatus("done", seconds=1.5), start + 1)
        monkeypatch.setattr(time, "time", lambda: start + 60)
        assert "about 1 min 00 s left" in watched.summary()
    assert run.driver() == ""
