"""The CSV tables: derived from records in one order, and read instead of them if unchanged."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

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


@pytest.mark.parametrize("content", [b"", b"label\n", b"\xff\x00"])
def test_changed_tables_are_derived_anew_in_memory(tmp_path: Path, content: bytes) -> None:
    run = make_run(tmp_path, ["a", "b"])
    derived.write_tables(run)
    expected = derived.results(run)
    (tmp_path / "results.csv").write_bytes(content)
    assert derived.results(run) == expected and len(expected) == 4
    assert (tmp_path / "results.csv").read_bytes() == content
