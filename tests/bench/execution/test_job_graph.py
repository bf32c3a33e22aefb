"""The jobs of a run: teachers in pieces, joins, and cells."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from distillation_bench.bench.execution.job_graph import training_jobs
from distillation_bench.bench.execution.jobs import JoinTeacher, TrainPiece
from distillation_bench.bench.planning.cells import Cell
from distillation_bench.bench.storage.cache import Cache

Plan = Callable[..., list[Cell]]


def only(cells: list[Cell]) -> Cell:
    (cell,) = cells
    return cell


def test_the_timeout_applies_to_cells_only(cells: Plan, tmp_path: Path) -> None:
    planned = cells("kd", "hydra", seeds=[0, 1], recipe={"piece": 2})
    jobs = training_jobs(planned, Cache(tmp_path))
    assert {job.name.split()[0] for job in jobs} == {"teacher", "cell"}
    assert all(job.options.timed == job.name.startswith("cell ") for job in jobs)
    assert len(jobs) == 2 * (3 + 1) + 4


def test_a_teacher_of_one_piece_is_one_job(cells: Plan, tmp_path: Path) -> None:
    planned = cells("kd", "hydra", seeds=[0, 1], recipe={"members": 2})
    jobs = training_jobs(planned, Cache(tmp_path))
    teachers = [job for job in jobs if not job.name.startswith("cell ")]
    assert [type(job.work) for job in teachers] == [TrainPiece] * 2
    for teacher, cell in zip(teachers, jobs[2:4], strict=True):
        assert cell.needs == (teacher.name,)
        assert teacher.options.writes[-1] in cell.options.reads


def test_only_teachers_of_several_pieces_are_joined(cells: Plan) -> None:
    """The outputs of a single piece are already the teacher's."""
    JoinTeacher(only(cells("kd", recipe={"piece": 2})).teacher)
    with pytest.raises(ValueError, match="not joined"):
        JoinTeacher(only(cells("kd", recipe={"members": 2})).teacher)
