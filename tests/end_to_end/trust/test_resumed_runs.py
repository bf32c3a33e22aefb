"""Resuming an untrusted run: links are replaced and never followed."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from tests.end_to_end.bench_command import tables
from tests.end_to_end.hostile import (
    plant,
    snapshot,
)
from tests.end_to_end.trust.site import (
    RESUME,
    SMALL,
    Site,
)

from distillation_bench.bench.storage.run_folder import Run


def test_a_run_replaces_links_and_follows_none(resumed: Site, trained: Path) -> None:
    first, second = resumed.ids
    cells = resumed.run / "cells"
    shutil.move(cells / f"{second}.json", resumed.outside / "record")
    (cells / f"{second}.json").symlink_to(resumed.outside / "record")
    (cells / f"{first}.json").unlink()
    resumed.plant("link to a folder", f"cells/{first}")
    names = ("results.csv", "metrics.csv", "cells.csv", "derived.json", ".driver")
    resumed.plant("link to a file", *names)
    assert resumed(*RESUME).returncode == 0
    assert tables(resumed.run) == tables(trained / "run")
    assert not any(path.is_symlink() for path in resumed.run.rglob("*"))
    assert resumed("verify", "run", "--cache", "cache").returncode == 0


def test_a_cell_without_a_history_removes_nothing_elsewhere(resumed: Site) -> None:
    first, _ = resumed.ids
    run = Run(resumed.run)
    record = run.record(first)
    assert record is not None
    resumed.plant("link to a folder", f"cells/{first}")
    before = resumed.guarded()
    run.write_record({**record, "status": "failed", "reason": "r", "headline": {}, "sets": []})
    assert resumed.guarded() == before and run.record(first) is not None


@pytest.mark.parametrize("kind", ["link to a folder", "dangling link", "pipe", "folder"])
def test_a_run_is_refused_before_anything_trains(resumed: Site, trained: Path, kind: str) -> None:
    # A pipe instead of a folder or of a lock blocks nothing.
    for name in ("run.json", "cells", ".lock") if "link" in kind else ("run.json",):
        shutil.rmtree(resumed.run)
        shutil.copytree(trained / "run", resumed.run)
        resumed.plant(kind, name)
        inside = snapshot(resumed.run)
        for command in (RESUME, ("plan", *RESUME[1:])):
            done = resumed(*command)
            assert done.returncode == (0 if name == ".lock" and command[0] == "plan" else 2)
        assert snapshot(resumed.run) == inside


@pytest.mark.parametrize("kind", ["link to a file", "dangling link", "pipe", "device", "terabyte"])
def test_planted_cache_entries_are_written_again(resumed: Site, trained: Path, kind: str) -> None:
    shutil.rmtree(resumed.run)
    for path in sorted(resumed.cache.glob("*.safetensors")):
        plant(kind, path, resumed.outside)
    for cell_id in resumed.ids:
        for suffix in ("json", "safetensors"):
            plant(kind, resumed.cache / f"checkpoint-{cell_id}.{suffix}", resumed.outside)
    assert resumed(*RESUME).returncode == 0
    assert tables(resumed.run) == tables(trained / "run")


def test_a_hostile_run_can_be_resumed(hostile: Site) -> None:
    done = hostile(*RESUME)
    assert done.returncode == 0 and "spiral" in done.stdout
    assert len(Run(hostile.run).manifest()["cells"]) > 2


def test_the_folders_of_a_run_may_be_links(site: Site, trained: Path, tmp_path: Path) -> None:
    scratch = tmp_path / "scratch"
    for name in ("run", "cache"):
        shutil.copytree(trained / name, scratch / "mine" / name)
    (tmp_path / "mine").symlink_to("scratch/mine")
    (tmp_path / "linked-run").symlink_to("mine/run")
    (tmp_path / "linked-cache").symlink_to("mine/cache")
    expected = tables(trained / "run")
    for run, cache in (("mine/run", "mine/cache"), ("linked-run", "linked-cache")):
        next((scratch / "mine/run/cells").glob("*.json")).unlink()
        for line in (
            f"run {' '.join(SMALL)} --results {run} --cache {cache}",
            f"verify {run} --cache {cache}",
            f"table {run} --csv out/t.csv",
            f"report {run} --no-figures",
            f"plot {run} -f training --format svg",
            f"clean {run} --cache {cache} --yes",
            f"merge {run} --into out/{run}",
        ):
            assert site.bench(*line.split()).returncode == 0, line
        assert tables(scratch / "mine/run") == expected
    assert (tmp_path / "linked-run").is_symlink() and (tmp_path / "mine").is_symlink()
    assert (scratch / "mine/run/report.html").is_file()
