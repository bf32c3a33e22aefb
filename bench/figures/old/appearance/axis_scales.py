"""Limits, scales, ticks and intervals along an axis."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Literal

import numpy as np
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.ticker import FixedLocator, FuncFormatter, LogLocator, MaxNLocator, NullLocator

from distillation_bench.bench.analysis.old_metric_formats import MetricFormat
from distillation_bench.bench.analysis.statistics import Interval

AxisName = Literal["x", "y"]
Limits = tuple[float, float]
Point = tuple[float, float]
LINEAR_RATIO = 30.0
"""Values with a larger ratio can be distinguished only on a logarithmic scale."""


def plain_number(value: float) -> str:
    """Return the text of a number at a tick."""
    return f"{value:.4g}".replace("e-0", "e-").replace("e+0", "e").replace("-", "\N{MINUS SIGN}")


def short_number(value: float) -> str:
    """Return the text of a size at a tick: 20k, 1.5M."""
    for size, letter in ((1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k")):
        if abs(value) >= size:
            return f"{value / size:.3g}{letter}"
    return f"{value:.3g}"


def set_ticks(
    axis: Axis,
    count: int = 4,
    text: Callable[[float], str] = plain_number,
    without_ends: bool = False,
) -> None:
    """Set ticks at about `count` round numbers, optionally none at the ends of the axis."""
    scale = axis.get_scale()
    if scale == "log":
        low, high = axis.get_view_interval()
        multiples = (1.0,) if high / low > 100 else (1.0, 2.0, 5.0)
        axis.set_major_locator(LogLocator(subs=multiples, numticks=count + 1))
    elif scale == "symlog":
        axis.set_major_locator(FixedLocator(_symlog_ticks(axis, count)))
    else:
        prune = "both" if without_ends else None
        axis.set_major_locator(MaxNLocator(count, steps=[1, 2, 5, 10], prune=prune))
    axis.set_minor_locator(NullLocator())
    axis.set_major_formatter(FuncFormatter(lambda value, _: text(value)))


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
    values: Sequence[float],
    ends: Sequence[float] = (),
    bounds: Limits | None = None,
) -> None:
    """Set the scale and the limits of an axis so that values can be distinguished.

    Args:
        axes: axes to set up.
        axis: "x" or "y".
        values: the values that are drawn; those that are not finite are ignored.
        ends: ends of intervals. They are shown unless they lie much farther out than the values:
            the interval of two seeds may be a hundred times as long as all others.
        bounds: bounds of the quantity. With them, the axis is linear and ends there.
    """
    finite = np.array([value for value in values if math.isfinite(value)])
    if not len(finite):
        return
    finite_ends = [end for end in ends if math.isfinite(end)]
    low, high = float(finite.min()), float(finite.max())
    sizes = np.abs(finite[finite != 0])
    if bounds is not None and not (bounds[0] <= low and high <= bounds[1]):
        bounds = None
    if bounds is None and low > 0 and high / low > LINEAR_RATIO:
        _set_log_limits(axes, axis, (low, high), finite_ends)
    elif bounds is None and len(sizes) and sizes.max() / _low_percentile(sizes) > LINEAR_RATIO:
        _set_symlog_limits(axes, axis, (low, high), sizes)
    else:
        _set_linear_limits(axes, axis, (low, high), finite_ends, bounds)


def _low_percentile(sizes: np.ndarray) -> float:
    return float(np.percentile(sizes, 10, method="lower"))


def _set_log_limits(axes: Axes, axis: AxisName, values: Limits, ends: Sequence[float]) -> None:
    low, high = values
    shown = [min(max(end, low / 3), high * 3) for end in ends]
    getattr(axes, f"set_{axis}scale")("log")
    getattr(axes, f"set_{axis}lim")(min([low, *shown]) / 1.3, max([high, *shown]) * 1.3)


def _set_symlog_limits(axes: Axes, axis: AxisName, values: Limits, sizes: np.ndarray) -> None:
    low, high = values
    linear = max(_low_percentile(sizes), float(sizes.max()) * 1e-6)
    getattr(axes, f"set_{axis}scale")("symlog", linthresh=linear, linscale=0.5)
    getattr(axes, f"set_{axis}lim")(
        low * 1.5 if low < 0 else -0.3 * linear, high * 1.5 if high > 0 else 0.3 * linear
    )


def _set_linear_limits(
    axes: Axes, axis: AxisName, values: Limits, ends: Sequence[float], bounds: Limits | None
) -> None:
    low, high = values
    spread = (high - low) or 0.1 * abs(high) or 1.0
    least, most = bounds or (-math.inf, math.inf)
    least, most = max(least, low - 3 * spread), min(most, high + 3 * spread)
    shown = [min(max(end, least), most) for end in ends]
    low, high = min([low, *shown]), max([high, *shown])
    margin = 0.1 * (high - low or spread)
    low, high = low - margin, high + margin
    if bounds:
        # Markers of values at the very bound stay whole.
        low, high = max(low, bounds[0] - 0.3 * margin), min(high, bounds[1] + 0.3 * margin)
    getattr(axes, f"set_{axis}lim")(low, high)


def scale_suffix(axes: Axes, axis: AxisName) -> str:
    """Return what follows the name of an axis: " (log)", " (symlog)", empty if it is linear."""
    scale = axes.get_xscale() if axis == "x" else axes.get_yscale()
    return "" if scale == "linear" else f" ({scale})"


def draw_intervals(
    axes: Axes,
    axis: AxisName,
    positions: Sequence[float],
    intervals: Sequence[Interval],
    color: str,
    linewidth: float = 0.8,
) -> None:
    """Draw intervals along an axis whose limits are set, with an arrowhead where one is cut.

    Args:
        axes: axes to draw on.
        axis: the axis of the values, "x" or "y".
        positions: coordinates along the other axis.
        intervals: intervals; those without limits are not drawn.
        color, linewidth: of the lines.
    """
    limits = axes.get_xlim() if axis == "x" else axes.get_ylim()
    lines, cut_low, cut_high = _clipped(positions, intervals, limits)
    heads = ("<", ">") if axis == "x" else ("v", "^")
    for marker, points in zip(("-", *heads), (lines, cut_low, cut_high), strict=True):
        if points:
            along, across = zip(*points, strict=True)
            x, y = (along, across) if axis == "x" else (across, along)
            line = axes.plot(x, y, marker, color=color, linewidth=linewidth, clip_on=marker == "-")
            line[0].set(markersize=3, markeredgewidth=0)


def _clipped(
    positions: Sequence[float], intervals: Sequence[Interval], limits: Limits
) -> tuple[list[Point], list[Point], list[Point]]:
    """Return the points of one line with breaks, and where it is cut at the limits.

    One line is drawn faster than many.
    """
    low, high = limits
    lines: list[Point] = []
    cut_low: list[Point] = []
    cut_high: list[Point] = []
    for position, interval in zip(positions, intervals, strict=True):
        if math.isnan(interval.low):
            continue
        separator = [(math.nan, math.nan)] if lines else []
        start, end = max(interval.low, low), min(interval.high, high)
        lines += [*separator, (start, position), (end, position)]
        if interval.low < low:
            cut_low.append((low, position))
        if interval.high > high:
            cut_high.append((high, position))
    return lines, cut_low, cut_high


def printed_bounds(shown: MetricFormat) -> Limits | None:
    """Return the bounds of a metric in the printed unit; None unless it has two."""
    if shown.unit == "%":
        return 0.0, 100.0
    return _BOUNDS.get(shown.metric.name)


_BOUNDS: dict[str, Limits] = {
    "brier": (0.0, 2.0),
    "aurc": (0.0, 1.0),
    "teacher_spearman": (-1.0, 1.0),
    "teacher_tv_total": (0.0, 1.0),
    "teacher_tv_aleatoric": (0.0, 1.0),
    "teacher_tv_epistemic": (0.0, 1.0),
    # Shares, where they are drawn as recorded.
    "accuracy": (0.0, 1.0),
    "ece": (0.0, 1.0),
    "ood_auroc": (0.0, 1.0),
}
