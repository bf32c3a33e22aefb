"""Utilisation of workers, on job graphs whose times are easy to calculate."""

from __future__ import annotations

import pytest

from distillation_bench.bench.execution.jobs import CheckPrecision, Job
from distillation_bench.bench.execution.progress.utilisation import (
    Span,
    Usage,
    makespan,
    usage_line,
)
from distillation_bench.bench.execution.scheduler import FinishedJob


def span(name: str, began: float, ended: float, *needs: str) -> Span:
    return Span(name, needs, began, ended)


TEACHER = span("teacher", 0, 10)
CELLS = [span(f"cell {i}", 10 + 20 * (i // 2), 30 + 20 * (i // 2), "teacher") for i in range(4)]
"""Two workers: one waits 10 s for the teacher, then both train two cells of 20 s each."""


@pytest.mark.parametrize(
    ("workers", "seconds"), [(1, 90.0), (2, 50.0), (3, 50.0), (4, 30.0), (99, 30.0)]
)
def test_the_time_on_other_numbers_of_workers_is_estimated(workers: int, seconds: float) -> None:
    assert makespan([TEACHER, *CELLS], workers) == seconds


def test_idle_time_while_waiting_for_a_teacher_is_counted() -> None:
    line = usage_line([*CELLS, TEACHER], [(0.0, 2)])
    assert line == (
        "2 workers busy 90% of 50 s (idle: 10% waiting for teachers); "
        "one more would have saved 0 s, any number at most 20 s"
    )


def test_idle_time_at_the_end_and_between_jobs_is_counted() -> None:
    spans = [span("a", 0, 10), span("b", 0, 4), span("c", 6, 8)]
    assert usage_line(spans, [(0.0, 2)]).startswith(
        "2 workers busy 80% of 10 s (idle: 10% between jobs, 10% at the end)"
    )


def test_more_workers_than_cores_would_save_nothing() -> None:
    line = "2 workers busy 90% of 50 s (idle: 10% waiting for teachers)"
    assert usage_line([*CELLS, TEACHER], [(0.0, 2)], max_workers=2) == line
    assert usage_line([*CELLS, TEACHER], [(0.0, 2)], max_workers=1) == line
    sentence = "; one more would have saved 0 s, one for each of "
    assert (
        usage_line([*CELLS, TEACHER], [(0.0, 2)], max_workers=3)
        == f"{line}{sentence}3 cores at most 0 s"
    )
    assert (
        usage_line([*CELLS, TEACHER], [(0.0, 2)], max_workers=4)
        == f"{line}{sentence}4 cores at most 20 s"
    )


def test_workers_that_join_later_are_counted_from_then() -> None:
    spans = [span("a", 0, 10), span("b", 5, 10)]
    line = usage_line(spans, [(0.0, 1), (5.0, 2), (99.0, 7)])
    assert line.startswith("2 workers busy 100% of 10 s; one more would have saved 0 s")


def test_without_jobs_nothing_is_reported() -> None:
    assert usage_line([], [(0.0, 2)]) == "no job ran"


def test_finished_and_retried_jobs_are_recorded(monkeypatch: pytest.MonkeyPatch) -> None:
    """A retry counts from the first attempt; jobs that never started are not counted."""
    clock, slots = iter([100.0, 101.0, 103.0, 107.0, 108.0]), iter([2, 2, 3, 3, 3])
    monkeypatch.setattr("time.monotonic", lambda: next(clock))
    usage = Usage(lambda: next(slots))
    job, never = Job("a", CheckPrecision()), Job("b", CheckPrecision(), ("a",))
    usage.job_started(job)
    usage.job_started(job)
    usage.job_finished(FinishedJob(job))
    usage.job_finished(FinishedJob(never, reason="a failed", attempts=0))
    assert usage.spans == [span("a", 1, 7)]
    assert usage.capacity == [(0.0, 2), (3.0, 3)]
