"""Limits, ticks and intervals of axes."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Literal

import numpy as np
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.ticker import FixedLocator, FuncFormatter, LogLocator, MaxNLocator, NullLocator

from distillation_bench.bench.analysis.statistics import Interval

Which = Literal["x", "y"]
Range = tuple[float, float]
WIDE = 30.0
"""Figures so many times apart are seen only on a logarithmic scale."""


def plain_number(value: float) -> str:
    """As ticks show it."""
    return f"{value:.4g}".replace("e-0", "e-").replace("e+0", "e").replace("-", "\N{MINUS SIGN}")


def short_number(value: float) -> str:
    """Of sizes: 20k, 1.5M."""
    for size, letter in ((1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k")):
        if abs(value) >= size:
            return f"{value / size:.3g}{letter}"
    return f"{value:.3g}"


def ticks(
    axis: Axis, many: int = 4, text: Callable[[float], str] = plain_number, inner: bool = False
) -> None:
    """Few round numbers, in plain text; `inner` ones leave the ends to the neighbours."""
    kind = axis.get_scale()
    if kind == "log":
        low, high = axis.get_view_interval()
        subs = (1.0,) if high / low > 100 else (1.0, 2.0, 5.0)
        axis.set_major_locator(LogLocator(subs=subs, numticks=many + 1))
    elif kind == "symlog":
        axis.set_major_locator(FixedLocator(_both_sides(axis, many)))
    else:
        prune = "both" if inner else None
        axis.set_major_locator(MaxNLocator(many, steps=[1, 2, 5, 10], prune=prune))
    axis.set_minor_locator(NullLocator())
    axis.set_major_formatter(FuncFormatter(lambda value, _: text(value)))


def _both_sides(axis: Axis, many: int) -> list[float]:
    """0 and powers of ten above and below it, without those that would stand on it."""
    low, high = axis.get_view_interval()
    threshold = axis.get_transform().linthresh  # type: ignore[attr-defined]
    first, last = math.log10(threshold) + 0.5, math.log10(max(abs(low), high))
    step = max(1, math.ceil((last - first) / max(1, many - 1)))
    powers = [10.0**k for k in range(math.floor(last), math.ceil(first) - 1, -step)]
    return [
        0.0,
        *(sign * each for each in powers for sign in (-1, 1) if low <= sign * each <= high),
    ]


def fit(
    axes: Axes,
    which: Which,
    values: Sequence[float],
    wide: Sequence[float] = (),
    within: Range | None = None,
) -> None:
    """Scale and limits of an axis for figures, logarithmic where they are far apart.

    `wide` values, ends of intervals, are seen unless they are much farther out than the values:
    one of two seeds may be a hundred times as long as all the rest (`intervals` marks them). What
    can't leave a range `within` has a linear axis that shows nothing beyond it.
    """
    set_scale, set_limits = getattr(axes, f"set_{which}scale"), getattr(axes, f"set_{which}lim")
    finite = np.array([value for value in values if math.isfinite(value)])
    if not len(finite):
        return
    low, high = float(finite.min()), float(finite.max())
    sizes = np.abs(finite[finite != 0])
    ends = [value for value in wide if math.isfinite(value)]
    bounded = within is not None and within[0] <= low and high <= within[1]
    if not bounded and low > 0 and high / low > WIDE:
        set_scale("log")
        ends = [min(max(end, low / 3), high * 3) for end in ends]
        set_limits(min([low, *ends]) / 1.3, max([high, *ends]) * 1.3)
    elif (
        not bounded and len(sizes) and sizes.max() / np.percentile(sizes, 10, method="lower") > WIDE
    ):
        least = max(float(np.percentile(sizes, 10, method="lower")), float(sizes.max()) * 1e-6)
        set_scale("symlog", linthresh=least, linscale=0.5)
        set_limits(low * 1.5 if low < 0 else -0.3 * least, high * 1.5 if high > 0 else 0.3 * least)
    else:
        spread = (high - low) or 0.1 * abs(high) or 1.0
        least, most = within if bounded and within else (-math.inf, math.inf)
        least, most = max(least, low - 3 * spread), min(most, high + 3 * spread)
        ends = [min(max(end, least), most) for end in ends]
        low, high = min([low, *ends]), max([high, *ends])
        room = 0.1 * (high - low or spread)
        low, high = low - room, high + room
        if bounded and within:
            # Points at the very end of the range stay whole.
            low, high = max(low, within[0] - 0.3 * room), min(high, within[1] + 0.3 * room)
        set_limits(low, high)


def scale_of(axes: Axes, which: Which) -> str:
    """What is said behind the name of an axis: " (log)", " (symlog)", nothing if it is linear."""
    scale = axes.get_xscale() if which == "x" else axes.get_yscale()
    return "" if scale == "linear" else f" ({scale})"


def intervals(
    axes: Axes,
    which: Which,
    places: Sequence[float],
    each: Sequence[Interval],
    color: str,
    linewidth: float = 0.8,
) -> None:
    """Intervals along an axis that has its limits; an arrowhead where the frame cuts one."""
    low, high = axes.get_xlim() if which == "x" else axes.get_ylim()
    heads = ("<", ">") if which == "x" else ("v", "^")
    lines: list[tuple[float, float]] = []
    cut: dict[str, list[tuple[float, float]]] = {}
    for place, span in zip(places, each, strict=True):
        if math.isnan(span.low):
            continue
        # One line with gaps is drawn sooner than many.
        gap = [(math.nan, math.nan)] if lines else []
        lines += [*gap, (max(span.low, low), place), (min(span.high, high), place)]
        if span.low < low:
            cut.setdefault(heads[0], []).append((low, place))
        if span.high > high:
            cut.setdefault(heads[1], []).append((high, place))
    for marker, points in {"-": lines, **cut}.items():
        if points:
            along, across = zip(*points, strict=True)
            x, y = (along, across) if which == "x" else (across, along)
            drawn = axes.plot(x, y, marker, color=color, linewidth=linewidth, clip_on=marker == "-")
            drawn[0].set(markersize=3, markeredgewidth=0)
