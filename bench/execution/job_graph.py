"""The graph of jobs that cells need: data -> pieces of teachers -> teachers -> cells."""

from __future__ import annotations

import functools
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

from distillation_bench.bench.execution.executors import JobOptions
from distillation_bench.bench.execution.jobs import Job
from distillation_bench.bench.execution.latencies import Latencies
from distillation_bench.bench.execution.workplace import Workplace, in_worker
from distillation_bench.bench.planning.cache_keys import DataPlan, TeacherPlan
from distillation_bench.bench.planning.cells import Cell
from distillation_bench.bench.planning.data_remarks import data_plans
from distillation_bench.bench.planning.estimates.job_durations import JobKind
from distillation_bench.bench.storage.cache import Cache
from distillation_bench.methods import METHODS

TEACHER, PIECE, CELL = range(3)
"""Ranks: what only joins pieces and lets cells begin comes first."""


def data_jobs(cells: Sequence[Cell], cache: Cache, workplace: Workplace) -> list[Job]:
    """The jobs that make what data is not in the cache and sound; they come before all others."""
    return [
        Job(
            _data_job(plan),
            in_worker,
            ("prepare_data", workplace, plan),
            options=JobOptions((), (plan.splits_key, plan.sets_key), timed=False),
        )
        for plan in data_plans(cells)
        if not (cache.sound(plan.splits_key) and cache.sound(plan.sets_key))
    ]


def make_jobs(
    cells: Sequence[Cell],
    cache: Cache,
    workplace: Workplace,
    latencies: Latencies | None = None,
) -> list[Job]:
    """Teachers and cells, but those teachers that are in the cache and sound.

    Teachers come before cells, those first that most work waits for: a student trains about as long
    as a member, so that is their own time for each cell that waits.
    """
    waiting = Counter(cell.teacher.outputs_key for cell in cells)
    graph = _Graph(cache, workplace, waiting, latencies or Latencies())
    for cell in cells:
        graph.add_teacher(cell.teacher)
    for cell in cells:
        graph.add_cell(cell)
    return list(graph.jobs.values())


def cell_job(cell: Cell) -> str:
    """The name of a cell's job."""
    return f"cell {cell.id}"


def _data_job(plan: DataPlan) -> str:
    return f"data {plan.dataset} seed {plan.seed} ({plan.sets_key[-6:]})"


def _teacher_job(plan: TeacherPlan) -> str:
    return f"teacher {plan.dataset} seed {plan.seed} ({plan.outputs_key[-6:]})"


class _Graph:
    def __init__(
        self, cache: Cache, workplace: Workplace, waiting: Counter[str], latencies: Latencies
    ) -> None:
        self.jobs: dict[str, Job] = {}
        self._sound = functools.cache(cache.sound)
        self._workplace = workplace
        self._waiting = waiting
        self._latencies = latencies

    def add_cell(self, cell: Cell) -> None:
        plan = cell.teacher
        reads: tuple[str, ...] = (plan.data.splits_key, plan.data.sets_key, plan.outputs_key)
        if METHODS[cell.method].is_teacher or plan.recipe.views:
            reads = (*reads, *plan.member_keys)
        needs = (_teacher_job(plan),)
        call = ("run_cell", self._workplace, cell)
        name, options = cell_job(cell), JobOptions(reads, shares=True)
        self.jobs[name] = Job(
            name, in_worker, call, needs, CELL, cell.job_kind, 1, options, self._late(cell.job_kind)
        )

    def _late(self, kind: JobKind) -> Callable[[], tuple[bool]]:
        return lambda: (self._latencies.wanted(kind),)

    def add_teacher(self, plan: TeacherPlan) -> None:
        name = _teacher_job(plan)
        weights = [self._sound(key) for key in plan.member_keys]
        if name in self.jobs or (all(weights) and self._sound(plan.outputs_key)):
            return
        waiting = self._waiting[plan.outputs_key]
        data = (plan.data.splits_key, plan.data.sets_key)
        needs, pieces = [], []
        for index, members in enumerate(plan.pieces):
            part = f"{name} members {members.start}-{members.stop - 1}"
            needs.append(part if len(plan.pieces) > 1 else name)
            pieces.append(plan.piece_key(index))
            keys = [plan.member_keys[member] for member in members]
            if not (all(weights[member] for member in members) and self._sound(pieces[-1])):
                options = JobOptions(data, (*keys, pieces[-1]), timed=False, shares=True)
                kind = ("piece", plan.dataset)
                self._add(needs[-1], "make_piece", (plan, index), (), PIECE, kind, options, waiting)
        if len(pieces) == 1:
            # Nothing to join.
            return
        reads = (*data, *plan.member_keys, *pieces)
        options = JobOptions(reads, (plan.outputs_key,), timed=False)
        kind = ("teacher", plan.dataset)
        self._add(name, "finish_teacher", (plan,), tuple(needs), TEACHER, kind, options, waiting)

    def _add(
        self,
        name: str,
        function: str,
        arguments: tuple[Any, ...],
        needs: tuple[str, ...],
        rank: int,
        kind: JobKind,
        options: JobOptions,
        weight: int = 1,
    ) -> None:
        call = (function, self._workplace, *arguments)
        job = Job(name, in_worker, call, needs, rank, kind, weight, options)
        self.jobs.setdefault(name, job)
