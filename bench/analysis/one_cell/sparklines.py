"""A curve drawn with characters on one line."""

from __future__ import annotations

import math
from collections.abc import Sequence

BARS = "▁▂▃▄▅▆▇█"
NOT_FINITE = "×"


def sparkline(values: Sequence[float], width: int) -> tuple[str, str]:
    """Return a curve of at most `width` characters, and `log` if its scale is logarithmic.

    Neighbouring values share a character, which shows their mean. Positive values that span more
    than two powers of ten are drawn by their logarithm. A value that is not finite is shown as ×.
    """
    finite = [value for value in values if math.isfinite(value)]
    if not finite:
        return NOT_FINITE * min(width, len(values)), ""
    logarithmic = min(finite) > 0 and max(finite) > 100 * min(finite)
    heights = [math.log(v) if logarithmic and math.isfinite(v) else v for v in values]
    finite_heights = [height for height in heights if math.isfinite(height)]
    low, high = min(finite_heights), max(finite_heights)
    count = min(width, len(heights))
    groups = (
        heights[i * len(heights) // count : (i + 1) * len(heights) // count] for i in range(count)
    )
    bars = "".join(_bar(group, low, high) for group in groups)
    return bars, "log" if logarithmic else ""


def _bar(heights: Sequence[float], low: float, high: float) -> str:
    if not all(map(math.isfinite, heights)):
        return NOT_FINITE
    share = (sum(heights) / len(heights) - low) / (high - low) if high > low else 0.0
    return BARS[round(share * (len(BARS) - 1))]
