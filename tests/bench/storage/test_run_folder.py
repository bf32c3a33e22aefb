"""The folder of a run: records, the description and the driver."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from tests.bench.storage.stored_runs import CELL, record, rows

from distillation_bench.bench.common.errors import UsageError
from distillation_bench.bench.storage.formats.older_formats import FORMAT
from distillation_bench.bench.storage.run_folder import (
    Run,
    cell_name,
)


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


def test_a_record_under_the_name_of_another_cell_counts_as_missing(tmp_path: Path) -> None:
    run = Run(tmp_path)
    run.write_record(record("c"))
    (tmp_path / "cells/d.json").write_bytes((tmp_path / "cells/c.json").read_bytes())
    assert run.record("c") is not None and run.record("d") is None


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
