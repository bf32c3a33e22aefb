"""Merging runs: complete results, and refusal of runs that do not belong together."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from distillation_bench.bench.analysis.results import load
from distillation_bench.bench.storage import tables as derived
from distillation_bench.bench.storage.run_folder import Run
from distillation_bench.bench.storage.upkeep.merge import _copy, merge
from distillation_bench.bench.storage.upkeep.verify import verify

MakeRun = Callable[..., Run]
Mistake = Callable[..., str]


def content(folder: Path) -> dict[str, bytes]:
    paths = (path for path in sorted(folder.rglob("*")) if path.is_file())
    contents = {str(path.relative_to(folder)): path.read_bytes() for path in paths}
    return {name: text for name, text in contents.items() if name not in (".lock", "derived.json")}


def halves(folder: Path, complete_run: MakeRun, **options: Any) -> list[Run]:
    slots = [(d, label, seed) for d in "de" for label in "ab" for seed in range(4)]
    first = complete_run(folder / "x", [s for s in slots if s[2] < 2])
    return [first, complete_run(folder / "y", [s for s in slots if s[2] >= 2], **options)]


def test_merged_halves_equal_the_complete_run(tmp_path: Path, complete_run: MakeRun) -> None:
    runs = halves(tmp_path, complete_run)
    before = [content(run.folder) for run in runs]
    target = Run(tmp_path / "both")
    assert merge(runs, target, None) == f"{target.folder}: 16 records copied; 16 cells, 0 missing"
    assert [content(run.folder) for run in runs] == before
    slots = [(d, label, seed) for d in "de" for label in "ab" for seed in range(4)]
    expected = complete_run(tmp_path / "whole", slots)
    for table in ("results.csv", "metrics.csv", "cells.csv"):
        assert (target.folder / table).read_bytes() == (expected.folder / table).read_bytes()
    assert content(target.cells) == content(expected.cells)
    assert not [finding for finding in verify(target) if finding.wrong]
    assert load(target.folder).manifest["cells"] == load(expected.folder).manifest["cells"]
    command = "python run_bench.py run --results x && python run_bench.py run --results y"
    assert target.manifest()["command"] == command


def test_a_copy_without_arrays_has_all_values_and_says_what_it_lacks(
    tmp_path: Path, complete_run: MakeRun
) -> None:
    runs = halves(tmp_path, complete_run, failed=(("e", "b", 3),))
    whole, small = Run(tmp_path / "whole"), Run(tmp_path / "small")
    merge(runs, whole, None)
    merge([whole], small, None, arrays=False)
    for table in ("results.csv", "metrics.csv"):
        assert (small.folder / table).read_bytes() == (whole.folder / table).read_bytes()
    assert not [finding for finding in verify(small) if finding.wrong]
    assert {path.suffix for path in small.cells.rglob("*")} == {".json"}
    record = small.read_record("d.a.s0")
    assert record["left_out"] == ["curves", "history"]
    assert small.history(record) == [] and small.curves(record) == {}
    assert small.read_record("e.b.s3")["left_out"] == []
    # The copy can be copied, and joins with the run itself.
    again = Run(tmp_path / "again")
    merge([small], again, None, arrays=False)
    assert content(again.cells) == content(small.cells)
    together, alone = load(small.folder, whole.folder), load(whole.folder)
    assert together.planned.equals(alone.planned) and together.headline.equals(alone.headline)


@pytest.mark.parametrize("kept", [(), ("results.csv",)])
def test_a_run_without_tables_is_complete(
    tmp_path: Path, complete_run: MakeRun, kept: tuple[str, ...]
) -> None:
    """As in a clone of a repository that holds the records."""
    run = complete_run(tmp_path / "r")
    expected = derived.results(run)
    for path in [*run.folder.glob("*.csv"), run.folder / "derived.json"]:
        if path.name not in kept:
            path.unlink()
    assert not [finding for finding in verify(run) if finding.wrong]
    assert derived.results(run) == expected


def test_merging_again_copies_nothing(tmp_path: Path, complete_run: MakeRun) -> None:
    runs = halves(tmp_path, complete_run)
    target = Run(tmp_path / "both")
    merge(runs[:1], target, None)
    assert " 8 records copied; 16 cells" in merge(runs, target, None)
    assert " 0 records copied; 16 cells" in merge(runs, target, None)
    before = content(target.folder)
    assert " 0 records copied; 16 cells" in merge(runs[::-1], target, None)
    assert content(target.folder) == before


def test_an_interrupted_merge_can_be_continued(
    tmp_path: Path, complete_run: MakeRun, monkeypatch: pytest.MonkeyPatch
) -> None:
    runs = halves(tmp_path, complete_run)
    merge(runs, Run(tmp_path / "whole"), None)
    target = Run(tmp_path / "both")

    for copies in (0, 3):
        remaining = copies

        def copy(*arguments: Any) -> None:
            nonlocal remaining
            remaining -= 1
            if remaining < 0:
                raise KeyboardInterrupt
            _copy(*arguments)

        with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
            patch.setattr("distillation_bench.bench.storage.upkeep.merge._copy", copy)
            merge(runs, target, None)
        assert len(derived.results(target)) == copies
    assert " 13 records copied; 16 cells" in merge(runs, target, None)
    assert content(target.folder) == content(tmp_path / "whole")


def test_the_done_cell_is_taken_from_either_run(tmp_path: Path, complete_run: MakeRun) -> None:
    failed, fine = ("d", "a", 0), ("d", "a", 1)
    first = complete_run(tmp_path / "x", [failed, fine], failed=(failed,))
    second = complete_run(tmp_path / "y", [failed, fine], failed=(fine,))
    for runs in ([first, second], [second, first]):
        target = Run(tmp_path / f"both-{runs[0].folder.name}")
        merge(runs, target, None)
        assert [row["status"] for row in derived.results(target)] == ["done", "done"]
        for name in ("d.a.s0", "d.a.s1"):
            assert target.history(target.read_record(name))


def test_different_values_of_a_cell_are_refused(
    tmp_path: Path, complete_run: MakeRun, mistake: Mistake
) -> None:
    first = complete_run(tmp_path / "x", figure=0.25)
    second = complete_run(tmp_path / "y", figure=0.26)
    target = Run(tmp_path / "both")
    message = mistake(merge, [first, second], target, None)
    assert message.startswith(
        "d a seed 0 (and 7 more cells): the same cell has different values in "
    )
    assert "choose one with --prefer RUN" in message
    assert not target.folder.exists()
    for preferred, nll in ((first, "0.25"), (second, "0.26")):
        target = Run(tmp_path / f"both-{nll}")
        merge([first, second], target, preferred)
        assert {row["nll"] for row in derived.results(target)} == {nll}
        # Also in an existing target.
        merge([first, second], target, second)
        assert {row["nll"] for row in derived.results(target)} == {"0.26"}


OTHER_PROTOCOLS = [
    ({"epochs": 11}, "another recipe"),
    ({"protocol": "other"}, "other code or plugins of metrics"),
    ({"ood": "near"}, "other OOD sets"),
]


@pytest.mark.parametrize(
    ("options", "reason"), OTHER_PROTOCOLS, ids=[case[1] for case in OTHER_PROTOCOLS]
)
def test_runs_of_different_protocols_are_refused(
    tmp_path: Path,
    complete_run: MakeRun,
    mistake: Mistake,
    options: dict[str, Any],
    reason: str,
) -> None:
    runs = halves(tmp_path, complete_run, **options)
    target = Run(tmp_path / "both")
    message = mistake(merge, runs, target, None)
    assert reason in message and "--mixed" not in message
    assert not target.folder.exists()


@pytest.mark.parametrize("part", ["record", "history", "curves"])
def test_damaged_files_are_named_and_not_copied(
    tmp_path: Path, complete_run: MakeRun, mistake: Mistake, part: str
) -> None:
    runs = halves(tmp_path, complete_run)
    path = getattr(runs[1].paths("e.b.s3"), part)
    path.write_bytes(path.read_bytes()[:-1])
    target = Run(tmp_path / "both")
    assert mistake(merge, runs, target, None).startswith(f"{path}: damaged")
    assert not target.folder.exists()


def test_unsuitable_targets_are_refused(
    tmp_path: Path, complete_run: MakeRun, mistake: Mistake
) -> None:
    runs = halves(tmp_path, complete_run)
    (tmp_path / "full").mkdir()
    (tmp_path / "full/thesis.txt").touch()
    (tmp_path / "file").touch()
    reasons = {
        mistake(merge, runs, runs[0], None): "one of the runs to merge",
        mistake(merge, runs, Run(tmp_path / "full"), None): "neither a run nor empty",
        mistake(merge, runs, Run(tmp_path / "file"), None): "not a folder",
        mistake(merge, runs, Run(tmp_path / "new"), Run(tmp_path)): "not one of the runs to merge",
        mistake(merge, [Run(tmp_path)], Run(tmp_path / "new"), None): "not a run",
    }
    for message, reason in reasons.items():
        assert reason in message
    (tmp_path / "link").symlink_to(runs[0].folder)
    assert "one of the runs" in mistake(merge, runs, Run(tmp_path / "link"), None)
    assert not (tmp_path / "new").exists()


def test_a_target_in_use_is_refused(
    tmp_path: Path, complete_run: MakeRun, mistake: Mistake, driver: Callable[[Path], Any]
) -> None:
    runs = halves(tmp_path, complete_run)
    target = complete_run(tmp_path / "both", [("d", "a", 0)])
    before = content(target.folder)
    with driver(target.folder):
        assert "in use by process" in mistake(merge, runs, target, None)
    assert content(target.folder) == before
    with driver(runs[0].folder):
        assert "x is being run: merge again when it ends" in merge(runs, target, None)


@pytest.mark.parametrize("linked", ["cells", "cells/d.a.s0"])
@pytest.mark.parametrize("role", ["source", "target"])
def test_links_out_of_a_run_are_refused(
    tmp_path: Path, complete_run: MakeRun, mistake: Mistake, linked: str, role: str
) -> None:
    runs = halves(tmp_path, complete_run)
    target = complete_run(tmp_path / "both", [("d", "a", 0)])
    path = (runs[0] if role == "source" else target).folder / linked
    path.rename(tmp_path / "outside")
    path.symlink_to(tmp_path / "outside")
    before = content(tmp_path / "outside"), content(target.folder)
    assert mistake(merge, runs, target, None).startswith(f"{path}: a link")
    assert (content(tmp_path / "outside"), content(target.folder)) == before


@pytest.mark.skipif(os.geteuid() == 0, reason="root writes to read-only folders")
def test_a_read_only_target_is_reported(
    tmp_path: Path, complete_run: MakeRun, mistake: Mistake
) -> None:
    runs = halves(tmp_path, complete_run)
    folder = tmp_path / "closed"
    folder.mkdir(mode=0o555)
    assert "can't be written" in mistake(merge, runs, Run(folder / "new"), None)
