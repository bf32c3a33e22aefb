"""What the graph is made of."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from distillation_bench.bench.execution.executors import PLAIN, Parcel
from distillation_bench.bench.planning.time_estimates import Kind


@dataclass(frozen=True)
class Task:
    """A unit of work.

    Attributes:
        name: among all tasks of the graph.
        function, arguments: what is called; both can be pickled.
        needs: names of tasks that come first; one that is not in the graph is already done.
        rank: lower ranks are started first.
        kind: tasks of a kind take about as long.
        weight: how much waits for it, as a multiple of its own time.
        parcel: what else the executor may want to know.
        late: gives arguments that follow the others and are known only when it is started.
    """

    name: str
    function: Callable[..., Any]
    arguments: tuple[Any, ...]
    needs: tuple[str, ...] = ()
    rank: int = 0
    kind: Kind = ()
    weight: int = 1
    parcel: Parcel = PLAIN
    late: Callable[[], tuple[Any, ...]] = tuple
