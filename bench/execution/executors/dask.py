"""Dask clusters."""

from __future__ import annotations

import contextlib
import functools
import logging
import re
import uuid
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from pathlib import Path
from typing import Any

import dask
from distributed import Client, LocalCluster, get_worker
from distributed import Future as DaskFuture
from distributed.client import FutureCancelledError

from distillation_bench.bench.common.errors import UsageError
from distillation_bench.bench.common.paths import IMPORT_FOLDER
from distillation_bench.bench.common.program import RESUMABLE
from distillation_bench.bench.execution.executors.cluster import Cluster
from distillation_bench.bench.execution.executors.remote_job import (
    CacheEntry,
    JobAnswer,
    identity,
    run_job,
)

GPU = "GPU"
LOST = ("lost dependencies", "already forgotten")
"""The reasons that Dask gives when the only worker that held an entry is gone."""
# Each new worker finds the repository in the same folder as this machine, if it is there.
_FOLDER = repr(str(IMPORT_FOLDER))
_FIND_REPOSITORY = f"import os, sys; os.path.isdir({_FOLDER}) and sys.path.append({_FOLDER})"
# A function without a module is sent by value. The scheduler unpickles it, and need not have this
# repository.
_START = """
def start(identity, job, keys, *entries):
    from distillation_bench.bench.execution.executors.dask import run_on_worker
    return run_on_worker(identity, job, dict(zip(keys, entries)))
"""
_NAMESPACE: dict[str, Any] = {"__name__": "__main__"}
exec(_START, _NAMESPACE)


class DaskCluster(Cluster):
    """A Dask scheduler and its workers."""

    how_to_offer_gpus = "start Dask workers with --resources GPU=1"

    def _connect(self, address: str, jobs: int) -> None:
        logging.getLogger("distributed").setLevel(logging.ERROR)
        # If the scheduler is gone, this program says so in one line.
        logging.getLogger("distributed.client").setLevel(logging.CRITICAL)
        self._running: set[DaskFuture[Any]] = set()
        self._cluster = None if address else _start_cluster(jobs, self._device)
        self._client = _client(self._cluster.scheduler_address if self._cluster else address)
        self._client.register_worker_callbacks(functools.partial(exec, _FIND_REPOSITORY))
        if self._client.scheduler_info(n_workers=0).get("services", {}).get("dashboard"):
            self.dashboard = self._client.dashboard_link

    def _start(self, job: bytes, entries: Mapping[str, Any]) -> Future[JobAnswer]:
        dask_future = self._client.submit(
            _NAMESPACE["start"],
            identity(),
            job,
            list(entries),
            *entries.values(),
            key=f"bench-{uuid.uuid4().hex}",
            pure=False,
            resources={GPU: 1} if self._device == "cuda" else None,
        )
        self._running.add(dask_future)
        started: Future[JobAnswer] = Future()
        dask_future.add_done_callback(functools.partial(self._pass_on, started))
        return started

    def _pass_on(self, started: Future[JobAnswer], dask_future: DaskFuture[Any]) -> None:
        """Pass on the outcome of Dask's future; replace a message of Dask that would not help."""
        self._running.discard(dask_future)
        try:
            started.set_result(dask_future.result())
        except FutureCancelledError as error:
            if error.reason in LOST:
                started.set_exception(error)
            else:
                gone = f"the Dask scheduler is gone ({error.reason})"
                started.set_exception(UsageError(f"{gone}; {RESUMABLE}"))
        except ImportError as error:
            started.set_exception(UsageError(f"a worker that came later: {error}"))
        except BaseException as error:
            started.set_exception(error)

    def _send(self, entry: CacheEntry) -> DaskFuture[Any]:
        sent: list[DaskFuture[Any]] = self._client.scatter([entry], direct=False, hash=False)
        return sent[0]

    def _is_held(self, reference: DaskFuture[Any]) -> bool:
        return bool(reference.status == "finished")

    def _call_on_each(self, function: Callable[..., Any], *arguments: Any) -> Mapping[str, Any]:
        answers = self._client.run(function, *arguments, on_error="return")
        # A worker whose connection is closed does not count; it may come back by itself.
        return {
            worker: answer for worker, answer in answers.items() if not isinstance(answer, OSError)
        }

    def _capacity(self) -> tuple[int, int]:
        workers = self._client.scheduler_info(n_workers=-1)["workers"].values()
        threads = sum(worker["nthreads"] for worker in workers)
        return threads, int(sum(worker["resources"].get(GPU, 0) for worker in workers))

    def stop(self) -> None:
        """Cancel what is running, and close the cluster if this process started it."""
        with contextlib.suppress(Exception):
            # Workers check whether their job is still wanted, and kill it if not.
            self._client.cancel(list(self._running), force=True)
            self._client.close(timeout=5)
        if self._cluster is not None:
            with contextlib.suppress(Exception):
                self._cluster.close(timeout=5)


def run_on_worker(
    driver: Mapping[str, str], job: bytes, entries: Mapping[str, CacheEntry]
) -> JobAnswer:
    """Run a pickled job beside this Dask worker, until the scheduler no longer wants it."""
    worker = get_worker()
    key = worker.get_current_task()

    def is_wanted() -> bool:
        state = worker.state.tasks.get(key)
        return state is not None and state.state not in ("cancelled", "forgotten", "released")

    return run_job(driver, job, entries, Path(worker.local_directory) / "bench", is_wanted)


def _client(address: str) -> Client:
    """Connect to a scheduler.

    Raises:
        UsageError: the address is wrong, or no scheduler answers.
    """
    if not re.fullmatch(r"inproc://.+|[a-z]+://.+:\d+", address):
        raise UsageError(f"--scheduler {address}: not an address like tcp://HOST:8786")
    try:
        return Client(address, timeout=10, set_as_default=False)
    except (OSError, ValueError, TypeError) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise UsageError(f"--scheduler {address}: no Dask scheduler answers ({reason})") from None


def _start_cluster(jobs: int, device: str) -> LocalCluster:
    # A job can kill only its own process; so when a Dask worker dies, the worker is lost.
    dask.config.set({"distributed.scheduler.allowed-failures": 0})
    # The threads of a worker only wait for those processes, so one worker in this process will do.
    return LocalCluster(
        n_workers=1,
        threads_per_worker=jobs,
        processes=False,
        resources={GPU: jobs} if device == "cuda" else None,
        dashboard_address=":0",
    )
