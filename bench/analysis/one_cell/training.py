"""The training of a cell as a table: each term of the loss with its course."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Mapping, Sequence

from distillation_bench.bench.analysis.one_cell.sparklines import sparkline
from distillation_bench.bench.common.terminal_tables import text_table
from distillation_bench.bench.storage.run_folder import DamagedFile, Record, Run

MAX_CURVE = 60
"""Characters of a curve."""
EpochRow = Mapping[str, str]
"""A row of a history: one epoch."""


def describe_training(run: Run, record: Record, width: int) -> str:
    """Return the first, lowest and last value of each term and its course, stage by stage."""
    try:
        history = run.history(record)
    except DamagedFile as error:
        return f"training: left out, {error}"
    stages: dict[str, list[EpochRow]] = {}
    for row in history:
        stages.setdefault(row.get("stage", ""), []).append(row)
    return "\n\n".join(_describe_stage(name, rows, width) for name, rows in stages.items())


def _describe_stage(stage: str, rows: Sequence[EpochRow], width: int) -> str:
    terms = {
        name: [_number(row.get(name)) for row in rows]
        for name in rows[0]
        if name not in ("stage", "epoch") and any(row.get(name) for row in rows)
    }
    longest = max(map(len, terms), default=0)
    curve_width = max(10, min(MAX_CURVE, width - longest - 44))
    table = text_table(
        [_term_cells(name, values, curve_width) for name, values in terms.items()],
        ["term", "first", "lowest", "last", "by epoch", ""],
        style="plain",
        align=("left", "right", "right", "right", "left", "left"),
    )
    return f"training, stage {stage}: {len(rows)} epochs\n{textwrap.indent(table, '  ')}"


def _term_cells(name: str, values: Sequence[float], curve_width: int) -> list[str]:
    curve, scale = sparkline(values, curve_width)
    finite = [value for value in values if math.isfinite(value)]
    lowest = f"{min(finite):.4g}" if finite else ""
    return [name, f"{values[0]:.4g}", lowest, f"{values[-1]:.4g}", curve, scale]


def _number(text: str | None) -> float:
    try:
        return float(text or "nan")
    except ValueError:
        return math.nan
