"""Records are whole or missing; tables are derived from them in one order."""

from __future__ import annotations

import csv
import json
import math
import random
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bench.errors import UsageError
from bench.store import FORMAT, Run

CELL = {"dataset": "d", "method": "m", "measured": "teacher", "protocol": "code"}
STRANGE = ["NA", "00012", "a,b", 'q"q', "new\nline", "ünï ± λ", "=1+1"]


def record(cell_id: str, **changes: Any) -> dict[str, Any]:
    figures = {"nll": 0.25, "ece": math.nan, "kl": math.inf}
    return {
        "id": cell_id,
        "status": "ok",
        "headline": figures,
        "sets": [{"set": "test", "shift": "", "severity": 0, "figures": figures}],
        "timings": {"seconds": 1.5},
        **changes,
    }


def make_run(folder: Path, labels: list[str], order: random.Random | None = None) -> Run:
    run = Run(folder)
    cells = {
        f"c{index}": {**CELL, "label": label, "seed": seed}
        for index, (label, seed) in enumerate((label, s) for label in labels for s in (10, 9))
    }
    description = {"cells": cells, "methods": [], "metrics": {}, "recipes": {}, "ood": {}}
    run.write_manifest({"format": FORMAT, **description})
    ids = list(cells)
    if order is not None:
        order.shuffle(ids)
    for cell_id in ids:
        run.write_record(record(cell_id))
    return run


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def test_a_record_comes_back(tmp_path: Path) -> None:
    run = Run(tmp_path)
    run.write_record(record("c"), [{"epoch": 0, "loss": 1.0}, {"epoch": 1, "other": 2.0}])
    found = run.record("c")
    assert found is not None and found["headline"] == {"nll": 0.25, "ece": "nan", "kl": "inf"}
    assert rows(tmp_path / "cells/c/history.csv") == [
        {"epoch": "0", "loss": "1.0", "other": ""},
        {"epoch": "1", "loss": "", "other": "2.0"},
    ]


def test_curves_come_back_or_are_missing(tmp_path: Path) -> None:
    run = Run(tmp_path)
    curves = {"a/b:c": np.linspace(0, 1, 7, dtype=np.float32), "x": np.ones((2, 3), np.float32)}
    run.write_record(record("c"), curves=curves)
    found = run.record("c")
    assert found is not None
    np.testing.assert_equal(run.curves(found), curves)
    path = tmp_path / "cells/c/curves.safetensors"
    content = path.read_bytes()
    for damaged in (content[:-1], content + b"0", content.replace(b"a/b", b"a/d")):
        path.write_bytes(damaged)
        assert run.curves(found) == {}
    path.unlink()
    assert run.curves(found) == {}
    run.write_record(record("d"))
    without = run.record("d")
    assert without is not None and run.curves(without) == {}


def test_long_rows_are_of_records_where_the_table_was_changed(tmp_path: Path) -> None:
    run = make_run(tmp_path, ["a", "b,c"])
    run.derive()
    expected = list(run.metrics())
    assert run.is_fresh("metrics") and len(expected) == 4 * 3
    assert ["d", "m", "b,c", "9", "test", "", "0", "nll", "", "0.25"] in expected
    path = tmp_path / "metrics.csv"
    path.write_bytes(path.read_bytes().replace(b"0.25", b"0.15"))
    assert not run.is_fresh("metrics") and run.is_fresh("results")
    assert list(run.metrics()) == expected


def test_a_damaged_record_is_missing_never_wrong(tmp_path: Path) -> None:
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
        run.derive()
    for table in ("results.csv", "metrics.csv"):
        contents = {(run.folder / table).read_bytes() for run in runs}
        assert len(contents) == 1
    found = rows(runs[0].folder / "results.csv")
    assert [(row["label"], row["seed"]) for row in found] == [
        *(("a", "9"), ("a", "10"), ("b", "9"), ("b", "10"))
    ]
    assert found[0]["ece"] == "nan" and found[0]["kl"] == "inf"


def test_strange_labels_survive(tmp_path: Path) -> None:
    run = make_run(tmp_path, STRANGE)
    run.derive()
    for table in ("results.csv", "metrics.csv", "timings.csv"):
        assert {row["label"] for row in rows(tmp_path / table)} == set(STRANGE)


def test_results_follow_a_new_record(tmp_path: Path) -> None:
    run = make_run(tmp_path, ["a"])
    assert {row["status"] for row in run.results()} == {"ok"}
    run.write_record(record("c0", status="failed", headline={}))
    assert sorted(row["status"] for row in run.results()) == ["failed", "ok"]


def test_a_record_under_another_name_is_missing(tmp_path: Path) -> None:
    run = Run(tmp_path)
    run.write_record(record("c"))
    (tmp_path / "cells/d.json").write_bytes((tmp_path / "cells/c.json").read_bytes())
    assert run.record("c") is not None and run.record("d") is None


@pytest.mark.parametrize("content", [b"", b"label\n", b"\xff\x00"])
def test_changed_tables_are_derived_anew_in_memory(tmp_path: Path, content: bytes) -> None:
    run = make_run(tmp_path, ["a", "b"])
    run.derive()
    expected = run.results()
    (tmp_path / "results.csv").write_bytes(content)
    assert run.results() == expected and len(expected) == 4
    assert (tmp_path / "results.csv").read_bytes() == content


SOUND: dict[str, Any] = {
    "format": FORMAT,
    "cells": {"c": {**CELL, "label": "l", "seed": 0}},
    "recipes": {},
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
        damaged(format=FORMAT + 1),
    ],
)
def test_a_damaged_description_is_one_line(tmp_path: Path, text: str) -> None:
    (tmp_path / "run.json").write_text(text)
    for read in (Run(tmp_path).existing_manifest, Run(tmp_path).manifest):
        with pytest.raises(UsageError) as caught:
            read()
        assert len(str(caught.value).splitlines()) == 1 and "run.json" in str(caught.value)


def test_a_sound_description_is_read(tmp_path: Path) -> None:
    (tmp_path / "run.json").write_text(damaged())
    assert Run(tmp_path).existing_manifest() == SOUND
