"""What clean removes, and above all what it does not."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from distillation_bench.bench.storage import tables as derived
from distillation_bench.bench.storage.cache import Cache
from distillation_bench.bench.storage.run_folder import Run
from distillation_bench.bench.storage.upkeep.clean import clean
from distillation_bench.bench.storage.upkeep.verify import verify

MakeRun = Callable[..., Run]
Mistake = Callable[..., str]
FAILED = ("d", "a", 0)
DAY = 24 * 3600.0


def age(path: Path, days: float) -> None:
    then = time.time() - days * DAY
    os.utime(path, (then, then))


def files(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*")} - {".lock"}


@pytest.fixture
def run(tmp_path: Path, complete_run: MakeRun) -> Run:
    """A run with a failed, an unplanned and a damaged cell, and a partial file."""
    run = complete_run(tmp_path / "r", failed=(FAILED,))
    manifest = run.manifest()
    del manifest["cells"]["d.b.s0"]
    run.write_manifest(manifest)
    path = run.paths("e.b.s1").record
    path.write_bytes(path.read_bytes()[:-3])
    for days, name in ((1, ".old.part"), (0, ".new.part")):
        (run.cells / name).write_bytes(b"123")
        age(run.cells / name, days)
    derived.write_tables(run)
    return run


GONE = {
    *("cells/d.a.s0.json", "cells/.old.part"),
    *(f"cells/{name}.json" for name in ("d.b.s0", "e.b.s1")),
    *(f"cells/{name}{part}" for name in ("d.b.s0", "e.b.s1") for part in ("", "/history.csv")),
    *(f"cells/{name}/curves.safetensors" for name in ("d.b.s0", "e.b.s1")),
}


def test_nothing_is_removed_without_yes(run: Run) -> None:
    before = files(run.folder)
    listed = clean([run], None, [], None, yes=False)
    assert files(run.folder) == before
    assert "4 things" in listed and "nothing was removed; --yes removes it" in listed
    for name, why in (("d.a.s0", "failed"), ("d.b.s0", "no longer asked for"), ("e.b.s1", "damag")):
        assert any(f"{name}.json" in line and why in line for line in listed.splitlines())


def test_exactly_the_listed_files_are_removed(run: Run) -> None:
    before = files(run.folder)
    assert clean([run], None, [], None, yes=True).endswith("removed")
    assert before - files(run.folder) == GONE
    assert len(derived.results(run)) == 5 and not list(derived.outdated(run))
    missing = {finding.path.name for finding in verify(run) if finding.wrong}
    assert missing == {"d.a.s0.json", "e.b.s1.json"}
    assert clean([run], None, [], None, yes=True) == "nothing to remove"


def test_only_the_selected_kinds_are_removed(run: Run, mistake: Mistake) -> None:
    before = files(run.folder)
    clean([run], None, ["failed"], None, yes=True)
    assert before - files(run.folder) == {"cells/d.a.s0.json"}
    message = mistake(clean, [run], None, ["faild"], None, True)
    assert message == "--only faild: unknown; did you mean 'failed'?"


def test_links_are_left_alone(run: Run, tmp_path: Path, mistake: Mistake) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    for name in ("history.csv", "curves.safetensors", "mine.txt", ".x.part"):
        (outside / name).write_bytes(b"1")
        age(outside / name, 2)
    (run.cells / "link").symlink_to(outside)
    (run.cells / "link.json").symlink_to(outside / "mine.txt")
    folder = run.paths("d.b.s0").folder
    (folder / "curves.safetensors").unlink()
    (folder / "curves.safetensors").symlink_to(outside / "mine.txt")
    (folder / "mine.txt").touch()
    clean([run], None, [], None, yes=True)
    assert len(files(outside)) == 4 and (run.cells / "link").is_symlink()
    assert {"mine.txt", "curves.safetensors"} == files(folder)
    run.cells.rename(tmp_path / "cells")
    run.cells.symlink_to(tmp_path / "cells")
    assert "cells: a link; a run must hold" in mistake(clean, [run], None, [], None, True)


def test_nothing_is_removed_during_a_run(
    run: Run, mistake: Mistake, driver: Callable[[Path], Any], tmp_path: Path
) -> None:
    before = files(run.folder)
    with driver(run.folder):
        assert "in use by process" in mistake(clean, [run], None, [], None, True)
        assert "4 things" in clean([run], None, [], None, yes=False)
    assert files(run.folder) == before
    assert "not a run" in mistake(clean, [Run(tmp_path)], None, [], None, True)


@pytest.fixture
def cache(tmp_path: Path) -> Cache:
    """Sound, damaged and incomplete entries and checkpoints; all but one are two days old."""
    cache = Cache(tmp_path / "cache")
    names = ("outputs-d0", "outputs-other", "weights-1.0", "data-1", "checkpoint-c", "outputs-bad")
    for key in (*names, "outputs-half", "outputs-young"):
        cache.save(key, {"x": np.arange(5.0)}, {})
    for key in ("outputs-bad", "outputs-young"):
        (cache.folder / f"{key}.safetensors").write_bytes(b"1")
    (cache.folder / "outputs-half.json").unlink()
    for name in ("outputs-d0.lock", ".y.part", "mine.txt"):
        (cache.folder / name).touch()
    for path in cache.folder.iterdir():
        age(path, 0 if "young" in path.name else 2)
    return cache


def test_sound_entries_of_a_cache_are_kept(cache: Cache) -> None:
    before = files(cache.folder)
    assert "3 things" in clean([], cache.folder, [], None, yes=False)
    assert files(cache.folder) == before
    clean([], cache.folder, [], None, yes=True)
    broken = {"outputs-bad.json", "outputs-bad.safetensors", "outputs-half.safetensors"}
    assert before - files(cache.folder) == broken | {".y.part"}


def test_old_entries_are_removed_except_teachers_of_runs(cache: Cache, run: Run) -> None:
    def kinds(runs: list[Run], days: int) -> set[str]:
        listed = clean(runs, cache.folder, ["old"], days, yes=False).splitlines()
        return {Path(line.split()[0]).stem for line in listed if ".json" in line}

    assert kinds([], 3) == set()
    everything = {"outputs-d0", "outputs-other", "weights-1.0", "data-1", "checkpoint-c"}
    assert kinds([], 1) == everything
    assert kinds([run], 1) == {"outputs-other"}


def test_a_checkpoint_of_last_week_is_removed(cache: Cache) -> None:
    for path in cache.folder.glob("checkpoint*"):
        age(path, 8)
    listed = clean([], cache.folder, ["leftover"], None, yes=False)
    assert "checkpoint-c.json" in listed and ".y.part" in listed


def test_a_missing_cache_is_reported(tmp_path: Path, mistake: Mistake) -> None:
    assert mistake(clean, [], tmp_path / "none", [], None, True).endswith("no such folder")
