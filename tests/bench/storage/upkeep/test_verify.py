"""verify finds every kind of damage, and nothing in a sound run."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.unchecked import unchecked

from distillation_bench.bench.common.errors import UsageError
from distillation_bench.bench.storage import tables as derived
from distillation_bench.bench.storage.cache import Cache
from distillation_bench.bench.storage.run_folder import Run
from distillation_bench.bench.storage.upkeep.verify import Finding, verify, verify_cache

MakeRun = Callable[..., Run]


def wrong(run: Run) -> list[tuple[str, str]]:
    return [(finding.path.name, finding.what) for finding in verify(run) if finding.wrong]


def notes(run: Run) -> list[str]:
    return [finding.what for finding in verify(run) if not finding.wrong]


def test_a_sound_run_has_no_findings(tmp_path: Path, complete_run: MakeRun) -> None:
    run = complete_run(tmp_path / "r")
    assert wrong(run) == []
    # A temperature may be nan, which is reported once.
    assert notes(run) == ["values that are not finite, which is allowed, by metric: temperature 8"]


@pytest.mark.parametrize("file", ["d.a.s0.json", "d.a.s0/history.csv", "d.a.s0/curves.safetensors"])
def test_every_truncation_and_flipped_bit_is_found(
    tmp_path: Path, complete_run: MakeRun, file: str
) -> None:
    run = complete_run(tmp_path / "r", [("d", "a", 0)])
    path = run.cells / file
    content = path.read_bytes()
    for length in range(0, len(content), 7):
        path.write_bytes(content[:length])
        assert any(file_name == path.name for file_name, _ in wrong(run)), length
    for position in range(0, len(content), 5):
        changed = bytearray(content)
        changed[position] ^= 1 << position % 8
        path.write_bytes(changed)
        assert any(file_name == path.name for file_name, _ in wrong(run)), position
    path.unlink()
    assert any(file_name == path.name for file_name, _ in wrong(run))
    path.write_bytes(content)
    assert wrong(run) == []


def test_swapped_cells_are_found(tmp_path: Path, complete_run: MakeRun) -> None:
    run = complete_run(tmp_path / "r")
    first, second = run.paths("d.a.s0"), run.paths("d.a.s1")
    content = first.record.read_bytes()
    first.record.write_bytes(second.record.read_bytes())
    second.record.write_bytes(content)
    findings = dict(wrong(run))
    assert findings["d.a.s0.json"] == "holds 'd.a.s1', but its name is that of another cell"
    assert "d.a.s1.json" in findings


def test_a_record_that_contradicts_the_description_is_found(
    tmp_path: Path, complete_run: MakeRun
) -> None:
    run = complete_run(tmp_path / "r", [("d", "a", 0)])
    manifest = run.manifest()
    manifest["cells"]["d.a.s0"]["parameters"] = {"heads": 4, "lam": "linear(0, 1)"}
    manifest["cells"]["d.a.s0"]["seed"] = 7
    manifest["recipes"]["d"]["epochs"] = 11
    run.write_manifest(manifest)
    derived.write_tables(run)
    reasons = [reason for _, reason in wrong(run)]
    assert any(reason.startswith("its parameters is") for reason in reasons)
    assert "its seed is 0, not 7 as in run.json" in reasons
    assert "its recipe has another value of epochs than run.json" in reasons


@pytest.mark.parametrize("table", ["results", "metrics", "cells"])
def test_edited_and_missing_tables_are_found(
    tmp_path: Path, complete_run: MakeRun, table: str
) -> None:
    run = complete_run(tmp_path / "r")
    path = run.folder / f"{table}.csv"
    content = path.read_bytes()
    path.write_bytes(content.replace(b"5", b"6", 1))
    expected = [(path.name, "differs from the records")]
    assert wrong(run) == expected
    path.unlink()
    assert wrong(run) == expected
    path.write_bytes(content)
    # A copy has other times and the same values.
    os.utime(run.paths("d.a.s0").record, (1, 1))
    assert wrong(run) == []


def test_missing_failed_and_unplanned_cells_are_noted(
    tmp_path: Path, complete_run: MakeRun
) -> None:
    run = complete_run(tmp_path / "r", missing=(("d", "b", 1),), failed=(("e", "a", 0),))
    assert wrong(run) == [("d.b.s1.json", "missing: d b seed 1 was not run")]
    manifest = run.manifest()
    del manifest["cells"]["d.b.s1"], manifest["cells"]["d.a.s0"]
    run.write_manifest(manifest)
    derived.write_tables(run)
    assert wrong(run) == []
    assert "1 record of cells no longer asked for, or of older code" in notes(run)


def test_non_finite_values_are_noted(tmp_path: Path, complete_run: MakeRun) -> None:
    run = complete_run(tmp_path / "r", [("d", "a", 0)], figure=math.inf)
    assert wrong(run) == [("d.a.s0.json", "nll is inf")]


def test_a_damaged_description_is_found(tmp_path: Path, complete_run: MakeRun) -> None:
    run = complete_run(tmp_path / "r")
    (run.folder / "run.json").write_text("{")
    assert [file_name for file_name, _ in wrong(run)] == ["run.json"]
    (run.folder / "run.json").unlink()
    with pytest.raises(UsageError, match="not a run"):
        list(verify(run))
    with pytest.raises(UsageError, match="no such folder"):
        list(verify(Run(tmp_path / "none")))


@pytest.mark.parametrize("name", ["../outside", "..", "a/b", "", "/etc/passwd", "a\\b"])
def test_ids_that_lead_out_of_the_folder_are_refused(
    tmp_path: Path, complete_run: MakeRun, name: str
) -> None:
    run = complete_run(tmp_path / "r", [("d", "a", 0)])
    path = run.folder / "run.json"
    manifest: dict[str, Any] = json.loads(path.read_bytes())
    manifest["cells"][name] = manifest["cells"].pop("d.a.s0")
    path.write_text(json.dumps(manifest))
    [(file_name, reason)] = wrong(run)
    assert file_name == "run.json" and reason.startswith("not a run's description")


@pytest.mark.parametrize(
    ("remarks", "reason"),
    [
        ([], "remarks: should be a valid dictionary"),
        ({"d": "text"}, "remarks.d: should be a valid list"),
        ({"d": [1]}, "remarks.d.0: should be a valid string"),
        ({"d": {}}, "remarks.d: should be a valid list"),
    ],
)
def test_remarks_must_be_lists_of_lines(
    tmp_path: Path, complete_run: MakeRun, remarks: Any, reason: str
) -> None:
    run = complete_run(tmp_path / "r", [("d", "a", 0)])
    manifest = run.manifest()
    run.write_manifest({**manifest, "remarks": {"d": ["a line"]}})
    assert wrong(run) == []
    with unchecked():
        run.write_manifest({**manifest, "remarks": remarks})
    [(file_name, found_reason)] = wrong(run)
    assert file_name == "run.json" and reason in found_reason


def test_leftovers_are_noted_and_links_are_wrong(tmp_path: Path, complete_run: MakeRun) -> None:
    run = complete_run(tmp_path / "r", [("d", "a", 0)])
    (run.cells / ".abc.part").write_bytes(b"")
    (run.cells / "what.txt").write_bytes(b"")
    (run.cells / "gone").mkdir()
    files = run.paths("d.a.s0")
    files.curves.rename(tmp_path / "elsewhere")
    files.curves.symlink_to(tmp_path / "elsewhere")
    reason = "can't be read (a link, which is not followed)"
    assert wrong(run) == [("curves.safetensors", reason)]
    assert {
        "belongs to no cell",
        "belongs to no record",
        "left by a writer that was killed",
    } <= set(notes(run))


def test_a_run_in_progress_is_noted(
    tmp_path: Path, complete_run: MakeRun, driver: Callable[[Path], Any]
) -> None:
    run = complete_run(tmp_path / "r", missing=(("d", "b", 1),))
    (run.folder / "results.csv").write_text("old")
    with driver(run.folder):
        assert wrong(run) == []
        assert any("1 cell is still missing" in note for note in notes(run))
    assert len(wrong(run)) == 2


def test_a_failed_cell_removes_its_older_files(tmp_path: Path, complete_run: MakeRun) -> None:
    run = complete_run(tmp_path / "r", [("d", "a", 0)])
    record = run.record("d.a.s0")
    assert record is not None
    run.write_record({**record, "status": "failed", "reason": "later", "headline": {}, "sets": []})
    assert run.history(run.read_record("d.a.s0")) == [] and not run.paths("d.a.s0").curves.exists()
    derived.write_tables(run)
    assert wrong(run) == []


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"timings": [1]}, "timings: should be a valid dictionary"),
        ({"headline": {"nll": "abc"}}, "headline.nll: should be a number"),
        ({"sets": [{"set": "test"}]}, "sets.0.shift: is missing"),
    ],
)
def test_wrong_types_are_found_despite_a_right_checksum(
    tmp_path: Path, complete_run: MakeRun, changes: dict[str, Any], reason: str
) -> None:
    run = complete_run(tmp_path / "r")
    record = {**run.read_record("d.a.s0"), **changes}
    with unchecked():
        run.write_record(record)
    # The expected tables are not known, so nothing is said about them.
    assert wrong(run) == [("d.a.s0.json", reason)]


def test_unreadable_files_are_found_despite_a_right_checksum(
    tmp_path: Path, complete_run: MakeRun
) -> None:
    run = complete_run(tmp_path / "r", [("d", "a", 0)])
    curves = {"roc/total/ood:far": np.zeros(3, np.float32)}
    record = run.read_record("d.a.s0")
    with unchecked():
        run.write_record(record, [{"loss": "abc"}], curves)
    derived.write_tables(run)
    assert wrong(run) == [
        ("history.csv", "not a history: it lacks the columns stage and epoch"),
        ("curves.safetensors", "damaged: roc/total/ood:far has the shape [3]"),
    ]


def test_a_finding_is_one_line_without_control_characters() -> None:
    assert str(Finding(Path("r"), "a\nb\x1b[2J")) == "WRONG r: a b�[2J"


def test_damaged_entries_of_a_cache_are_found(tmp_path: Path) -> None:
    cache = Cache(tmp_path)
    for key in ("outputs-1", "outputs-2", "weights-1.0"):
        cache.save(key, {"x": np.arange(5.0)}, {})
    assert list(verify_cache(tmp_path)) == []
    path = tmp_path / "outputs-2.safetensors"
    path.write_bytes(path.read_bytes()[:-1] + b"\1")
    (tmp_path / "weights-1.0.json").unlink()
    (tmp_path / ".x.part").touch()
    findings: list[Finding] = list(verify_cache(tmp_path))
    assert [finding.path.name for finding in findings if finding.wrong] == [
        "outputs-2.safetensors",
        "weights-1.0.safetensors",
    ]
    assert len(findings) == 3
    with pytest.raises(UsageError, match="no such folder"):
        list(verify_cache(tmp_path / "none"))


def test_the_note_beside_the_tables_is_checked_against_the_records(
    tmp_path: Path, complete_run: MakeRun
) -> None:
    run = complete_run(tmp_path / "r")
    path = run.folder / "derived.json"
    note = json.loads(path.read_bytes())
    lies: list[dict[str, Any]] = [
        {"done": {}},
        {"done": dict.fromkeys(note["done"], 0.0)},
        {"results": "0" * 64},
        {"metrics": None},
    ]
    for lie in lies:
        path.write_text(json.dumps({**note, **lie}))
        assert wrong(run) == [("derived.json", "differs from the records")], lie
    for text in ("", "[]", "{"):
        path.write_text(text)
        assert wrong(run) == [("derived.json", "differs from the records")], text
    # A note about other records, as in a copy, is not trusted.
    for harmless in ({**note, "state": "another", "done": {}}, note):
        path.write_text(json.dumps(harmless))
        assert wrong(run) == []
    path.unlink()
    assert wrong(run) == []
