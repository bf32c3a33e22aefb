"""The scheduler: order, failures, retries and interruptions, on a scripted executor."""

from __future__ import annotations

import signal
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any

import pytest

from distillation_bench.bench.common.errors import UsageError
from distillation_bench.bench.execution.executors.base import (
    DEFAULT_OPTIONS,
    Executor,
    JobFailed,
    JobOptions,
    TimedOut,
    WorkerDied,
    WorkerLost,
)
from distillation_bench.bench.execution.jobs import CheckPrecision, Job
from distillation_bench.bench.execution.scheduler import MAX_LOSSES, FinishedJob, Scheduler


class Played(Executor):
    """An executor that follows a script: what each attempt of a job raises."""

    def __init__(self, script: dict[str, list[BaseException]] | None = None, jobs: int = 1) -> None:
        self.jobs = jobs
        self.script = script or {}
        self.calls: list[str] = []
        self.stopped = False

    def slots(self) -> int:
        return self.jobs

    def submit(
        self, function: Callable[..., Any], *arguments: Any, options: JobOptions = DEFAULT_OPTIONS
    ) -> Future[Any]:
        raise NotImplementedError

    def start(self, job: Job) -> Future[Any]:
        self.calls.append(job.name)
        future: Future[Any] = Future()
        errors = self.script.get(job.name)
        if errors:
            error = errors.pop(0)
            if isinstance(error, KeyboardInterrupt):
                raise error
            future.set_exception(error)
        else:
            future.set_result(job.name.upper())
        return future

    def stop(self) -> None:
        self.stopped = True


class Notes:
    def __init__(self) -> None:
        self.ends: dict[str, FinishedJob] = {}

    def job_started(self, job: Job) -> None: ...

    def job_finished(self, finished: FinishedJob) -> None:
        assert finished.job.name not in self.ends, "told twice"
        self.ends[finished.job.name] = finished


def job(name: str, *needs: str, rank: int = 0) -> Job:
    return Job(name, CheckPrecision(), needs, rank)


def play(
    graph: list[Job], script: dict[str, list[BaseException]] | None = None, **options: Any
) -> tuple[Played, Notes, bool]:
    executor, notes = Played(script, options.pop("jobs", 1)), Notes()
    well = Scheduler(graph, executor, executor.start, notes, **options).run()
    return executor, notes, well


DIAMOND = [job("d", "b", "c"), job("b", "a"), job("c", "a"), job("a")]


@pytest.mark.parametrize("jobs", [1, 2, 9])
def test_a_diamond_runs_in_order_each_once(jobs: int) -> None:
    executor, notes, well = play(DIAMOND, jobs=jobs)
    assert well and sorted(executor.calls) == ["a", "b", "c", "d"]
    assert executor.calls[0] == "a" and executor.calls[-1] == "d"
    assert {name: ended.value for name, ended in notes.ends.items()} == {
        name: name.upper() for name in "abcd"
    }


def test_a_dependency_outside_the_graph_counts_as_done() -> None:
    assert play([job("b", "cached")])[0].calls == ["b"]


def test_a_failure_fails_its_dependants_and_nothing_else() -> None:
    failure: BaseException = JobFailed("ValueError: no", "trace")
    executor, notes, well = play([*DIAMOND, job("e")], {"b": [failure]})
    assert not well
    assert sorted(executor.calls) == ["a", "b", "c", "e"]
    assert {name for name, ended in notes.ends.items() if ended.failed} == {"b", "d"}
    assert notes.ends["d"].reason == "b failed: ValueError: no"
    assert notes.ends["d"].details == "trace"


def test_only_a_job_of_a_dead_worker_is_retried() -> None:
    script: dict[str, list[BaseException]] = {
        "once": [WorkerDied("killed")],
        "always": [WorkerDied("killed"), WorkerDied("killed"), WorkerDied("killed")],
        "slow": [TimedOut("took longer")],
        "wrong": [JobFailed("ValueError", "")],
    }
    executor, notes, _ = play([job(name) for name in script] + [job("well")], script)
    counts = {name: executor.calls.count(name) for name in [*script, "well"]}
    assert counts == {"once": 2, "always": 2, "slow": 1, "wrong": 1, "well": 1}
    assert notes.ends["once"].value == "ONCE" and notes.ends["once"].attempts == 2
    assert notes.ends["always"].reason == "killed, 2 times"


