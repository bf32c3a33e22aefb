"""The folder of a run: records, histories, curves, the description and the derived tables."""

from __future__ import annotations

import csv
import hashlib
import json
import math
import random
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydantic import ValidationError
from tests.end_to_end.hostile import resummed
from tests.unchecked import unchecked

from distillation_bench.bench.common.errors import UsageError
from distillation_bench.bench.storage import tables as derived
from distillation_bench.bench.storage.formats import schema
from distillation_bench.bench.storage.formats.cell_files import parse_curves
from distillation_bench.bench.storage.formats.older_formats import FORMAT
from distillation_bench.bench.storage.formats.write_checks import InvalidContent
from distillation_bench.bench.storage.run_folder import (
    CellStatus,
    DamagedFile,
    Run,
    cell_name,
    cell_status,
)

CELL = {
    **{"dataset": "d", "method": "m", "measured": "teacher", "protocol": "code"},
    "parameters": {},
}
STRANGE = ["NA", "00012", "a,b", 'q"q', "new\nline", "ünï ± λ", "=1+1"]


def record(cell_id: str, **changes: Any) -> dict[str, Any]:
    figures = {"nll": 0.25, "ece": math.nan, "kl": math.inf}
    return {
        "id": cell_id,
        **{"dataset": "d", "method": "m", "seed": 0, "parameters": {}, "recipe": {}},
        **{"teacher": "teacher", "commit": "", "finished": "2026-01-01T00:00:00+00:00"},
        **{"status": "done", "reason": "", "environment": {}},
        "headline": figures,
        "sets": [{"set": "test", "shift": "", "severity": 0, "values": figures}],
        "timings": {"seconds": 1.5},
        **changes,
    }


def make_run(folder: Path, labels: list[str], shuffler: random.Random | None = None) -> Run:
    run = Run(folder)
    cells = {
        f"c{index}": {**CELL, "label": label, "seed": seed}
        for index, (label, seed) in enumerate((label, s) for label in labels for s in (10, 9))
    }
    description = {"cells": cells, "methods": [], "metrics": {}, "recipes": {"d": {}}, "ood": {}}
    run.write_manifest({"format": FORMAT, **description})
    ids = list(cells)
    if shuffler is not None:
        shuffler.shuffle(ids)
    for cell_id in ids:
        run.write_record(record(cell_id))
    return run


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def test_a_record_is_read_as_it_was_written(tmp_path: Path) -> None:
    run = Run(tmp_path)
    run.write_record(
        record("c"),
        [{"stage": "s", "epoch": 0, "loss": 1.0}, {"stage": "s", "epoch": 1, "other": 2.0}],
    )
    stored = run.record("c")
    assert stored is not None and stored["headline"] == {"nll": 0.25, "ece": "nan", "kl": "inf"}
    assert rows(tmp_path / "cells/c/history.csv") == [
        {"stage": "s", "epoch": "0", "loss": "1.0", "other": ""},
        {"stage": "s", "epoch": "1", "loss": "", "other": "2.0"},
    ]


def test_curves_are_read_as_written_or_missing(tmp_path: Path) -> None:
    run = Run(tmp_path)
    curves = {"a/b:c": np.linspace(0, 1, 7, dtype=np.float32), "x": np.ones((2, 3), np.float32)}
    run.write_record(record("c"), curves=curves)
    stored = run.record("c")
    assert stored is not None
    np.testing.assert_equal(run.curves(stored), curves)
    path = tmp_path / "cells/c/curves.safetensors"
    content = path.read_bytes()
    for damaged in (content[:-1], content + b"0", content.replace(b"a/b", b"a/d")):
        path.write_bytes(damaged)
        assert run.curves(stored) == {}
    path.unlink()
    assert run.curves(stored) == {}
    run.write_record(record("d"))
    without = run.record("d")
    assert without is not None and run.curves(without) == {}


