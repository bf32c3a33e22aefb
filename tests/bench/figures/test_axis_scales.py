"""Scales, limits and intervals of axes."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure

from distillation_bench.bench.figures.axis_scales import (
    draw_means,
    scale_suffix,
    set_limits,
    set_ticks,
)


@pytest.mark.parametrize(
    ("values", "scale"),
    [
        ([1.0, 2.0], "linear"),
        ([0.001, 10.0], "log"),
        ([0.0, 0.001, 10.0], "symlog"),
        ([2.0], "linear"),
    ],
)
def test_scales_fit_the_values(values: list[float], scale: str) -> None:
    axes = Figure().subplots()
    set_limits(axes, "y", values)
    set_ticks(axes.yaxis)
    low, high = axes.get_ylim()
    assert axes.get_yscale() == scale
    assert low < min(values) and high > max(values)


@pytest.mark.parametrize(
    ("limits", "scale", "count", "ticks"),
    [
        ((0.0008, 0.06), "log", 4, [0.001, 0.003, 0.01, 0.03]),
        ((0.0008, 0.03), "log", 1, [0.001, 0.01]),
        ((0.0009, 0.0055), "log", 4, [0.001, 0.002, 0.005]),
        ((-2.0, 85.0), "linear", 4, [0, 20, 40, 60, 80]),
        ((-4.0, 98.0), "linear", 4, [0, 20, 40, 60, 80]),
    ],
)
def test_ticks_are_neither_too_many_nor_two(
    limits: tuple[float, float], scale: str, count: int, ticks: list[float]
) -> None:
    axes = Figure().subplots()
    axes.set(yscale=scale, ylim=limits)
    set_ticks(axes.yaxis, count)
    shown = [tick for tick in axes.get_yticks() if limits[0] <= tick <= limits[1]]
    assert shown == pytest.approx(ticks)


def test_a_percentage_has_a_linear_axis_that_ends_at_its_range() -> None:
    axes = Figure().subplots()
    set_limits(axes, "y", [0.1, 99.0], [-400.0, 500.0], (0.0, 100.0))
    low, high = axes.get_ylim()
    assert axes.get_yscale() == "linear" and scale_suffix(axes, "y") == ""
    assert -5 < low <= 0 and 100 <= high < 105


def test_an_interval_beyond_the_axes_ends_in_an_arrowhead() -> None:
    axes = Figure().subplots()
    axes.set_ylim(0, 1)
    spans = [(0.5, 0.4, 0.6), (0.5, -3.0, 0.7), (0.5, math.nan, math.nan)]
    means = pd.DataFrame(spans, columns=["mean", "low", "high"])
    draw_means(axes, "y", [1, 2, 3], means, "#000000")
    line, head = axes.lines
    assert np.asarray(line.get_ydata()) == pytest.approx([0.4, 0.6, math.nan, 0, 0.7], nan_ok=True)
    assert (head.get_marker(), np.asarray(head.get_xydata()).tolist()) == ("v", [[2, 0]])
