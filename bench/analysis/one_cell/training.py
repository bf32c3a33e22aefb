"""The training of a cell as a table: each term of the loss with its course."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence

import numpy as np
import pandas as pd

from distillation_bench.bench.common.terminal_tables import text_table
from distillation_bench.bench.storage.run_folder import DamagedFile, Record, Run

MAX_CURVE = 60
"""Characters of a curve."""
BARS = "▁▂▃▄▅▆▇█"
NOT_FINITE = "×"
ALIGNMENT = ("left", "right", "right", "right", "left", "left")


def describe_training(run: Run, record: Record, width: int) -> str:
    """Return the first, lowest and last value of each term and its course, stage by stage."""
    try:
        history = pd.DataFrame(run.history(record), dtype=str)
    except DamagedFile as error:
        return f"training: left out, {error}"
    if history.empty:
        return ""
    stages = history.get("stage", pd.Series("", history.index))
    terms = history.drop(columns=["stage", "epoch"], errors="ignore")
    groups = terms.groupby(stages.fillna(""), sort=False)
    return "\n\n".join(_describe_stage(str(name), rows, width) for name, rows in groups)


def _describe_stage(stage: str, texts: pd.DataFrame, width: int) -> str:
    terms = texts.loc[:, texts.fillna("").ne("").any()].apply(pd.to_numeric, errors="coerce")
    curve_width = max(10, min(MAX_CURVE, width - max(map(len, terms), default=0) - 44))
    rows = []
    for name, values in terms.items():
        lowest = values[np.isfinite(values)].min()
        least = "" if pd.isna(lowest) else f"{lowest:.4g}"
        ends = f"{values.iloc[0]:.4g}", f"{values.iloc[-1]:.4g}"
        rows.append([name, ends[0], least, ends[1], *sparkline(list(values), curve_width)])
    header = ["term", "first", "lowest", "last", "by epoch", ""]
    table = text_table(rows, header, style="plain", align=ALIGNMENT)
    return f"training, stage {stage}: {len(texts)} epochs\n{textwrap.indent(table, '  ')}"


def sparkline(values: Sequence[float], width: int) -> tuple[str, str]:
    """Return a curve of at most `width` characters, and `log` if its scale is logarithmic.

    Neighbouring values share a character, which shows their mean. Positive values that span more
    than two powers of ten are drawn by their logarithm. A value that is not finite is shown as ×.
    """
    heights = np.array(values, float)
    finite = np.isfinite(heights)
    if not finite.any():
        return NOT_FINITE * min(width, len(heights)), ""
    low, high = heights[finite].min(), heights[finite].max()
    is_logarithmic = bool(0 < 100 * low < high)
    if is_logarithmic:
        low, high = np.log((low, high))
        heights[finite] = np.log(heights[finite])
    means = (part.mean() for part in np.array_split(heights, min(width, len(heights))))
    shares = [(mean - low) / ((high - low) or 1.0) for mean in means]
    last = len(BARS) - 1
    bars = (BARS[round(x * last)] if np.isfinite(x) else NOT_FINITE for x in shares)
    return "".join(bars), "log" if is_logarithmic else ""
