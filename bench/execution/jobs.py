"""Jobs: the units of work that the scheduler starts, and what each of them does."""

from __future__ import annotations

from dataclasses import dataclass

from distillation_bench.bench.execution.executors.base import DEFAULT_OPTIONS, JobOptions
from distillation_bench.bench.planning.cache_keys import DataPlan, TeacherPlan
from distillation_bench.bench.planning.cells import Cell
from distillation_bench.bench.planning.estimates.job_durations import JobKind


@dataclass(frozen=True)
class PrepareData:
    """Put the arrays of a dataset into the cache."""

    plan: DataPlan


@dataclass(frozen=True)
class TrainPiece:
    """Train one piece of a teacher, which is some of its members, and compute its outputs."""

    plan: TeacherPlan
    piece: int


@dataclass(frozen=True)
class JoinTeacher:
    """Join the outputs of a teacher's pieces.

    Raises:
        ValueError: the teacher has one piece; its outputs are the teacher's.
    """

    plan: TeacherPlan

    def __post_init__(self) -> None:
        if len(self.plan.pieces) < 2:
            raise ValueError("a teacher of one piece is not joined")


@dataclass(frozen=True)
class RunCell:
    """Train and evaluate the student of a cell; measure its latency if no other cell has."""

    cell: Cell
    measure_latency: bool = True


@dataclass(frozen=True)
class CheckPrecision:
    """Measure whether bfloat16 is slower than float32 where the jobs run."""


Work = PrepareData | TrainPiece | JoinTeacher | RunCell | CheckPrecision
"""What a job does; a worker runs it (`worker.do_work`)."""


@dataclass(frozen=True)
class Job:
    """A unit of work of the scheduler.

    Attributes:
        name: unique in the graph.
        work: what a worker does.
        needs: the names of the jobs that must be finished first; those that are not in the graph
            are finished.
        rank: jobs of a lower rank start first.
        kind: jobs of one kind take about as long.
        weight: the work that waits for this job, as a multiple of the job's own duration.
        options: what an executor needs to know beside the work.
    """

    name: str
    work: Work
    needs: tuple[str, ...] = ()
    rank: int = 0
    kind: JobKind = ()
    weight: int = 1
    options: JobOptions = DEFAULT_OPTIONS
