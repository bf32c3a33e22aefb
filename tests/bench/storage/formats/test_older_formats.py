"""Every command reads a run that was written in format 3."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from distillation_bench.bench.analysis.results import load
from distillation_bench.bench.cli.commands.status import status_text
from distillation_bench.bench.cli.leaderboard import board_text
from distillation_bench.bench.storage import tables
from distillation_bench.bench.storage.formats.older_formats import FORMAT, upgrade_record
from distillation_bench.bench.storage.run_folder import Run
from distillation_bench.bench.storage.table_note import records_fingerprint
from distillation_bench.bench.storage.upkeep.clean import clean
from distillation_bench.bench.storage.upkeep.merge import merge
from distillation_bench.bench.storage.upkeep.verify import verify

WRITTEN = Path(__file__).parent / "format_3"
"""kd is done, endd skipped and broken failed, each with seeds 0 and 1."""


@pytest.fixture(params=["tables as written", "tables out of date"])
def run(request: pytest.FixtureRequest, tmp_path: Path) -> Run:
    """A copy of the old run, with and without valid tables."""
    copy = Run(tmp_path / "run")
    shutil.copytree(WRITTEN, copy.folder)
    if request.param == "tables as written":
        path = copy.folder / "derived.json"
        note = json.loads(path.read_text())
        path.write_text(json.dumps({**note, "state": records_fingerprint(copy)}))
    return copy


def contents(folder: Path) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_old_statuses_are_read_as_the_present_ones(run: Run) -> None:
    rows = tables.results(run)
    assert [row["status"] for row in rows] == ["failed"] * 2 + ["skipped"] * 2 + ["done"] * 2
    assert len(tables.done(run)) in (0, 2)
    assert "2 done, 2 failed, 2 skipped" in status_text(run)
    assert "broken on sine: 2 failed of 2: ValueError: it broke" in board_text([run.folder])


def test_the_values_are_as_written(run: Run) -> None:
    written = (WRITTEN / "metrics.csv").read_text().splitlines()
    assert [",".join(row) for row in tables.metrics(run)] == written[1:]
    for path in run.cells.glob("*.json"):
        old, new = json.loads(path.read_bytes()), run.read_record(path.stem)
        assert new["headline"] == old["headline"] and new["format"] == FORMAT
        assert [entry["values"] for entry in new["sets"]] == [e["figures"] for e in old["sets"]]
    results = load(run.folder)
    cells = results.values("nll")[["dataset", "label", "seed"]].itertuples(index=False, name=None)
    assert set(cells) == {("sine", "kd", 0), ("sine", "kd", 1)}


def test_nothing_is_wrong_with_it_and_reading_changes_nothing(run: Run) -> None:
    before = contents(run.folder)
    assert not [str(finding) for finding in verify(run) if finding.wrong]
    load(run.folder)
    assert contents(run.folder) == before


def test_a_changed_table_is_still_wrong(run: Run) -> None:
    path = run.folder / "results.csv"
    path.write_text(path.read_text().replace(",ok,", ",ok,1", 1))
    assert [finding.path for finding in verify(run) if finding.wrong] == [path]


def test_tables_are_written_in_the_present_format(run: Run) -> None:
    tables.write_tables(run)
    assert ",done," in (run.folder / "results.csv").read_text()
    assert not [str(finding) for finding in verify(run) if finding.wrong]


def test_clean_and_merge_accept_it(run: Run, tmp_path: Path) -> None:
    target = Run(tmp_path / "merged")
    assert merge([run], target, None).endswith("6 records copied; 6 cells, 0 missing")
    assert target.manifest()["format"] == FORMAT
    assert not [str(finding) for finding in verify(target) if finding.wrong]
    clean([run], None, ["failed"], None, yes=True)
    assert [row["status"] for row in tables.results(run)] == ["skipped"] * 2 + ["done"] * 2


@pytest.mark.parametrize(
    "record",
    [
        {"format": 3},
        {"format": 3, "sets": "ab", "status": ["ok"]},
        {"format": 3, "sets": [None, 1, {"figures": None}], "status": {}},
        {"format": 4, "sets": None},
    ],
)
def test_a_record_with_wrong_content_is_upgraded_without_error(record: dict[str, Any]) -> None:
    assert upgrade_record(record)["format"] == FORMAT


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"status": "done"}, "status: 'done' is a status of format 4, in a record of format 3"),
        (
            {"sets": [{"figures": {"nll": 1.0}, "values": {"nll": 2.0}}]},
            "sets: 'values' is an entry of format 4, in a record of format 3",
        ),
    ],
)
def test_words_of_a_later_format_are_refused(changes: dict[str, Any], reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        upgrade_record({"format": 3, "status": "ok", "sets": [], **changes})
