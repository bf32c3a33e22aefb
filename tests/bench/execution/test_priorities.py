"""The order of jobs, and how near it comes to the shortest possible time."""

from __future__ import annotations

import heapq
import random
from collections import defaultdict

import pytest

from distillation_bench.bench.execution.jobs import CheckPrecision, Job
from distillation_bench.bench.execution.priorities import ReadyJobs
from distillation_bench.bench.planning.estimates.job_durations import DurationEstimator, JobKind


def job(name: str, kind: JobKind = (), rank: int = 0, weight: int = 1, *needs: str) -> Job:
    return Job(name, CheckPrecision(), needs, rank, kind, weight)


def ready(*jobs: Job, estimate: DurationEstimator | None = None) -> ReadyJobs:
    queue = ReadyJobs(estimate or DurationEstimator(), [job.name for job in jobs])
    for job in jobs:
        queue.push(job)
    return queue


def names_in_order(queue: ReadyJobs) -> list[str]:
    return [queue.pop().name for _ in range(len(queue))]


def test_one_job_of_each_kind_is_first_then_lower_ranks_then_the_given_order() -> None:
    names = ("cell", "late", "teacher", "other", "student")
    kinds: dict[str, JobKind] = {"student": ("b",), "teacher": ("t",), "other": ("t",)}
    ranks = {"teacher": 0, "other": 0}
    queue = ready(*(job(name, kinds.get(name, ("a",)), ranks.get(name, 1)) for name in names))
    assert names_in_order(queue) == ["teacher", "cell", "student", "other", "late"]


def test_the_longest_jobs_are_first_once_durations_are_known() -> None:
    jobs = [job(f"{kind}{i}", (kind,)) for i in range(3) for kind in "abc"]
    queue = ready(*jobs)
    first = [queue.pop().name for _ in range(3)]
    for kind, seconds in zip("abc", (1.0, 5.0, 3.0), strict=True):
        queue.learn((kind,), seconds)
    assert first == ["a0", "b0", "c0"]
    assert names_in_order(queue) == ["b1", "b2", "c1", "c2", "a1", "a2"]


def test_kinds_with_a_known_duration_need_no_trial() -> None:
    estimate = DurationEstimator()
    estimate.learn(("a",), 1.0)
    estimate.learn(("b",), 2.0)
    queue = ready(job("a", ("a",)), job("b", ("b",)), job("c", ("c",)), estimate=estimate)
    assert names_in_order(queue) == ["c", "b", "a"]


def test_the_job_that_most_work_waits_for_is_first() -> None:
    """Work is measured in cells until durations are known, then in seconds."""
    jobs = [
        *(job(f"few{i}", ("few",), weight=2) for i in range(2)),
        *(job(f"many{i}", ("many",), weight=9) for i in range(2)),
        job("most", ("many",), weight=10),
    ]
    queue = ready(*jobs)
    assert [queue.pop().name, queue.pop().name] == ["most", "few0"]
    queue.learn(("few",), 100.0)
    queue.learn(("many",), 1.0)
    assert names_in_order(queue) == ["few1", "many0", "many1"]


def test_a_job_that_is_pushed_again_keeps_its_rank() -> None:
    jobs = [job(name) for name in "abc"]
    queue = ready(*jobs)
    again = queue.pop()
    queue.push(again)
    queue.learn((), 1.0)
    assert names_in_order(queue) == ["a", "b", "c"]
    queue.push(again)
    assert names_in_order(queue) == ["a"] and len(queue) == 0


def simulate(jobs: list[Job], seconds: dict[str, float], workers: int, informed: bool) -> float:
    """Return the time at which the last job ends."""
    queue = ReadyJobs(DurationEstimator(), [job.name for job in jobs])
    missing = {job.name: len(job.needs) for job in jobs}
    dependants = defaultdict(list)
    for job in jobs:
        for need in job.needs:
            dependants[need].append(job)
        if not job.needs:
            queue.push(job)
    now, running = 0.0, list[tuple[float, str, JobKind]]()
    while len(queue) or running:
        while len(queue) and len(running) < workers:
            job = queue.pop()
            heapq.heappush(running, (now + seconds[job.name], job.name, job.kind))
        now, name, kind = heapq.heappop(running)
        if informed:
            queue.learn(kind, seconds[name])
        for dependant in dependants[name]:
            missing[dependant.name] -= 1
            if not missing[dependant.name]:
                queue.push(dependant)
    return now


@pytest.mark.parametrize("workers", [2, 8])
def test_the_order_is_near_optimal_on_realistic_grids(workers: int) -> None:
    """Datasets differ in size and the slowest method is last; the given order takes up to 1.16."""
    chance = random.Random(workers)
    for _ in range(20):
        jobs, seconds = [], {}
        longest = 0.0
        for dataset in range(3):
            unit = 10 ** chance.uniform(0, 1.5)
            for seed in range(5):
                name = f"teacher {dataset} {seed}"
                jobs.append(job(name, ("piece", str(dataset)), 1, 8))
                seconds[name] = unit * chance.uniform(0.9, 1.1)
                for method in range(8):
                    cell = f"cell {dataset} {method} {seed}"
                    kind = ("cell", str(dataset), str(method))
                    jobs.append(job(cell, kind, 2, 1, name))
                    seconds[cell] = unit * (method + 1) / 3 * chance.uniform(0.9, 1.1)
                    longest = max(longest, seconds[name] + seconds[cell])
        bound = max(sum(seconds.values()) / workers, longest)
        assert simulate(jobs, seconds, workers, informed=True) <= 1.02 * bound
