"""What all clusters have in common: each job in a process of its own beside the worker that was
given it, plugins sent by content, and the cache shared where its folder is seen by all workers.
Elsewhere cache entries travel with the jobs.

What is sent is pickled: give it a cluster that you trust.
"""

from __future__ import annotations

import functools
import pickle
import socket
import sys
import time
import uuid
from abc import abstractmethod
from collections.abc import Callable, Mapping
from concurrent.futures import Future, wait
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from distillation_bench.bench.common.errors import UsageError
from distillation_bench.bench.common.files import write_atomically
from distillation_bench.bench.common.hashing import code_digest, versions
from distillation_bench.bench.common.paths import FOLDERS
from distillation_bench.bench.execution.executors.base import (
    DEFAULT_OPTIONS,
    Executor,
    JobFailed,
    JobOptions,
    TimedOut,
    WorkerDied,
    WorkerLost,
    disk_fault,
)
from distillation_bench.bench.execution.executors.local import LocalExecutor
from distillation_bench.bench.execution.workplace import Workplace
from distillation_bench.bench.planning.plugins.loading import Plugin
from distillation_bench.bench.storage.cache import Cache

CacheEntry = tuple[bytes, bytes]
"""A cache entry's two files."""
JobAnswer = tuple[type[Exception] | None, Any, dict[str, CacheEntry]]
"""The kind of failure and its arguments, or None and the value; and the entries that were made."""
LOOK = 1.0
"""Seconds between two looks whether a job is still wanted, or at how many workers there are."""
KEPT = 64
"""Cache entries that a cluster holds beside those that its jobs read."""


class Cluster(Executor):
    """Workers elsewhere; a kind of cluster says how to reach them.

    Args:
        address: of a cluster that is running; empty: start one on this machine.
        jobs: jobs at a time of a cluster of one's own; of another the most, 0 for as many as it
            has room for.
        workplace: the cache's folder and the plugins, as this machine knows them.
        timeout: seconds that a job may take; none: for ever.
        device: of each worker, "cpu" or "cuda".

    Raises:
        UsageError: there is no cluster, or workers lack the repository or have other code.
    """

    dashboard = ""
    """Its address, where there is one."""

    how_to_offer_gpus: str
    """For who asked for GPUs that no worker has."""

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
        self._seen = 0.0
        self._slots = 0
        self._shared = False
        self._cache = Cache(Path(workplace.cache))
        self._entries: dict[str, Any] = {}
        own = [file for plugin in workplace.plugins for file in plugin.own_files]
        self._sources = {file.digest: Path(file.path).read_bytes() for file in own}
        self._connect(address, jobs)
        try:
            self._get_ready()
        except BaseException:
            self.stop()
            raise

    @abstractmethod
    def _connect(self, address: str, jobs: int) -> None:
        """Reach the cluster, or start one."""

    @abstractmethod
    def _start(self, call: bytes, entries: Mapping[str, Any]) -> Future[JobAnswer]:
        """Start a pickled RemoteJob with entries that were sent.

        A UsageError ends the run; any other exception means that the worker was lost.
        """

    @abstractmethod
    def _send(self, entry: CacheEntry) -> Any:
        """Put an entry into the cluster; returns what stands for it."""

    def _is_held(self, entry: Any) -> bool:
        """Whether the cluster still has an entry that was sent."""
        return True

    @abstractmethod
    def _on_each(self, function: Callable[..., Any], *arguments: Any) -> Mapping[str, Any]:
        """What a call gives, or raises, by worker that is there to answer."""

    @abstractmethod
    def _room(self) -> tuple[int, int]:
        """Jobs that all workers take at a time: on processors, on GPUs."""

    def submit(
        self, function: Callable[..., Any], *arguments: Any, options: JobOptions = DEFAULT_OPTIONS
    ) -> Future[Any]:
        answer: Future[Any] = Future()
        call = RemoteJob(
            function,
            arguments,
            self._device,
            self._timeout if options.timed else None,
            () if self._shared else options.writes,
            self._shared,
            self._sources,
            identity(),
        )
        entries = {} if self._shared else {key: self._sent(key) for key in options.reads}
        started = self._start(pickle.dumps(call), entries)
        started.add_done_callback(functools.partial(self._settle, answer))
        return answer

    def slots(self) -> int:
        if time.monotonic() - self._seen > LOOK:
            self._slots = self._count()
            self._seen = time.monotonic()
        return min(self._slots, self._jobs) if self._jobs else self._slots

    def _count(self) -> int:
        processors, gpus = self._room()
        if self._device == "cuda" and processors and not gpus:
            raise UsageError(f"--device cuda: no worker has a GPU; {self.how_to_offer_gpus}")
        return gpus if self._device == "cuda" else processors

    def _get_ready(self) -> None:
        """Wait for a worker; each can import the repository, and has this one's code.

        Raises:
            UsageError: what is missing where.
        """
        if not self._count():
            print("no worker yet; waiting for one", file=sys.stderr)
            while not self._count():
                time.sleep(LOOK)
        for worker, answer in self._on_each(exec, f"import {__name__}").items():
            if isinstance(answer, BaseException):
                raise UsageError(
                    f"worker {worker}: this repository can't be imported there ({answer}); "
                    "start workers in its environment, with its folder in PYTHONPATH"
                )
        for worker, answer in self._on_each(differences, identity()).items():
            if answer:
                raise UsageError(f"worker {worker}: {answer}")
        self._shared = self._is_shared()

    def _is_shared(self) -> bool:
        """Whether all workers see the cache's folder; some of them is a mistake."""
        mark = self._cache.folder / f".shared-{uuid.uuid4().hex}"
        mark.touch()
        try:
            seen = self._on_each(Path.exists, mark)
        finally:
            mark.unlink()
        if any(seen.values()) and not all(seen.values()):
            blind = next(worker for worker, sees in seen.items() if not sees)
            raise UsageError(
                f"worker {blind}: does not see {self._cache.folder}, which others do; "
                "give a --cache that all or none of them see"
            )
        # Should all be gone just now: entries that travel are right for any that come.
        return bool(seen) and all(seen.values())

    def _sent(self, key: str) -> Any:
        """A cache entry, which the cluster keeps while it is read now and then."""
        entry = self._entries.pop(key, None)
        if entry is None or not self._is_held(entry):
            entry = self._send(self._cache.read(key))
        self._entries[key] = entry
        if len(self._entries) > KEPT:
            del self._entries[next(iter(self._entries))]
        return entry

    def _settle(self, answer: Future[Any], started: Future[JobAnswer]) -> None:
        try:
            kind, value, entries = started.result()
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
            if kind is None:
                answer.set_result(value)
            else:
                answer.set_exception(kind(*value))


