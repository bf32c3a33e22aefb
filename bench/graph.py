"""The graph of tasks that cells need: data -> pieces of teachers -> teachers -> cells."""

from __future__ import annotations

import functools
from collections import Counter
from collections.abc import Sequence
from typing import Any

from bench.cache import Cache
from bench.plan import Cell, TeacherPlan
from bench.scheduler import Task
from bench.workplace import Workplace, in_worker


def make_tasks(cells: Sequence[Cell], cache: Cache, workplace: Workplace) -> list[Task]:
    """All tasks but those whose result is in the cache and sound.

    Teachers come first, those that most cells wait for before others; then cells as asked for.
    """
    graph = _Graph(cache, workplace, Counter(cell.teacher.key for cell in cells))
    for cell in cells:
        graph.add_teacher(cell.teacher)
    for cell in cells:
        graph.add_cell(cell)
    return list(graph.tasks.values())


def cell_task(cell: Cell) -> str:
    """The name of a cell's task."""
    return f"cell {cell.id}"


def _data_task(plan: TeacherPlan) -> str:
    return f"data {plan.dataset} seed {plan.data_seed} ({plan.data_key[-6:]})"


def _teacher_task(plan: TeacherPlan) -> str:
    return f"teacher {plan.dataset} seed {plan.seed} ({plan.key[-6:]})"


class _Graph:
    def __init__(self, cache: Cache, workplace: Workplace, waiting: Counter[str]) -> None:
        self.tasks: dict[str, Task] = {}
        self._sound = functools.cache(cache.sound)
        self._workplace = workplace
        self._waiting = waiting

    def add_cell(self, cell: Cell) -> None:
        needs = (_data_task(cell.teacher), _teacher_task(cell.teacher))
        self._add(cell_task(cell), "run_cell", (cell,), needs, (1,))

    def add_teacher(self, plan: TeacherPlan) -> None:
        rank = (0, -self._waiting[plan.key])
        data, teacher = _data_task(plan), _teacher_task(plan)
        if not self._sound(plan.data_key):
            self._add(data, "prepare_data", (plan,), (), rank)
        if self._sound(plan.key):
            return
        pieces = []
        for index, members in enumerate(plan.pieces):
            pieces.append(f"{teacher} members {members.start}-{members.stop - 1}")
            if not self._sound(plan.piece_key(index)):
                self._add(pieces[-1], "train_piece", (plan, index), (data,), rank)
        self._add(teacher, "finish_teacher", (plan,), (data, *pieces), rank)

    def _add(
        self,
        name: str,
        function: str,
        arguments: tuple[Any, ...],
        needs: tuple[str, ...],
        rank: tuple[int, ...],
    ) -> None:
        call = (function, self._workplace, *arguments)
        self.tasks.setdefault(name, Task(name, in_worker, call, needs, rank))