def test_metrics_rows_come_from_the_records_if_the_table_was_changed(tmp_path: Path) -> None:
    run = make_run(tmp_path, ["a", "b,c"])
    derived.write_tables(run)
    expected = list(derived.metrics(run))
    assert not list(derived.outdated(run)) and len(expected) == 4 * 3
    assert ["d", "m", "b,c", "9", "test", "", "0", "nll", "", "0.25"] in expected
    path = tmp_path / "metrics.csv"
    path.write_bytes(path.read_bytes().replace(b"0.25", b"0.15"))
    assert list(derived.outdated(run)) == ["metrics.csv"]
    assert list(derived.metrics(run)) == expected


def test_a_damaged_record_counts_as_missing(tmp_path: Path) -> None:
    run = Run(tmp_path)
    run.write_record(record("c"))
    path = tmp_path / "cells/c.json"
    content = path.read_bytes()
    for length in range(len(content)):
        path.write_bytes(content[:length])
        assert run.record("c") is None
    for position in range(len(content)):
        changed = bytearray(content)
        changed[position] ^= 4
        path.write_bytes(changed)
        assert run.record("c") is None
    path.write_bytes(content)
    assert run.record("c") is not None


def test_tables_do_not_depend_on_the_order_of_writing(tmp_path: Path) -> None:
    runs = [make_run(tmp_path / str(i), ["b", "a"], random.Random(i)) for i in range(3)]
    for run in runs:
        derived.write_tables(run)
    for table in ("results.csv", "metrics.csv"):
        contents = {(run.folder / table).read_bytes() for run in runs}
        assert len(contents) == 1
    results = rows(runs[0].folder / "results.csv")
    assert [(row["label"], row["seed"]) for row in results] == [
        *(("a", "9"), ("a", "10"), ("b", "9"), ("b", "10"))
    ]
    assert results[0]["ece"] == "nan" and results[0]["kl"] == "inf"


def test_strange_labels_are_kept_in_tables(tmp_path: Path) -> None:
    run = make_run(tmp_path, STRANGE)
    derived.write_tables(run)
    for table in ("results.csv", "metrics.csv", "timings.csv"):
        assert {row["label"] for row in rows(tmp_path / table)} == set(STRANGE)


def test_results_follow_a_new_record(tmp_path: Path) -> None:
    run = make_run(tmp_path, ["a"])
    assert {row["status"] for row in derived.results(run)} == {"done"}
    run.write_record(record("c0", status="failed", headline={}))
    assert sorted(row["status"] for row in derived.results(run)) == ["done", "failed"]