def test_fail_fast_starts_nothing_more() -> None:
    failure: BaseException = JobFailed("ValueError", "")
    executor, notes, well = play([job("a"), job("b"), job("c")], {"a": [failure]}, fail_fast=True)
    assert not well and executor.calls == ["a"] and set(notes.ends) == {"a"}


def test_fail_fast_starts_no_waiting_job() -> None:
    """Jobs that were running are finished; their dependants are not started."""
    failure: BaseException = JobFailed("ValueError", "")
    jobs = [job("a"), job("teacher"), job("cell", "teacher")]
    executor, notes, well = play(jobs, {"a": [failure]}, fail_fast=True, jobs=2)
    assert not well and executor.calls == ["a", "teacher"]
    assert set(notes.ends) == {"a", "teacher"}


def test_results_are_kept_when_another_job_ends_the_run() -> None:
    gone: BaseException = UsageError("the cluster is gone")
    names = [f"{number}" for number in range(8)]
    executor, notes = Played({"3": [gone]}, jobs=8), Notes()
    with pytest.raises(UsageError):
        Scheduler([job(name) for name in names], executor, executor.start, notes).run()
    assert set(notes.ends) == {*names} - {"3"}


def test_an_interrupt_stops_the_workers() -> None:
    executor, notes = Played({"b": [KeyboardInterrupt()]}), Notes()
    with pytest.raises(KeyboardInterrupt):
        Scheduler([job("a"), job("b"), job("c")], executor, executor.start, notes).run()
    assert executor.stopped and set(notes.ends) == {"a"}


@pytest.mark.parametrize("last", ["b", "c"])
def test_ctrl_c_waits_for_a_safe_moment(last: str) -> None:
    """Elsewhere it could leave a lock held or a record half reported."""

    class Interrupted(Notes):
        def job_finished(self, finished: FinishedJob) -> None:
            if finished.job.name == last:
                signal.raise_signal(signal.SIGINT)
            super().job_finished(finished)

    executor, notes = Played(), Interrupted()
    before = signal.getsignal(signal.SIGINT)
    with pytest.raises(KeyboardInterrupt):
        Scheduler([job("a"), job("b", "a"), job("c", "b")], executor, executor.start, notes).run()
    assert executor.stopped and list(notes.ends) == ["a", "b", "c"][: "abc".index(last) + 1]
    assert signal.getsignal(signal.SIGINT) is before


def test_learned_durations_decide_the_next_job(monkeypatch: pytest.MonkeyPatch) -> None:
    """Also in this process, where a job has ended when it is submitted."""
    seconds = {"short": 1.0, "long": 5.0}
    now = 0.0

    class Timed(Played):
        def start(self, job: Job) -> Future[Any]:
            nonlocal now
            now += seconds[job.name.partition(" ")[0]]
            return super().start(job)

    monkeypatch.setattr("time.monotonic", lambda: now)
    names = [f"{kind} {i}" for kind in seconds for i in range(3)]
    jobs = [Job(name, CheckPrecision(), kind=(name.partition(" ")[0],)) for name in names]
    executor = Timed()
    assert Scheduler(jobs, executor, executor.start, Notes()).run()
    assert executor.calls == ["short 0", "long 0", "long 1", "long 2", "short 1", "short 2"]


def test_a_lost_worker_is_not_charged_to_its_job() -> None:
    lost: list[BaseException] = [WorkerLost("gone") for _ in range(5)]
    script: dict[str, list[BaseException]] = {
        "taken": [*lost],
        "dies": [*lost, WorkerDied("killed")],
        "cursed": [WorkerLost("gone") for _ in range(99)],
    }
    executor, notes, _ = play([job(name) for name in script], script)
    assert notes.ends["taken"].value == "TAKEN" and notes.ends["taken"].attempts == 1
    assert notes.ends["dies"].value == "DIES" and notes.ends["dies"].attempts == 2
    assert notes.ends["cursed"].reason == f"gone, {MAX_LOSSES + 1} times"
    assert executor.calls.count("cursed") == MAX_LOSSES + 1
