"""Which job is next, and how near the shortest possible time that comes."""

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
    made = ReadyJobs(estimate or DurationEstimator(), [each.name for each in jobs])
    for each in jobs:
        made.push(each)
    return made


def order(made: ReadyJobs) -> list[str]:
    return [made.pop().name for _ in range(len(made))]


def test_one_of_each_kind_then_lower_ranks_then_as_asked() -> None:
    names = ("cell", "late", "teacher", "other", "student")
    kinds: dict[str, JobKind] = {"student": ("b",), "teacher": ("t",), "other": ("t",)}
    ranks = {"teacher": 0, "other": 0}
    made = ready(*(job(name, kinds.get(name, ("a",)), ranks.get(name, 1)) for name in names))
    assert order(made) == ["teacher", "cell", "student", "other", "late"]


def test_the_longest_first_once_known() -> None:
    jobs = [job(f"{kind}{i}", (kind,)) for i in range(3) for kind in "abc"]
    made = ready(*jobs)
    first = [made.pop().name for _ in range(3)]
    for kind, seconds in zip("abc", (1.0, 5.0, 3.0), strict=True):
        made.learn((kind,), seconds)
    assert first == ["a0", "b0", "c0"]
    assert order(made) == ["b1", "b2", "c1", "c2", "a1", "a2"]


def test_what_was_learned_before_needs_no_trial() -> None:
    estimate = DurationEstimator()
    estimate.learn(("a",), 1.0)
    estimate.learn(("b",), 2.0)
    made = ready(job("a", ("a",)), job("b", ("b",)), job("c", ("c",)), estimate=estimate)
    assert order(made) == ["c", "b", "a"]


def test_what_most_work_waits_for_comes_first() -> None:
    """Before anything is known cells are counted; then their seconds."""
    jobs = [
        *(job(f"few{i}", ("few",), weight=2) for i in range(2)),
        *(job(f"many{i}", ("many",), weight=9) for i in range(2)),
        job("most", ("many",), weight=10),
    ]
    made = ready(*jobs)
    assert [made.pop().name, made.pop().name] == ["most", "few0"]
    made.learn(("few",), 100.0)
    made.learn(("many",), 1.0)
    assert order(made) == ["few1", "many0", "many1"]


def test_a_job_that_comes_back_keeps_its_place() -> None:
    jobs = [job(name) for name in "abc"]
    made = ready(*jobs)
    again = made.pop()
    made.push(again)
    made.learn((), 1.0)
    assert order(made) == ["a", "b", "c"]
    made.push(again)
    assert order(made) == ["a"] and len(made) == 0


def simulate(jobs: list[Job], seconds: dict[str, float], workers: int, informed: bool) -> float:
    """When the last job ends."""
    made = ReadyJobs(DurationEstimator(), [each.name for each in jobs])
    missing = {each.name: len(each.needs) for each in jobs}
    dependants = defaultdict(list)
    for each in jobs:
        for need in each.needs:
            dependants[need].append(each)
        if not each.needs:
            made.push(each)
    now, running = 0.0, list[tuple[float, str, JobKind]]()
    while len(made) or running:
        while len(made) and len(running) < workers:
            each = made.pop()
            heapq.heappush(running, (now + seconds[each.name], each.name, each.kind))
        now, name, kind = heapq.heappop(running)
        if informed:
            made.learn(kind, seconds[name])
        for each in dependants[name]:
            missing[each.name] -= 1
            if not missing[each.name]:
                made.push(each)
    return now


@pytest.mark.parametrize("workers", [2, 8])
def test_near_the_shortest_time_on_grids_like_real_ones(workers: int) -> None:
    """Datasets of very different size, the slowest method last; asked order takes up to 1.16."""
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