def test_done_cells_are_known_without_reading_records(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = make_run(tmp_path, ["a", "b"])
    run.write_record(record("c1", status="failed", headline={}, reason="it broke"))
    assert derived.done(run) == {}
    derived.write_tables(run)
    seconds = record("c0")["timings"]["seconds"]
    assert derived.done(run) == dict.fromkeys(("c0", "c2", "c3"), seconds)
    read: list[str] = []
    monkeypatch.setattr(run, "record", lambda cell_id: read.append(cell_id))
    status_of = derived.cell_statuses(run)
    assert status_of("c0") == CellStatus("done", seconds=seconds) and not read
    assert status_of("c1") == CellStatus("missing") and read == ["c1"]


@pytest.mark.parametrize(
    "change",
    [
        lambda run: run.write_record(record("c0", status="failed", headline={}, reason="r")),
        lambda run: run.paths("c0").record.unlink(),
        lambda run: run.paths("c0").record.write_bytes(b"{"),
        lambda run: (run.folder / "derived.json").unlink(),
        lambda run: (run.folder / "derived.json").write_text("{"),
        lambda run: change_derived_json(run, done={"c0": "1"}),
        lambda run: change_derived_json(run, done=["c0"]),
        lambda run: change_derived_json(run, done={"c0": float("nan")}),
    ],
)
def test_records_are_read_again_after_a_change(
    tmp_path: Path, change: Callable[[Run], Any]
) -> None:
    run = make_run(tmp_path, ["a", "b"])
    derived.write_tables(run)
    assert len(derived.done(run)) == 4
    change(run)
    assert derived.done(run) == {}
    assert derived.cell_statuses(run)("c0") == cell_status(run.record("c0"))


def change_derived_json(run: Run, **changed: Any) -> None:
    path = run.folder / "derived.json"
    path.write_text(json.dumps({**json.loads(path.read_bytes()), **changed}))


def test_a_record_under_the_name_of_another_cell_counts_as_missing(tmp_path: Path) -> None:
    run = Run(tmp_path)
    run.write_record(record("c"))
    (tmp_path / "cells/d.json").write_bytes((tmp_path / "cells/c.json").read_bytes())
    assert run.record("c") is not None and run.record("d") is None


@pytest.mark.parametrize("content", [b"", b"label\n", b"\xff\x00"])
def test_changed_tables_are_derived_anew_in_memory(tmp_path: Path, content: bytes) -> None:
    run = make_run(tmp_path, ["a", "b"])
    derived.write_tables(run)
    expected = derived.results(run)
    (tmp_path / "results.csv").write_bytes(content)
    assert derived.results(run) == expected and len(expected) == 4
    assert (tmp_path / "results.csv").read_bytes() == content


SOUND: dict[str, Any] = {
    "format": FORMAT,
    "cells": {"c": {**CELL, "label": "l", "seed": 0}},
    "recipes": {"d": {}},
    "ood": {},
    "metrics": {"nll": {"better": "lower", "headline": True}},
    "methods": [{"name": "m", "reference": False}],
}


def damaged(**changes: Any) -> str:
    return json.dumps({**SOUND, **changes})


@pytest.mark.parametrize(
    "text",
    [
        *("", "{", "[]", "3", "null", '{"cells": 3}', "\x00"),
        *(damaged(**{name: value}) for name in SOUND for value in (None, 99, "x", [3], {"c": 3})),
        damaged(cells={"c": {"dataset": "d"}}),
        damaged(methods=[{"name": "m"}]),
        damaged(metrics={"nll": {}}),
        damaged(metrics={"nll": {"better": 7, "headline": True}}),
        damaged(metrics={"nll": {"better": "up", "headline": True}}),
        damaged(command=5),
        damaged(recipes={}),
        *(
            damaged(cells={"c": {**CELL, "label": "l", "seed": 0, **{name: value}}})
            for name, value in [("seed", "zero"), ("seed", True), ("dataset", ["d"]), ("label", 3)]
        ),
        damaged(cells={"c": {name: CELL[name] for name in CELL if name != "parameters"}}),
        damaged(format=FORMAT + 1),
    ],
)
def test_a_damaged_description_is_reported_in_one_line(tmp_path: Path, text: str) -> None:
    (tmp_path / "run.json").write_text(text)
    for read in (Run(tmp_path).existing_manifest, Run(tmp_path).manifest):
        with pytest.raises(UsageError) as caught:
            read()
        assert len(str(caught.value).splitlines()) == 1 and "run.json" in str(caught.value)


def test_a_sound_description_is_read(tmp_path: Path) -> None:
    (tmp_path / "run.json").write_text(damaged())
    assert Run(tmp_path).existing_manifest() == SOUND


def test_a_changed_byte_in_the_description_is_detected(tmp_path: Path) -> None:
    run = Run(tmp_path)
    run.write_manifest(SOUND)
    path = tmp_path / "run.json"
    content = path.read_bytes()
    assert run.manifest() == SOUND
    for position in range(len(content)):
        for changed in (content[:position], bytearray(content)):
            if isinstance(changed, bytearray):
                changed[position] ^= 4
            path.write_bytes(changed)
            # A change of the key of its sum, or of the last line's end, changes nothing else.
            try:
                assert {**run.manifest(), **SOUND} == run.manifest()
            except UsageError as error:
                assert len(str(error).splitlines()) == 1
    # An older version stored no checksum.
    path.write_text(damaged())
    assert run.manifest() == SOUND


def test_a_value_too_large_to_be_averaged_is_infinite(tmp_path: Path) -> None:
    run = Run(tmp_path)
    huge = {"nll": 1.7e308, "ece": -1e100, "kl": 9.9e99}
    run.write_record(record("c", headline=huge))
    headline = run.read_record("c")["headline"]
    assert headline == {"nll": "inf", "ece": "-inf", "kl": 9.9e99}
    resummed(run.paths("c").record, headline=huge)
    with pytest.raises(DamagedFile, match=r"headline\.ece: should be a number"):
        run.read_record("c")


TEST_SET = record("c")["sets"][0]
WRONG_TYPES: list[tuple[dict[str, Any], str]] = [
    ({"sets": [{**TEST_SET, "values": [1, 2]}]}, "sets.0.values: should be a valid dictionary"),
    ({"sets": [{**TEST_SET, "values": {"nll": "abc"}}]}, "sets.0.values.nll: should be a number"),
    ({"sets": [{**TEST_SET, "severity": True}]}, "sets.0.severity: should be a valid integer"),
    ({"sets": [3]}, "sets.0: should be a valid dictionary"),
    ({"timings": [1]}, "timings: should be a valid dictionary"),
    ({"timings": {"seconds": "abc"}}, "timings: seconds: not a duration in seconds"),
    ({"timings": {}}, "timings: seconds is missing"),
    ({"headline": None}, "headline: should be a valid dictionary"),
    ({"headline": {"nll": "abc"}}, "headline.nll: should be a number"),
    ({"headline": {"nll": True}}, "headline.nll: should be a number"),
    ({"headline": {"nll": None}}, "headline.nll: should be a number"),
    ({"headline": {"nll": 10**400}}, "headline.nll: should be a number"),
    ({"headline": {"flops": 2**63}}, "headline.flops: should be a number"),
    ({"headline": {"seed": 1}}, "headline: seed: the name of a column, not of a metric"),
    (
        {"sets": [{**TEST_SET, "values": {"nll": -(10**30)}}]},
        "sets.0.values.nll: should be a number",
    ),
    ({"seed": False}, "seed: should be a valid integer"),
    ({"finished": 7}, "finished: should be a valid string"),
    ({"environment": 5}, "environment: should be a valid dictionary"),
    ({"status": "fine"}, "status: should be 'done', 'failed' or 'skipped'"),
]


@pytest.mark.parametrize(("changes", "reason"), WRONG_TYPES, ids=[case[1] for case in WRONG_TYPES])
def test_a_record_with_wrong_types_is_damaged_despite_a_right_checksum(
    tmp_path: Path, changes: dict[str, Any], reason: str
) -> None:
    run = Run(tmp_path)
    with pytest.raises(InvalidContent, match=re.escape(reason)):
        run.write_record(record("c", **changes))
    assert not run.cells.exists()
    with unchecked():
        run.write_record(record("c", **changes))
    assert run.record("c") is None and run.has_damaged_record("c")
    with pytest.raises(DamagedFile) as caught:
        run.read_record("c")
    assert caught.value.reason == reason


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"headline": dict.fromkeys(map(str, range(100_000)), "x")}, r"headline\.0: should be"),
        ({"sets": [3] * 100_000}, r"sets\.0: should be"),
        ({"sets": [{**TEST_SET, "values": dict.fromkeys("abc" * 9, "x")}]}, r"values\.a: should"),
    ],
)
def test_the_first_of_many_errors_ends_the_check(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, changes: dict[str, Any], reason: str
) -> None:
    run, counts = Run(tmp_path), list[int]()
    with unchecked():
        run.write_record(record("c", **changes))

    def counted(error: ValidationError) -> str:
        counts.append(error.error_count())
        return reason_of(error)

    reason_of = schema._reason
    monkeypatch.setattr(schema, "_reason", counted)
    with pytest.raises(DamagedFile, match=reason):
        run.read_record("c")
    assert counts == [1]


