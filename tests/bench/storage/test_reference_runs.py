"""The runs in results/reference: complete, sound, and small enough for a repository."""

from __future__ import annotations

from pathlib import Path

import pytest

from distillation_bench.bench.storage import tables
from distillation_bench.bench.storage.run_folder import Run
from distillation_bench.bench.storage.upkeep.verify import verify

FOLDER = Path(__file__).parents[3] / "results" / "reference"
RUNS = pytest.mark.parametrize("name", ["quick", "toy"])


@RUNS
def test_a_reference_run_is_sound_and_complete(name: str) -> None:
    run = Run(FOLDER / name)
    assert not [str(finding) for finding in verify(run) if finding.wrong]
    statuses = {row["status"] for row in tables.results(run)}
    assert statuses == {"done", "skipped"}
    assert len(tables.results(run)) == len(run.manifest()["cells"])


@RUNS
def test_its_table_is_that_of_its_records(name: str) -> None:
    run = Run(FOLDER / name)
    with tables.results_file(run) as file:
        assert file.read() == (run.folder / "results.csv").read_bytes()


@RUNS
def test_it_is_small_and_says_what_was_left_out(name: str) -> None:
    run = Run(FOLDER / name)
    files = [path for path in run.folder.rglob("*") if path.is_file()]
    assert sum(path.stat().st_size for path in files) < 2e6
    assert not [path for path in files if path.name in ("history.csv", "curves.safetensors")]
    for cell_id in run.manifest()["cells"]:
        record = run.read_record(cell_id)
        expected = ["curves", "history"] if record["status"] == "done" else []
        assert record["left_out"] == expected
        assert str(Path.home()) not in run.paths(cell_id).record.read_text()
