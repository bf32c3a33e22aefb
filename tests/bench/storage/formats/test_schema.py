"""The schema of a record: types of its values, and errors that are found."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError
from tests.bench.storage.stored_runs import record
from tests.end_to_end.hostile import resummed
from tests.unchecked import unchecked

from distillation_bench.bench.storage.formats import schema
from distillation_bench.bench.storage.formats.write_checks import InvalidContent
from distillation_bench.bench.storage.run_folder import (
    DamagedFile,
    Run,
)


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
