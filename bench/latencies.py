"""Whose latency is known: it is a variant's on a dataset, not a cell's, so one cell measures it.

A cell measures it unless one of the variant has finished with it before, so that the first of a
variant to succeed has it, in any order and after any interruption. Others have none in their
timings.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from bench.estimate import Kind
from bench.schema import LATENCY


class Latencies:
    """The kinds of cells, dataset and variant, of which one has the latency in its timings."""

    def __init__(self) -> None:
        self._known: set[Kind] = set()

    def learn(self, kind: Kind, timings: Mapping[str, Any]) -> None:
        """Take note of a cell that succeeded."""
        if LATENCY in timings:
            self._known.add(kind)

    def wanted(self, kind: Kind) -> bool:
        """Whether a cell that starts now measures it."""
        return kind not in self._known