def test_timings_may_hold_the_name_of_the_host(tmp_path: Path) -> None:
    run = Run(tmp_path)
    run.write_record(record("c", timings={"seconds": 1, "host": "here"}))
    run.write_record(record("d", status="failed", headline={}, sets=[], timings={}))
    assert run.record("c") is not None and run.record("d") is not None


HISTORY = [{"stage": "train", "epoch": 0, "loss": 1.5, "extra": math.nan}]
BAD_HISTORIES = [
    (b"loss\nabc\n", "no history: it has no stages and epochs"),
    (b"stage,epoch,loss\ntrain,0,abc\n", "damaged: loss is 'abc', no number"),
    (b"stage,epoch,loss\ntrain,x,1\n", "damaged: epoch is 'x', no number"),
    (b"stage,epoch,loss\ntrain,0\n", "damaged: as if cut off"),
    (b"stage,epoch,loss\ntrain,0,1", "damaged: as if cut off"),
    (b"\xff\xfe", "not readable as CSV"),
    (b'stage,epoch\n"a', "not readable as CSV"),
]


def test_a_history_is_read_as_written_or_its_damage_is_named(tmp_path: Path) -> None:
    run = Run(tmp_path)
    for name in "cd":
        run.write_record(record(name), [{**row, "loss": ord(name)} for row in HISTORY])
    stored, path = run.read_record("c"), run.paths("c").history
    assert run.history(stored) == [{"stage": "train", "epoch": "0", "loss": "99", "extra": "nan"}]
    assert run.cell_file(stored, "history") == path.read_bytes()
    history_of_d, content = run.paths("d").history.read_bytes(), path.read_bytes()
    for damage, reason in [
        *(
            (changed, "damaged: its SHA-256 is not the record's")
            for changed in (history_of_d, b"x")
        ),
        (b"", "missing or empty"),
    ]:
        path.write_bytes(damage)
        with pytest.raises(DamagedFile) as caught:
            run.history(stored)
        assert str(caught.value) == f"{path}: {reason}"
    path.unlink()
    with pytest.raises(DamagedFile, match="missing or empty"):
        run.history(stored)
    path.write_bytes(content)
    with pytest.raises(DamagedFile, match="belongs to no record"):
        run.history({**stored, "history": ""})
    # An older version stored no checksum of it.
    assert run.history({name: stored[name] for name in stored if name != "history"})
    run.write_record(record("c"))
    assert run.history(run.read_record("c")) == []


