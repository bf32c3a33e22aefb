"""Limits, scales and ticks of an axis, and means with intervals along it."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Literal

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.ticker import FixedLocator, FuncFormatter, LogLocator, MaxNLocator, NullLocator

from distillation_bench.bench.figures.style import FAINT, GREY

AxisName = Literal["x", "y"]
Limits = tuple[float, float]
ANY: Limits = (-math.inf, math.inf)
LINEAR_RATIO = 30.0
"""Values with a larger ratio can be distinguished only on a logarithmic scale."""
CUT = "arrow: beyond the axis"


def plain_number(value: float) -> str:
    """Return the text of a number at a tick."""
    return f"{value:.4g}".replace("e-0", "e-").replace("e+0", "e").replace("-", "\N{MINUS SIGN}")


def short_number(value: float) -> str:
    """Return the text of a size at a tick: 20k, 1.5M."""
    for size, letter in ((1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k")):
        if abs(value) >= size:
            return f"{value / size:.3g}{letter}"
    return f"{value:.3g}"


def set_ticks(axis: Axis, count: int = 4, text: Callable[[float], str] = plain_number) -> None:
    """Set ticks at about `count` round numbers."""
    scale, (low, high) = axis.get_scale(), axis.get_view_interval()
    if scale == "log":
        ticks = _log_ticks(low, high, count + 1)
        decades = LogLocator(numticks=count + 1)
        axis.set_major_locator(FixedLocator(ticks) if ticks else decades)
    elif scale == "symlog":
        axis.set_major_locator(FixedLocator(_symlog_ticks(axis, count)))
    else:
        least = 3 if count > 3 else 2
        axis.set_major_locator(MaxNLocator(count, steps=[1, 2, 5, 10], min_n_ticks=least))
    axis.set_minor_locator(NullLocator())
    axis.set_major_formatter(FuncFormatter(lambda value, _: text(value)))


def _log_ticks(low: float, high: float, most: int) -> list[float]:
    """Return round numbers on an axis of at most two decades; none if it is longer."""
    if high / low > 100:
        return []
    decades = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    for multiples in ((1, 2, 5), (1, 3), (1,)):
        values = (float(f"{multiple}e{decade}") for decade in decades for multiple in multiples)
        ticks = [value for value in values if low <= value <= high]
        if len(ticks) <= most:
            break
    return ticks


def _symlog_ticks(axis: Axis, count: int) -> list[float]:
    """Return 0 and powers of ten of both signs, except those too close to 0."""
    low, high = axis.get_view_interval()
    threshold = axis.get_transform().linthresh  # type: ignore[attr-defined]
    first, last = math.log10(threshold) + 0.5, math.log10(max(abs(low), high))
    step = max(1, math.ceil((last - first) / max(1, count - 1)))
    powers = [10.0**k for k in range(math.floor(last), math.ceil(first) - 1, -step)]
    signed = (sign * power for power in powers for sign in (-1, 1))
    return [0.0, *(value for value in signed if low <= value <= high)]


def set_limits(
    axes: Axes,
    axis: AxisName,
    values: Iterable[float],
    ends: Iterable[float] = (),
    possible: Limits = ANY,
    reach: float = 3.0,
    linear: bool = False,
) -> bool:
    """Set the scale and the limits of an axis so that values can be distinguished.

    A quantity with two bounds has a linear axis that ends at them. Else values of very different
    sizes have a logarithmic one. Where a few values lie far from all others, the axis is cut before
    them, and `draw_means` draws an arrow with the number.

    Args:
        axes: axes to set up.
        axis: "x" or "y".
        values: the values that are drawn; those that are not finite are ignored.
        ends: ends of intervals. They are shown unless they lie much farther out than the values:
            the interval of two seeds may be a hundred times as long as all others.
        possible: the values that the quantity can have.
        reach: how far out ends are shown, as a multiple of the range of the values.
        linear: whether the scale is linear in any case, as for differences.

    Returns:
        Whether a value or an end of an interval is beyond the axis.
    """
    finite, ends = _finite(values), _finite(ends)
    if not len(finite):
        return False
    linear |= math.isfinite(sum(possible))
    low, high = float(finite.min()), float(finite.max())
    sizes = np.abs(finite[finite != 0])
    inner = _without_outliers(finite)
    has_outliers = len(inner) < len(finite)
    scale: dict[str, Any] = {"value": "linear"}
    if not linear and low > 0 and high / low > (4 if has_outliers else LINEAR_RATIO):
        scale = {"value": "log"}
        shown = [low, high, *np.clip(ends, low / 3, high * 3)]
        limits = min(shown) / 1.3, max(shown) * 1.3
    elif not (linear or has_outliers) and _spans_magnitudes(sizes):
        threshold = max(_low_percentile(sizes), float(sizes.max()) * 1e-6)
        scale = {"value": "symlog", "linthresh": threshold, "linscale": 0.5}
        limits = min(low * 1.5, -0.3 * threshold), max(high * 1.5, 0.3 * threshold)
    else:
        limits = _linear_limits(inner, ends, possible, 1.0 if has_outliers else reach)
    getattr(axes, f"set_{axis}scale")(**scale)
    getattr(axes, f"set_{axis}lim")(limits)
    drawn = [low, high, *ends]
    return bool(min(drawn) < limits[0] or max(drawn) > limits[1])


def _finite(values: Iterable[float]) -> np.ndarray:
    array = np.array([*values], float)
    finite: np.ndarray = array[np.isfinite(array)]
    return finite


def _without_outliers(values: np.ndarray) -> np.ndarray:
    """Return values without those, a quarter at most, that are far from all others."""
    first, third = np.percentile(values, [25, 75])
    inner = values[
        (values >= first - 6 * (third - first)) & (values <= third + 6 * (third - first))
    ]
    is_clear = third > first and len(values) >= 6 and len(inner) >= 0.75 * len(values)
    return inner if is_clear and np.ptp(values) > 4 * np.ptp(inner) else values


def _low_percentile(sizes: np.ndarray) -> float:
    return float(np.percentile(sizes, 10, method="lower"))


def _spans_magnitudes(sizes: np.ndarray) -> bool:
    return bool(len(sizes)) and sizes.max() / _low_percentile(sizes) > LINEAR_RATIO


def _linear_limits(values: np.ndarray, ends: np.ndarray, possible: Limits, reach: float) -> Limits:
    low, high = float(values.min()), float(values.max())
    spread = (high - low) or 0.1 * abs(high) or 1.0
    shown = np.clip(ends, low - reach * spread, high + reach * spread).clip(*possible)
    start, end = min([low, *shown]), max([high, *shown])
    margin = 0.1 * (end - start or spread)
    # Markers of values at the very bound stay whole.
    least, most = possible[0] - 0.3 * margin, possible[1] + 0.3 * margin
    return max(start - margin, min(low, least)), min(end + margin, max(high, most))


def set_rows(axes: Axes, names: Sequence[str], empty: Iterable[int]) -> None:
    """Make rows from the top with a name and a faint line each, and a dash in those empty."""
    for row in empty:
        axes.text(0.02, row, "–", va="center", color=GREY, transform=axes.get_yaxis_transform())
    axes.set_yticks(range(len(names)), names)
    axes.set_ylim(len(names) - 0.4, -0.6)
    axes.tick_params(axis="y", length=0)
    axes.grid(axis="y", color=FAINT, linewidth=0.4)


def scale_suffix(axes: Axes, axis: AxisName) -> str:
    """Return what follows the name of an axis: " (log)", " (symlog)", empty if it is linear."""
    scale = getattr(axes, f"get_{axis}scale")()
    return "" if scale == "linear" else f" ({scale})"


def draw_means(
    axes: Axes,
    axis: AxisName,
    positions: Iterable[float],
    means: pd.DataFrame,
    color: str,
    linewidth: float = 0.8,
    **marker: Any,
) -> None:
    """Draw means with their intervals along an axis whose limits are set.

    What is beyond the axis has an arrow at its end, and a mean its number too.

    Args:
        axes: axes to draw on.
        axis: the axis of the values.
        positions: coordinates along the other axis.
        means: `mean`, `low` and `high` of each; see `seed_means`.
        color, linewidth: of the intervals.
        **marker: arguments of `Axes.plot` for the means; without them, intervals alone are drawn.
    """
    low, high = sorted(getattr(axes, f"get_{axis}lim")())
    at = np.array([*positions], float)
    mean, start, end = means[["mean", "low", "high"]].to_numpy(float).T
    shown = (end >= low) & (start <= high)
    # One line with gaps is drawn faster than many.
    gaps = np.full(int(shown.sum()), np.nan)
    ends = np.column_stack([start[shown].clip(low), end[shown].clip(max=high), gaps]).ravel()[:-1]
    _plot(axes, axis, ends, np.repeat(at[shown], 3)[:-1], color=color, linewidth=linewidth)
    head = {"color": color, "linestyle": "none", "clip_on": False}
    below, above = ("<", ">") if axis == "x" else ("v", "^")
    for sign, edge, cut in ((below, low, start < low), (above, high, end > high)):
        points = at[shown & cut]
        _plot(axes, axis, np.full(len(points), edge), points, marker=sign, markersize=3, **head)
    if not marker:
        return
    inside = (mean >= low) & (mean <= high)
    _plot(
        axes,
        axis,
        mean[inside],
        at[inside],
        **{"color": color, "zorder": 3, "clip_on": False} | marker,
    )
    for value, place in zip(mean[~inside], at[~inside], strict=True):
        sign, edge = (below, low) if value < low else (above, high)
        _plot(axes, axis, [edge], [place], marker=sign, markersize=5, **head)
        _write_beyond(axes, axis, float(value), (edge, float(place)), 1 if value < low else -1)


def _plot(axes: Axes, axis: AxisName, along: Any, across: Any, **settings: Any) -> None:
    if len(along):
        axes.plot(*((along, across) if axis == "x" else (across, along)), **settings)


def _write_beyond(axes: Axes, axis: AxisName, value: float, end: Limits, inwards: int) -> None:
    """Write the number of a mean beside its arrow at the end of the axis."""
    sides = {"x": ("left", "center"), "y": ("center", "bottom")}
    if inwards < 0:
        sides = {"x": ("right", "center"), "y": ("center", "top")}
    axes.annotate(
        plain_number(value),
        end if axis == "x" else end[::-1],
        (4 * inwards, 0) if axis == "x" else (0, 4 * inwards),
        textcoords="offset points",
        ha=sides[axis][0],
        va=sides[axis][1],
        color=GREY,
        bbox={"facecolor": "white", "edgecolor": "none", "pad": 0.5},
    )
