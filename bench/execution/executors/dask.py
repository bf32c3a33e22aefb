"""Jobs on a Dask cluster."""

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
from distributed import Future as Promise
from distributed.client import FutureCancelledError

from distillation_bench.bench.common.errors import UsageError
from distillation_bench.bench.common.paths import IMPORT_FOLDER
from distillation_bench.bench.execution.executors.cluster import CacheEntry, Cluster, JobAnswer

GPU = "GPU"
LOST = ("lost dependencies", "already forgotten")
"""Why Dask cancels a job where the only worker that held an entry is gone."""
# Each new worker finds the repository where it lies here, if it lies there too.
_FOLDER = repr(str(IMPORT_FOLDER))
_FIND_REPOSITORY = f"import os, sys; os.path.isdir({_FOLDER}) and sys.path.append({_FOLDER})"
# Without a module, so that it is sent by value: the scheduler unpickles what it is given, and need
# not know this repository.
_START = """
def start(call, keys, *entries):
    import pickle
    from distillation_bench.bench.execution.executors.dask import run_here
    return run_here(pickle.loads(call), dict(zip(keys, entries)))
"""
_SPACE: dict[str, Any] = {"__name__": "__main__"}
exec(_START, _SPACE)


class DaskCluster(Cluster):
    """Dask's scheduler and workers."""

    how_to_offer_gpus = "start Dask workers with --resources GPU=1"

    def _connect(self, address: str, jobs: int) -> None:
        logging.getLogger("distributed").setLevel(logging.ERROR)
        # A scheduler that is gone is told in one line of ours.
        logging.getLogger("distributed.client").setLevel(logging.CRITICAL)
        self._promises: set[Promise[Any]] = set()
        self._cluster = None if address else _own_cluster(jobs, self._device)
        self._client = _client(self._cluster.scheduler_address if self._cluster else address)
        self._client.register_worker_callbacks(functools.partial(exec, _FIND_REPOSITORY))
        if self._client.scheduler_info(n_workers=0).get("services", {}).get("dashboard"):
            self.dashboard = self._client.dashboard_link

    def _start(self, call: bytes, entries: Mapping[str, Any]) -> Future[JobAnswer]:
        promise = self._client.submit(
            _SPACE["start"],
            call,
            list(entries),
            *entries.values(),
            key=f"bench-{uuid.uuid4().hex}",
            pure=False,
            resources={GPU: 1} if self._device == "cuda" else None,
        )
        self._promises.add(promise)
        started: Future[JobAnswer] = Future()
        promise.add_done_callback(functools.partial(self._pass_on, started))
        return started

    def _pass_on(self, started: Future[JobAnswer], promise: Promise[Any]) -> None:
        self._promises.discard(promise)
        try:
            started.set_result(promise.result())
        except FutureCancelledError as error:
            if error.reason in LOST:
                started.set_exception(error)
            else:
                gone = f"the Dask scheduler is gone ({error.reason}); what was finished is kept"
                started.set_exception(UsageError(f"{gone}, the same command goes on"))
        except ModuleNotFoundError as error:
            started.set_exception(UsageError(f"a worker that came later: {error}"))
        except BaseException as error:
            started.set_exception(error)

    def _send(self, entry: CacheEntry) -> Promise[Any]:
        promises: list[Promise[Any]] = self._client.scatter([entry], direct=False, hash=False)
        return promises[0]

    def _is_held(self, entry: Promise[Any]) -> bool:
        return bool(entry.status == "finished")

    def _on_each(self, function: Callable[..., Any], *arguments: Any) -> Mapping[str, Any]:
        answers = self._client.run(function, *arguments, on_error="return")
        # A worker whose connection is closed comes back by itself, or does not.
        return {name: each for name, each in answers.items() if not isinstance(each, OSError)}

    def _room(self) -> tuple[int, int]:
        workers = self._client.scheduler_info(n_workers=-1)["workers"].values()
        threads = sum(worker["nthreads"] for worker in workers)
        return threads, int(sum(worker["resources"].get(GPU, 0) for worker in workers))

    def stop(self) -> None:
        with contextlib.suppress(Exception):
            # Workers look whether their job is still wanted, and kill it if not.
            self._client.cancel(list(self._promises), force=True)
            self._client.close(timeout=5)
        if self._cluster is not None:
            with contextlib.suppress(Exception):
                self._cluster.close(timeout=5)


def run_here(call: Callable[..., JobAnswer], entries: Mapping[str, CacheEntry]) -> JobAnswer:
    """Run a job beside this Dask worker for as long as the scheduler knows of it."""
    worker = get_worker()
    key = worker.get_current_task()

    def wanted() -> bool:
        state = worker.state.tasks.get(key)
        return state is not None and state.state not in ("cancelled", "forgotten", "released")

    return call(entries, Path(worker.local_directory) / "bench", wanted)


def _client(address: str) -> Client:
    if not re.fullmatch(r"inproc://.+|[a-z]+://.+:\d+", address):
        raise UsageError(f"--scheduler {address}: not an address like tcp://HOST:8786")
    try:
        return Client(address, timeout=10, set_as_default=False)
    except (OSError, ValueError, TypeError) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise UsageError(f"--scheduler {address}: no Dask scheduler answers ({reason})") from None


def _own_cluster(jobs: int, device: str) -> LocalCluster:
    # A job's own process is what dies of its faults: a Dask worker that dies is charged at once.
    dask.config.set({"distributed.scheduler.allowed-failures": 0})
    # Its threads only wait for those processes, so that one worker, in this process, will do.
    return LocalCluster(
        n_workers=1,
        threads_per_worker=jobs,
        processes=False,
        resources={GPU: jobs} if device == "cuda" else None,
        dashboard_address=":0",
    )