@pytest.mark.parametrize(("content", "reason"), BAD_HISTORIES)
def test_a_file_that_is_no_history_is_damaged_despite_a_right_checksum(
    tmp_path: Path, content: bytes, reason: str
) -> None:
    run = Run(tmp_path)
    run.write_record(record("c"), HISTORY)
    run.paths("c").history.write_bytes(content)
    stored = {**run.read_record("c"), "history": hashlib.sha256(content).hexdigest()}
    with pytest.raises(DamagedFile) as caught:
        run.history(stored)
    assert caught.value.reason == reason


@pytest.mark.parametrize(
    ("name", "shape"),
    [
        *(("histogram/total/test", (50,)), ("upper/total/test", (2,)), ("roc/total/ood", (7,))),
        *(("reliability/test", (15, 3)), ("fidelity/test", (3, 9)), ("canvas/total", (4, 4))),
        ("canvas/x", (4,)),
    ],
)
def test_curves_of_another_shape_are_refused_and_not_read(
    tmp_path: Path, name: str, shape: tuple[int, ...]
) -> None:
    run = Run(tmp_path)
    curves = {name: np.zeros(shape, np.float32)}
    with pytest.raises(InvalidContent, match=name):
        run.write_record(record("c"), curves=curves)
    with unchecked():
        run.write_record(record("c"), curves=curves)
    stored = run.read_record("c")
    assert run.curves(stored) == {}
    with pytest.raises(ValueError, match=name):
        parse_curves(run.cell_file(stored, "curves"))
    with pytest.raises(ValueError, match="not readable as safetensors"):
        parse_curves(b"junk")


def test_the_driver_file_is_not_written_through_a_link(tmp_path: Path) -> None:
    precious = tmp_path / "precious"
    precious.write_text("thesis")
    run = Run(tmp_path / "r")
    run.folder.mkdir()
    (run.folder / ".driver").symlink_to(precious)
    with run.locked():
        assert run.driver().startswith("process ")
        assert not (run.folder / ".driver").is_symlink()
    assert precious.read_text() == "thesis" and not (run.folder / ".driver").exists()


def test_names_send_no_control_characters_to_a_terminal() -> None:
    cell = {"dataset": "d\n", "label": "\x1b[2Jkd", "seed": 0}
    assert cell_name(cell) == "d  �[2Jkd seed 0"
