"""The cells of a run counted by status."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any

from distillation_bench.bench.common.terminal_tables import text_table
from distillation_bench.bench.common.text import counted, natural_key, terminal_safe, truncated
from distillation_bench.bench.storage.formats.schema import STATUSES
from distillation_bench.bench.storage.run_folder import cell_name

MAX_REASON = 300
"""Characters of a failure's reason that are shown."""


def status_summary(cells: Mapping[str, Any], status_of: Callable[[str], str]) -> str:
    """Return the counts of all cells: `3 cells: 2 done, 1 failed`.

    Args:
        cells: of the run's description, by id.
        status_of: returns the status of a cell from its id.
    """
    counts = Counter(map(status_of, cells))
    parts = (f"{counts[status]} {status}" for status in STATUSES if counts[status])
    return f"{counted(len(cells), 'cell')}: {', '.join(parts)}"


def status_table(cells: Mapping[str, Any], status_of: Callable[[str], str]) -> str:
    """Return the counts by dataset and method as a table; see `status_summary`."""
    counts: dict[tuple[str, str], Counter[str]] = {}
    for cell_id, cell in cells.items():
        group = cell["dataset"], cell["label"]
        counts.setdefault(group, Counter())[status_of(cell_id)] += 1
    rows = [
        [*map(terminal_safe, group), *(count[status] or "" for status in STATUSES)]
        for group, count in sorted(counts.items(), key=lambda item: [*map(natural_key, item[0])])
    ]
    align = ["left", "left", *["right"] * len(STATUSES)]
    return text_table(rows, ["dataset", "method", *STATUSES], align=align, names=2)


def failure_line(cell: Mapping[str, Any], reason: str) -> str:
    """Return a line about a cell that has failed."""
    return f"FAILED {cell_name(cell)}: {truncated(reason, MAX_REASON)}"
