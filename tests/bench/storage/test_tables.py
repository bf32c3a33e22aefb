"""The CSV tables: derived from records in one order, and read instead of them if unchanged."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas
import pytest
from tests.bench.storage.stored_runs import make_run, record, rows

from distillation_bench.bench.storage import tables as derived
from distillation_bench.bench.storage.run_folder import (
    CellStatus,
    Run,
    cell_status,
)

STRANGE = ["NA", "00012", "a,b", 'q"q', "new\nline", "ünï ± λ", "=1+1"]


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
    for table in ("results.csv", "metrics.csv", "cells.csv"):
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


@pytest.mark.parametrize("content", [b"", b"label\n", b"\xff\x00"])
def test_changed_tables_are_derived_anew_in_memory(tmp_path: Path, content: bytes) -> None:
    run = make_run(tmp_path, ["a", "b"])
    derived.write_tables(run)
    expected = derived.results(run)
    (tmp_path / "results.csv").write_bytes(content)
    assert derived.results(run) == expected and len(expected) == 4
    assert (tmp_path / "results.csv").read_bytes() == content


STREAMS = {
    "results": derived.results_file,
    "metrics": derived.metrics_file,
    "cells": derived.cells_file,
}


@pytest.mark.parametrize("table", STREAMS)
@pytest.mark.parametrize("damage", ["none", "missing", "edited", "no note", "newer record"])
def test_a_stream_gives_what_the_records_hold_and_writes_nothing(
    tmp_path: Path, table: str, damage: str
) -> None:
    run = make_run(tmp_path, ["a", "b,c", "NA"])
    derived.write_tables(run)
    path = tmp_path / f"{table}.csv"
    expected = path.read_bytes()
    if damage == "missing":
        path.unlink()
    elif damage == "edited":
        path.write_bytes(expected.replace(b"d,m,a", b"d,m,x"))
    elif damage == "no note":
        (tmp_path / "derived.json").unlink()
    elif damage == "newer record":
        run.write_record(record("c0"))
    before = {file.name: file.stat().st_mtime_ns for file in tmp_path.iterdir()}
    with STREAMS[table](run) as file:
        assert file.read() == expected
    assert {file.name: file.stat().st_mtime_ns for file in tmp_path.iterdir()} == before


@pytest.mark.parametrize("table", STREAMS)
@pytest.mark.parametrize("is_current", [True, False])
def test_pandas_reads_the_streams(tmp_path: Path, table: str, is_current: bool) -> None:
    run = make_run(tmp_path, STRANGE)
    if is_current:
        derived.write_tables(run)
    text = dict.fromkeys(("dataset", "label"), str)
    with STREAMS[table](run) as file:
        frame = pandas.read_csv(file, dtype=text, keep_default_na=False, na_values=[""])
    assert set(frame["label"]) == set(STRANGE)
    assert len(frame) == 2 * len(STRANGE) * (3 if table == "metrics" else 1)


def test_cells_hold_what_a_record_has_beside_its_values(tmp_path: Path) -> None:
    run = make_run(tmp_path, ["a"])
    timings = {"seconds": 2.5, "host": "here", "attempts": 2}
    environment = {"device": "cpu", "threads": 1}
    failed = {"status": "failed", "headline": {}, "sets": [], "reason": "it\nbroke, twice"}
    run.write_record(
        record("c0", timings=timings, environment=environment, commit="abc", **failed),
        [{"stage": "train", "epoch": 0, "loss": 1.0}],
    )
    with derived.cells_file(run) as file:
        frame = pandas.read_csv(file, keep_default_na=False)
    other, row = frame.to_dict("records")
    assert json.loads(row.pop("environment")) == environment
    assert row == {
        **{"dataset": "d", "method": "m", "label": "a", "seed": 10, "id": "c0"},
        **{"status": "failed", "reason": "it\nbroke, twice", "commit": "abc"},
        **{"finished": "2026-01-01T00:00:00+00:00", "history": True, "curves": False},
        **{"seconds": 2.5, "host": "here", "attempts": "2"},
    }
    assert other["attempts"] == "" and not other["history"]


def test_a_long_table_is_streamed_from_the_records(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = make_run(tmp_path, ["a", "b"])
    read: list[str] = []
    real = run.record

    def counted(cell_id: str) -> Any:
        read.append(cell_id)
        return real(cell_id)

    monkeypatch.setattr(run, "record", counted)
    with derived.metrics_file(run) as file:
        assert file.readline().startswith(b"dataset,method,label,seed,set")
        assert len(read) <= 1
        assert len(file.readlines()) == 4 * 3
    assert len(read) == 4


def test_tables_of_older_code_give_way_to_those_of_the_records(tmp_path: Path) -> None:
    run = make_run(tmp_path, ["a"])
    (tmp_path / "timings.csv").write_text("dataset,method,label,seed,cell\n")
    assert list(derived.outdated(run)) == []
    derived.write_tables(run)
    assert not (tmp_path / "timings.csv").exists() and list(derived.outdated(run)) == []
