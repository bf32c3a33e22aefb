"""What all clusters have in common.

A worker of the cluster runs each job in a process of its own, beside itself. Plugins are sent by
content. The cache is shared if all workers see its folder; otherwise cache entries travel with the
jobs.

What is sent is pickled, so use only a cluster that you trust.
"""

from __future__ import annotations

import functools
import pickle
import time
import uuid
from abc import abstractmethod
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from pathlib import Path
from typing import Any

from distillation_bench.bench.common.errors import UsageError
from distillation_bench.bench.common.paths import IMPORT_FOLDER
from distillation_bench.bench.execution.executors.base import (
    DEFAULT_OPTIONS,
    Executor,
    JobFailed,
    JobOptions,
    WorkerLost,
)
from distillation_bench.bench.execution.executors.remote_job import (
    CacheEntry,
    JobAnswer,
    RemoteJob,
    differences,
    identity,
)
from distillation_bench.bench.execution.progress.screens import screen
from distillation_bench.bench.execution.workplace import Workplace
from distillation_bench.bench.storage.cache import Cache

POLL_SECONDS = 1.0
"""Seconds between two counts of the workers."""
MAX_SENT_ENTRIES = 64
"""Cache entries that a cluster keeps beside those that its jobs read."""


class Cluster(Executor):
    """Workers on other machines; a subclass for each kind of cluster reaches them.

    Args:
        address: of a cluster that is running; empty to start one on this machine.
        jobs: jobs at a time. On a cluster that is running it is a limit, and 0 means no limit.
        workplace: the folders and plugins of this machine.
        timeout: the most seconds that a job may take; None for no limit.
        device: of each worker, "cpu" or "cuda".

    Raises:
        UsageError: there is no cluster, or its workers lack the repository or have other code.
    """

    dashboard = ""
    """Its address, if there is one."""

    how_to_offer_gpus: str
    """What to do if GPUs are asked for and no worker has one."""

    def __init__(
        self,
        address: str,
        jobs: int,
        workplace: Workplace,
        timeout: float | None = None,
        device: str = "cpu",
    ) -> None:
        self._jobs = jobs
        self._timeout = timeout
        self._device = device
        self._counted = 0.0
        self._slots = 0
        self._cache_is_shared = False
        self._cache = Cache(Path(workplace.cache))
        self._sent_entries: dict[str, Any] = {}
        files = [file for plugin in workplace.plugins for file in plugin.own_files]
        self._sources = {file.digest: Path(file.path).read_bytes() for file in files}
        self._connect(address, jobs)
        try:
            self._wait_for_workers()
            self._check_workers()
            self._cache_is_shared = self._is_cache_shared()
        except BaseException:
            self.stop()
            raise

    @abstractmethod
    def _connect(self, address: str, jobs: int) -> None:
        """Connect to the cluster, or start one."""

    @abstractmethod
    def _start(self, job: bytes, entries: Mapping[str, Any]) -> Future[JobAnswer]:
        """Start a pickled RemoteJob with `run_job`; `entries` are what `_send` returned, by key.

        A UsageError ends the run; any other exception means that the worker was lost.
        """

    @abstractmethod
    def _send(self, entry: CacheEntry) -> Any:
        """Send a cache entry to the cluster; return a reference to it."""

    def _is_held(self, reference: Any) -> bool:
        """Return whether the cluster still has an entry that was sent."""
        return True

    @abstractmethod
    def _call_on_each(self, function: Callable[..., Any], *arguments: Any) -> Mapping[str, Any]:
        """Call a function on each worker that answers; return its value or exception by worker."""

    @abstractmethod
    def _capacity(self) -> tuple[int, int]:
        """Return how many jobs all workers take at a time: on processors and on GPUs."""

    def submit(
        self, function: Callable[..., Any], *arguments: Any, options: JobOptions = DEFAULT_OPTIONS
    ) -> Future[Any]:
        """Start a call on a worker; see `Executor.submit`."""
        job = RemoteJob(
            function=function,
            arguments=arguments,
            device=self._device,
            timeout=self._timeout if options.timed else None,
            writes=() if self._cache_is_shared else options.writes,
            cache_is_shared=self._cache_is_shared,
            sources=self._sources,
        )
        reads = () if self._cache_is_shared else options.reads
        started = self._start(pickle.dumps(job), {key: self._reference(key) for key in reads})
        answer: Future[Any] = Future()
        started.add_done_callback(functools.partial(self._settle, answer))
        return answer

    def slots(self) -> int:
        """Return how many jobs can run at a time.

        Raises:
            UsageError: GPUs are asked for, and no worker has one.
        """
        if time.monotonic() - self._counted > POLL_SECONDS:
            self._slots = self._count_slots()
            self._counted = time.monotonic()
        return min(self._slots, self._jobs) if self._jobs else self._slots

    def _count_slots(self) -> int:
        processors, gpus = self._capacity()
        if self._device == "cuda" and processors and not gpus:
            raise UsageError(f"--device cuda: no worker has a GPU; {self.how_to_offer_gpus}")
        return gpus if self._device == "cuda" else processors

    def _wait_for_workers(self) -> None:
        if not self._count_slots():
            screen().note("no worker yet; waiting for one")
            while not self._count_slots():
                time.sleep(POLL_SECONDS)

    def _check_workers(self) -> None:
        """Check that each worker can import the repository, and has the code of this machine.

        Raises:
            UsageError: what a worker lacks.
        """
        importing = f"import {identity.__module__}"
        for worker, answer in self._call_on_each(exec, importing).items():
            if isinstance(answer, BaseException):
                raise UsageError(
                    f"worker {worker}: this repository can't be imported there ({answer}); "
                    f"start workers in its environment, with {IMPORT_FOLDER} in PYTHONPATH"
                )
        for worker, answer in self._call_on_each(differences, identity()).items():
            if answer:
                raise UsageError(f"worker {worker}: {answer}")

    def _is_cache_shared(self) -> bool:
        """Return whether all workers see the cache's folder.

        Raises:
            UsageError: only some of them do.
        """
        mark = self._cache.folder / f".shared-{uuid.uuid4().hex}"
        mark.touch()
        try:
            seen = self._call_on_each(Path.exists, mark)
        finally:
            mark.unlink()
        if any(seen.values()) and not all(seen.values()):
            blind = next(worker for worker, sees in seen.items() if not sees)
            raise UsageError(
                f"worker {blind}: does not see {self._cache.folder}, which others do; "
                "give a --cache that all or none of them see"
            )
        # If no worker answers just now, entries travel, which is right for any that come.
        return bool(seen) and all(seen.values())

    def _reference(self, key: str) -> Any:
        """Return the reference to a cache entry, which is sent unless the cluster has it."""
        reference = self._sent_entries.pop(key, None)
        if reference is None or not self._is_held(reference):
            reference = self._send(self._cache.read(key))
        self._sent_entries[key] = reference
        if len(self._sent_entries) > MAX_SENT_ENTRIES:
            del self._sent_entries[next(iter(self._sent_entries))]
        return reference

    def _settle(self, answer: Future[Any], started: Future[JobAnswer]) -> None:
        """Pass on the answer of a worker, after its cache entries are written."""
        try:
            failure, value, entries = started.result()
        except UsageError as error:
            answer.set_exception(error)
            return
        except BaseException as error:
            reason = " ".join(f"{type(error).__name__}: {error}".split())
            answer.set_exception(WorkerLost(f"the cluster lost it ({reason})"))
            return
        try:
            for key, entry in entries.items():
                self._cache.write(key, *entry)
        except OSError as error:
            answer.set_exception(JobFailed(str(error), "", error))
        else:
            if failure is None:
                answer.set_result(value)
            else:
                answer.set_exception(failure(*value))
