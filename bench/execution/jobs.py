"""What the graph is made of."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from distillation_bench.bench.execution.executors import DEFAULT_OPTIONS, JobOptions
from distillation_bench.bench.planning.estimates.job_durations import JobKind


@dataclass(frozen=True)
class Job:
    """A unit of work.

    Attributes:
        name: among all jobs of the graph.
        function, arguments: what is called; both can be pickled.
        needs: names of jobs that come first; one that is not in the graph is already done.
        rank: lower ranks are started first.
        kind: jobs of a kind take about as long.
        weight: how much waits for it, as a multiple of its own time.
        options: what else the executor may want to know.
        late: gives arguments that follow the others and are known only when it is started.
    """

    name: str
    function: Callable[..., Any]
    arguments: tuple[Any, ...]
    needs: tuple[str, ...] = ()
    rank: int = 0
    kind: JobKind = ()
    weight: int = 1
    options: JobOptions = DEFAULT_OPTIONS
    late: Callable[[], tuple[Any, ...]] = tuple
