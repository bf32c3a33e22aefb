"""Sparklines: values as a line of block characters."""

from __future__ import annotations

import math

from distillation_bench.bench.analysis.one_cell.training import sparkline


def test_sparklines_show_the_course_of_values() -> None:
    assert sparkline([0, 1, 2, 3, 4, 5, 6, 7], 8) == ("▁▂▃▄▅▆▇█", "")
    assert sparkline([0, 0, 7, 7], 2) == ("▁█", "")
    assert sparkline([1, 10, 100, 1000], 4) == ("▁▃▆█", "log")
    assert sparkline([2, 2, 2], 5) == ("▁▁▁", "")
    assert sparkline([0, math.nan, math.inf, 7], 4) == ("▁××█", "")
    assert sparkline([math.nan], 4) == ("×", "")
    bars, _ = sparkline([float(i) for i in range(1000)], 60)
    assert len(bars) == 60 and list(bars) == sorted(bars)