@dataclass(frozen=True)
class RemoteJob:
    """A job on its way to a worker."""

    function: Callable[..., Any]
    arguments: tuple[Any, ...]
    device: str
    timeout: float | None
    writes: tuple[str, ...]
    shared: bool
    sources: Mapping[str, bytes]
    identity: Mapping[str, str]

    def __call__(
        self, entries: Mapping[str, CacheEntry], place: Path, wanted: Callable[[], bool]
    ) -> JobAnswer:
        """Run it beside this worker.

        Args:
            entries: what the job reads of the cache, where no folder is shared.
            place: a folder of this worker's machine.
            wanted: whether the driver still waits for it.
        """
        try:
            arguments, cache = self._here(place)
            for key, entry in entries.items():
                if not cache.has(key):
                    cache.write(key, *entry)
            value = self._run(arguments, wanted)
            return None, value, {key: cache.read(key) for key in self.writes}
        except JobFailed as error:
            return JobFailed, (error.reason, error.details, error.fault), {}
        except (TimedOut, WorkerDied, WorkerLost, UsageError) as error:
            return type(error), (str(error),), {}
        except OSError as error:
            if disk_fault(error) is None:
                raise
            # Of the job itself it would be a JobFailed: this worker can take no other either.
            where = f"{socket.gethostname()}: {error.filename or place}"
            return UsageError, (f"{where}: {error.strerror}; what was finished is kept",), {}

    def _here(self, place: Path) -> tuple[tuple[Any, ...], Cache]:
        """The arguments with the workplace's folders as they are on this machine.

        Raises:
            UsageError: it has other code, or does not see the cache: it came after the checks.
        """
        if unlike := differences(self.identity):
            raise UsageError(f"a worker that came later: {unlike}")
        cache = Cache(place / "cache")
        arguments = []
        for each in self.arguments:
            if isinstance(each, Workplace):
                plugins = tuple(self._plugin(place, plugin) for plugin in each.plugins)
                folder = each.cache if self.shared else str(cache.folder)
                if self.shared and not Path(folder).is_dir():
                    raise UsageError(f"a worker that came later: it does not see {folder}")
                cache = Cache(Path(folder))
                each = replace(each, cache=folder, plugins=plugins)
            arguments.append(each)
        return tuple(arguments), cache

    def _plugin(self, place: Path, plugin: Plugin) -> Plugin:
        """A plugin on this machine, with the content that it had where it was planned."""
        here = plugin.within(place / "plugins" / plugin.digest[:16])
        for file in here.own_files:
            path = Path(file.path)
            if not path.exists():
                write_atomically(path, self.sources[file.digest])
        return here

    def _run(self, arguments: tuple[Any, ...], wanted: Callable[[], bool]) -> Any:
        executor = LocalExecutor(1, self.timeout, (self.device,))
        try:
            future = executor.submit(self.function, *arguments)
            while not wait([future], LOOK).done:
                if not wanted():
                    raise WorkerLost("no longer wanted")
            return future.result()
        finally:
            executor.stop()


@functools.cache
def identity() -> dict[str, str]:
    """What must be equal on all machines for a run's figures to be of one kind."""
    python = ".".join(map(str, sys.version_info[:2]))
    return {"code": code_digest(FOLDERS)[:12], "python": python, **versions("torch", "numpy")}


def differences(drivers: Mapping[str, str]) -> str:
    """What this worker has else than the driver, to whom it is "there"; empty if nothing."""
    own = identity()
    return ", ".join(
        f"{what} is {own.get(what)} there, {value} where it was started"
        for what, value in drivers.items()
        if own.get(what) != value
    )
