"""The graph of jobs that cells need: data, pieces of teachers, teachers, cells."""

from __future__ import annotations

import functools
from collections import Counter
from collections.abc import Sequence

from distillation_bench.bench.execution.executors.base import JobOptions
from distillation_bench.bench.execution.jobs import (
    Job,
    JoinTeacher,
    PrepareData,
    RunCell,
    TrainPiece,
)
from distillation_bench.bench.planning.cache_keys import DataPlan, TeacherPlan
from distillation_bench.bench.planning.cells import Cell
from distillation_bench.bench.planning.data_remarks import data_plans
from distillation_bench.bench.storage.cache import Cache
from distillation_bench.methods import METHODS

JOIN_RANK, PIECE_RANK, CELL_RANK = range(3)
"""Joining pieces takes no time and lets cells start, so it comes first."""


def data_jobs(cells: Sequence[Cell], cache: Cache) -> list[Job]:
    """Return the jobs that prepare the data that is missing from the cache or damaged."""
    return [
        _data_job(plan)
        for plan in data_plans(cells)
        if not (cache.is_sound(plan.splits_key) and cache.is_sound(plan.sets_key))
    ]


def training_jobs(cells: Sequence[Cell], cache: Cache) -> list[Job]:
    """Return the jobs of all cells, and of the teachers that the cache does not have.

    Teachers start before cells, and those first that most cells wait for. A student trains about
    as long as a member, so a piece's weight is the number of these cells.
    """
    graph = _TeacherGraph(cells, cache)
    for cell in cells:
        graph.add(cell.teacher)
    return [*graph.jobs.values(), *(_cell_job(cell) for cell in cells)]


def cell_job_name(cell: Cell) -> str:
    """Return the name of a cell's job."""
    return f"cell {cell.id}"


def _teacher_name(plan: TeacherPlan) -> str:
    return f"teacher {plan.dataset} seed {plan.seed} ({plan.outputs_key[-6:]})"


def _data_job(plan: DataPlan) -> Job:
    name = f"data {plan.dataset} seed {plan.seed} ({plan.sets_key[-6:]})"
    options = JobOptions(writes=(plan.splits_key, plan.sets_key), timed=False)
    return Job(name, PrepareData(plan), options=options)


def _cell_job(cell: Cell) -> Job:
    plan = cell.teacher
    reads: tuple[str, ...] = (plan.data.splits_key, plan.data.sets_key, plan.outputs_key)
    if METHODS[cell.method].is_teacher or plan.recipe.views:
        reads = (*reads, *plan.member_keys)
    return Job(
        name=cell_job_name(cell),
        work=RunCell(cell),
        needs=(_teacher_name(plan),),
        rank=CELL_RANK,
        kind=cell.job_kind,
        options=JobOptions(reads, shares_process=True),
    )


class _TeacherGraph:
    """The jobs of teachers, by name."""

    def __init__(self, cells: Sequence[Cell], cache: Cache) -> None:
        self.jobs: dict[str, Job] = {}
        self._is_sound = functools.cache(cache.is_sound)
        self._cells = Counter(cell.teacher.outputs_key for cell in cells)

    def add(self, plan: TeacherPlan) -> None:
        """Add a teacher's jobs, unless they are there or its cache entries are sound."""
        name = _teacher_name(plan)
        keys = (*plan.member_keys, plan.outputs_key)
        if name in self.jobs or all(self._is_sound(key) for key in keys):
            return
        if len(plan.pieces) == 1:
            self._add_piece(plan, 0, name)
            return
        names = [f"{name} members {p.start}-{p.stop - 1}" for p in plan.pieces]
        for piece, piece_name in enumerate(names):
            keys = (*_member_keys(plan, piece), plan.piece_key(piece))
            if not all(self._is_sound(key) for key in keys):
                self._add_piece(plan, piece, piece_name)
        self._add_join(plan, name, tuple(names))

    def _add_piece(self, plan: TeacherPlan, piece: int, name: str) -> None:
        self.jobs[name] = Job(
            name=name,
            work=TrainPiece(plan, piece),
            rank=PIECE_RANK,
            kind=("piece", plan.dataset),
            weight=self._cells[plan.outputs_key],
            options=JobOptions(
                reads=(plan.data.splits_key, plan.data.sets_key),
                writes=(*_member_keys(plan, piece), plan.piece_key(piece)),
                timed=False,
                shares_process=True,
            ),
        )

    def _add_join(self, plan: TeacherPlan, name: str, needs: tuple[str, ...]) -> None:
        pieces = (plan.piece_key(piece) for piece in range(len(plan.pieces)))
        data = (plan.data.splits_key, plan.data.sets_key)
        self.jobs[name] = Job(
            name=name,
            work=JoinTeacher(plan),
            needs=needs,
            rank=JOIN_RANK,
            kind=("teacher", plan.dataset),
            weight=self._cells[plan.outputs_key],
            options=JobOptions(
                (*data, *plan.member_keys, *pieces), (plan.outputs_key,), timed=False
            ),
        )


def _member_keys(plan: TeacherPlan, piece: int) -> list[str]:
    return [plan.member_keys[member] for member in plan.pieces[piece]]
