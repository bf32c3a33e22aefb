"""A job as it travels to a worker of a cluster, and how that worker runs it."""

from __future__ import annotations

import functools
import pickle
import socket
import sys
from collections.abc import Callable, Mapping
from concurrent.futures import wait
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from distillation_bench.bench.common.errors import UsageError
from distillation_bench.bench.common.files import write_atomically
from distillation_bench.bench.common.hashing import code_digest, versions
from distillation_bench.bench.common.paths import FOLDERS
from distillation_bench.bench.common.program import RESUMABLE
from distillation_bench.bench.execution.executors.base import (
    JobFailed,
    TimedOut,
    WorkerDied,
    WorkerLost,
    disk_fault,
)
from distillation_bench.bench.execution.executors.local import LocalExecutor
from distillation_bench.bench.execution.workplace import Workplace
from distillation_bench.bench.planning.plugins.plugin_files import Plugin
from distillation_bench.bench.storage.cache import Cache

CacheEntry = tuple[bytes, bytes]
"""The two files of a cache entry."""
JobAnswer = tuple[type[Exception] | None, Any, dict[str, CacheEntry]]
"""The class of a failure and its arguments, or None and the value; the cache entries written."""
POLL_SECONDS = 1.0
"""Seconds between two checks whether the driver still waits for the job."""


@dataclass(frozen=True)
class RemoteJob:
    """A call for a worker of a cluster.

    Attributes:
        function, arguments: the call. A `Workplace` among the arguments is that of the driver.
        device: of the worker, "cpu" or "cuda".
        timeout: the most seconds that the job may take; None for no limit.
        writes: keys of the cache entries that the answer returns.
        cache_is_shared: whether the worker sees the driver's cache.
        sources: the content of the plugins' files, by digest.
    """

    function: Callable[..., Any]
    arguments: tuple[Any, ...]
    device: str
    timeout: float | None
    writes: tuple[str, ...]
    cache_is_shared: bool
    sources: Mapping[str, bytes]

    def __call__(
        self, entries: Mapping[str, CacheEntry], folder: Path, is_wanted: Callable[[], bool]
    ) -> JobAnswer:
        """Run the job in a process beside this worker.

        Args:
            entries: the cache entries that the job reads, unless the cache is shared.
            folder: where this worker keeps its cache and plugins.
            is_wanted: returns whether the driver still waits for the job.
        """
        try:
            arguments, cache = self._localised(folder)
            for key, entry in entries.items():
                if not cache.has(key):
                    cache.write(key, *entry)
            value = self._run(arguments, is_wanted)
            return None, value, {key: cache.read(key) for key in self.writes}
        except JobFailed as error:
            return JobFailed, (error.reason, error.details, error.fault), {}
        except (TimedOut, WorkerDied, WorkerLost, UsageError) as error:
            return type(error), (str(error),), {}
        except OSError as error:
            if disk_fault(error) is None:
                raise
            # The job itself would raise JobFailed: this worker cannot run any other job either.
            location = f"{socket.gethostname()}: {error.filename or folder}"
            return UsageError, (f"{location}: {error.strerror}; {RESUMABLE}",), {}

    def _localised(self, folder: Path) -> tuple[tuple[Any, ...], Cache]:
        """Return the arguments with the folders of this machine, and its cache.

        Raises:
            UsageError: the worker does not see the cache; it came after the workers were checked.
        """
        cache = Cache(folder / "cache")
        arguments = []
        for argument in self.arguments:
            if isinstance(argument, Workplace):
                argument = self._localised_workplace(argument, cache, folder)
                cache = Cache(Path(argument.cache))
            arguments.append(argument)
        return tuple(arguments), cache

    def _localised_workplace(self, workplace: Workplace, cache: Cache, folder: Path) -> Workplace:
        plugins = tuple(self._localised_plugin(folder, plugin) for plugin in workplace.plugins)
        cache_folder = workplace.cache if self.cache_is_shared else str(cache.folder)
        if self.cache_is_shared and not Path(cache_folder).is_dir():
            raise UsageError(f"a worker that came later: it does not see {cache_folder}")
        return replace(workplace, cache=cache_folder, plugins=plugins)

    def _localised_plugin(self, folder: Path, plugin: Plugin) -> Plugin:
        """Return the plugin with files on this machine, written with the driver's content."""
        local = plugin.moved_to(folder / "plugins" / plugin.digest[:16])
        for file in local.own_files:
            path = Path(file.path)
            if not path.exists():
                write_atomically(path, self.sources[file.digest])
        return local

    def _run(self, arguments: tuple[Any, ...], is_wanted: Callable[[], bool]) -> Any:
        executor = LocalExecutor(1, self.timeout, (self.device,))
        try:
            future = executor.submit(self.function, *arguments)
            while not wait([future], POLL_SECONDS).done:
                if not is_wanted():
                    raise WorkerLost("no longer wanted")
            return future.result()
        finally:
            executor.stop()


def run_job(
    driver: Mapping[str, str],
    job: bytes,
    entries: Mapping[str, CacheEntry],
    folder: Path,
    is_wanted: Callable[[], bool],
) -> JobAnswer:
    """Run a pickled `RemoteJob`; see `RemoteJob.__call__`.

    Args:
        driver: its `identity`. A worker that came after the workers were checked may have other
            code, without the classes that the job is made of: it must not unpickle the job.
    """
    try:
        difference = differences(driver)
    except UsageError as error:
        difference = str(error)
    if difference:
        return UsageError, (f"a worker that came later: {difference}",), {}
    remote_job: RemoteJob = pickle.loads(job)
    return remote_job(entries, folder, is_wanted)


@functools.cache
def identity() -> dict[str, str]:
    """Return what must be equal on all machines, so that a run's values are comparable."""
    python = ".".join(map(str, sys.version_info[:2]))
    return {"code": code_digest(FOLDERS)[:12], "python": python, **versions("torch", "numpy")}


def differences(driver: Mapping[str, str]) -> str:
    """Return how this worker's identity differs from the driver's, for the driver's message.

    Raises:
        UsageError: a file of this worker's code cannot be read as Python.
    """
    own = identity()
    return ", ".join(
        f"{what} is {own.get(what)} there, {value} where it was started"
        for what, value in driver.items()
        if own.get(what) != value
    )
