"""What a run says before anything trains."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

from bench.cache import Cache
from bench.estimate import to_the_minute
from bench.plan import Cell
from bench.printable import printable
from bench.remarks import data_plans, remarks
from bench.rough import rough_seconds
from bench.store import Run

LONG = 600
"""Seconds, from which a run is announced to be long."""


def note_remarks(run: Run, cells: Sequence[Cell], cache: Cache, root: Path) -> None:
    """Say what a user should know of the data of cells, and keep it for the report.

    What was kept of their datasets before is replaced: files may have been mended since.
    """
    lines = remarks(data_plans(cells), cache, root)
    for dataset, each in lines.items():
        for line in each:
            print(printable(f"{dataset}: {line}"), file=sys.stderr)
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
            f"this will take roughly {to_the_minute(seconds)} with {jobs} at a time, by the "
            "operations of its networks; plan --estimate times them",
            file=sys.stderr,
            flush=True,
        )
