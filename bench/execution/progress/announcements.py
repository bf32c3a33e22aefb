"""What a run says before anything trains."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

from distillation_bench.bench.common.text import rough_duration, terminal_safe
from distillation_bench.bench.planning.cells import Cell
from distillation_bench.bench.planning.data_remarks import data_plans, remarks
from distillation_bench.bench.planning.estimates.run_time import rough_seconds
from distillation_bench.bench.storage.cache import Cache
from distillation_bench.bench.storage.run_folder import Run

LONG = 600
"""Seconds, from which a run is announced to be long."""


def note_remarks(run: Run, cells: Sequence[Cell], cache: Cache, root: Path) -> None:
    """Say what a user should know of the data of cells, and keep it for the report.

    What was kept of their datasets before is replaced: files may have been mended since.
    """
    lines = remarks(data_plans(cells), cache, root)
    for dataset, each in lines.items():
        for line in each:
            print(terminal_safe(f"{dataset}: {line}"), file=sys.stderr)
    manifest, datasets = run.manifest(), {cell.dataset for cell in cells}
    kept = {k: each for k, each in manifest.get("remarks", {}).items() if k not in datasets}
    run.write_manifest({**manifest, "remarks": kept | lines})


def say_how_long(cells: Sequence[Cell], cache: Cache, jobs: int, device: str) -> None:
    """Say roughly how long cells will take on processors, if that is long."""
    if device != "cpu":
        return
    seconds = rough_seconds(cells, cache, max(jobs, 1))
    if seconds >= LONG:
        print(
            f"this will take roughly {rough_duration(seconds)} with {jobs} at a time, by the "
            "operations of its networks; plan --estimate times them",
            file=sys.stderr,
            flush=True,
        )
