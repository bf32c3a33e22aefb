"""Which latencies are known: one belongs to a variant on a dataset, so one seed's cell measures it.

A cell measures the latency unless another cell of its variant, among those that are asked for, has
it in its timings when it starts. So the first one to succeed has it, in any order and after any
interruption.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from distillation_bench.bench.planning.estimates.job_durations import JobKind
from distillation_bench.bench.storage.formats.schema import LATENCY


class Latencies:
    """The kinds of cells, dataset and variant, of which one has the latency in its timings."""

    def __init__(self) -> None:
        self._known: set[JobKind] = set()

    def learn(self, kind: JobKind, timings: Mapping[str, Any]) -> None:
        """Take note of a cell that succeeded."""
        if LATENCY in timings:
            self._known.add(kind)

    def wanted(self, kind: JobKind) -> bool:
        """Whether a cell that starts now measures it."""
        return kind not in self._known
