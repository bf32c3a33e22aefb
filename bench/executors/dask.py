"""Tasks on a Dask cluster, each in a process of its own beside the Dask worker that was given it.

Where the cache's folder is seen by all workers, it is shared; else cache entries travel with the
tasks. What Dask sends is pickled, as is its way: give it a cluster that you trust.
"""

from __future__ import annotations

import contextlib
import functools
import logging
import multiprocessing
import pickle
import re
import sys
import time
import uuid
from collections.abc import Callable, Mapping
from concurrent.futures import Future, wait
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import dask
from distributed import Client, LocalCluster, get_worker
from distributed import Future as Promise

from bench.cache import Cache
from bench.errors import UsageError
from bench.executors.engine import PLAIN, Engine, Parcel, TaskFailed, TimedOut, WorkerDied
from bench.executors.processes import ProcessPerTask
from bench.fingerprint import code_digest, versions
from bench.places import ROOT
from bench.workplace import Workplace

Entry = tuple[bytes, bytes]
"""A cache entry's two files."""
GPU = "GPU"
LOOK = 1.0
"""Seconds between two looks whether a task is still wanted, or at how many workers there are."""
CODE = ("bench/**/*.py", "methods/**/*.py", "datasets/**/*.py")
# Each new worker finds the repository where it lies here, if it lies there too.
_FIND_REPOSITORY = (
    f"import os, sys; os.path.isdir({str(ROOT)!r}) and sys.path.append({str(ROOT)!r})"
)


# Without a module, so that it is sent by value: the scheduler unpickles what it is given, and need
# not know this repository.
_SPACE: dict[str, Any] = {"__name__": "__main__"}
exec("def start(call, entries):\n    import pickle\n    return pickle.loads(call)(entries)", _SPACE)
_START: Callable[..., Any] = _SPACE["start"]


class DaskCluster(Engine):
    """A cluster that is running, or one of this machine's own.

    Args:
        address: of the cluster's scheduler; empty: start one here.
        jobs: workers of a cluster of one's own; of another, the most tasks at a time, 0 for as
            many as it has threads.
        workplace: the cache's folder and the plugins, as this machine knows them.
        timeout: seconds that a task may take; none: for ever.
        device: of each worker, "cpu" or "cuda".

    Raises:
        UsageError: there is no scheduler, or workers lack the repository or have other code.
    """

    def __init__(
        self,
        address: str,
        jobs: int,
        workplace: Workplace,
        timeout: float | None = None,
        device: str = "cpu",
    ) -> None:
        logging.getLogger("distributed").setLevel(logging.ERROR)
        self._cluster = None if address else _own_cluster(jobs, device)
        self._jobs = jobs
        self._timeout = timeout
        self._device = device
        self._client = _connect(self._cluster.scheduler_address if self._cluster else address)
        self._seen = 0.0
        self._slots = 0
        self._entries: dict[str, Promise[Any]] = {}
        self._promises: set[Promise[Any]] = set()
        self._cache = Cache(Path(workplace.cache))
        self._sources = {path: Path(path).read_bytes() for path, _ in workplace.plugins}
        try:
            self._client.register_worker_callbacks(functools.partial(exec, _FIND_REPOSITORY))
            self._check_workers()
            self._shared = self._is_shared()
        except BaseException:
            self.stop()
            raise

    @property
    def dashboard(self) -> str:
        """Its address; empty where the scheduler has none."""
        port = self._client.scheduler_info(n_workers=0).get("services", {}).get("dashboard")
        return self._client.dashboard_link if port else ""

    def submit(
        self, function: Callable[..., Any], *arguments: Any, parcel: Parcel = PLAIN
    ) -> Future[Any]:
        answer: Future[Any] = Future()
        entries = {} if self._shared else {key: self._sent(key) for key in parcel.reads}
        call = _Call(
            function,
            arguments,
            self._device,
            self._timeout if parcel.timed else None,
            () if self._shared else parcel.writes,
            self._shared,
            self._sources,
        )
        promise = self._client.submit(
            _START,
            pickle.dumps(call),
            list(entries.items()),
            key=f"bench-{uuid.uuid4().hex}",
            pure=False,
            resources={GPU: 1} if self._device == "cuda" else None,
        )
        self._promises.add(promise)
        promise.add_done_callback(functools.partial(self._settle, answer))
        return answer

    def slots(self) -> int:
        if time.monotonic() - self._seen > LOOK:
            self._slots = self._count()
            self._seen = time.monotonic()
        return min(self._slots, self._jobs) if self._jobs else self._slots

    def stop(self) -> None:
        with contextlib.suppress(Exception):
            # Workers look whether their task is still wanted, and kill it if not.
            self._client.cancel(list(self._promises), force=True)
            self._client.close(timeout=5)
        if self._cluster is not None:
            with contextlib.suppress(Exception):
                self._cluster.close(timeout=5)

    def _count(self) -> int:
        workers = self._client.scheduler_info(n_workers=-1)["workers"].values()
        if self._device != "cuda":
            return sum(worker["nthreads"] for worker in workers)
        gpus = int(sum(worker["resources"].get(GPU, 0) for worker in workers))
        if workers and not gpus:
            raise UsageError(
                "--device cuda: no Dask worker has a GPU; start them with --resources GPU=1"
            )
        return gpus

    def _check_workers(self) -> None:
        """Each can import the repository, and has this one's code."""
        if not self._count():
            print("no worker yet; waiting for one", file=sys.stderr)
            self._client.wait_for_workers(1)
        for worker, answer in self._on_each(exec, "import bench.executors.dask").items():
            if isinstance(answer, BaseException):
                raise UsageError(
                    f"worker {worker}: this repository can't be imported there ({answer}); "
                    "start workers in its environment, with its folder in PYTHONPATH"
                )
        here = identity()
        for worker, there in self._on_each(identity).items():
            for what, value in here.items():
                if isinstance(there, BaseException) or there[what] != value:
                    found = there if isinstance(there, BaseException) else there[what]
                    raise UsageError(f"worker {worker}: {what} is {found}, here it is {value}")

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
        return all(seen.values())

    def _on_each(self, function: Callable[..., Any], *arguments: Any) -> Mapping[str, Any]:
        return dict(self._client.run(function, *arguments, on_error="return"))

    def _sent(self, key: str) -> Promise[Any]:
        """A cache entry, sent to the cluster once."""
        if key not in self._entries:
            self._entries[key] = self._client.scatter(
                [self._cache.read(key)], direct=False, hash=False
            )[0]
        return self._entries[key]

    def _settle(self, answer: Future[Any], promise: Promise[Any]) -> None:
        self._promises.discard(promise)
        try:
            kind, value, entries = promise.result()
            for key, entry in entries.items():
                self._cache.write(key, *entry)
        except OSError as error:
            answer.set_exception(TaskFailed(str(error), "", error.errno))
            return
        except BaseException as error:
            # Dask lost its worker, or the task with it.
            reason = " ".join(f"{type(error).__name__}: {error}".split())
            answer.set_exception(WorkerDied(f"Dask lost it ({reason})"))
            return
        if kind is None:
            answer.set_result(value)
        else:
            answer.set_exception(kind(*value))


@dataclass(frozen=True)
class _Call:
    """A task on its way to a worker."""

    function: Callable[..., Any]
    arguments: tuple[Any, ...]
    device: str
    timeout: float | None
    writes: tuple[str, ...]
    shared: bool
    sources: Mapping[str, bytes]

    def __call__(
        self, entries: list[tuple[str, Entry]]
    ) -> tuple[type[Exception] | None, Any, dict[str, Entry]]:
        """The kind of failure and its arguments, or None and the value; and what was made."""
        place = Path(get_worker().local_directory) / "bench"
        arguments, cache = self._here(place)
        for key, entry in entries:
            if not cache.has(key):
                cache.write(key, *entry)
        try:
            value = self._run(arguments)
            return None, value, {key: cache.read(key) for key in self.writes}
        except TaskFailed as error:
            return TaskFailed, (error.reason, error.details, error.number), {}
        except (TimedOut, WorkerDied) as error:
            return type(error), (str(error),), {}

    def _here(self, place: Path) -> tuple[tuple[Any, ...], Cache]:
        """The arguments with the workplace's folders as they are on this machine."""
        cache = Cache(place / "cache")
        arguments = []
        for each in self.arguments:
            if isinstance(each, Workplace):
                plugins = tuple(
                    (self._plugin(place, *plugin), plugin[1]) for plugin in each.plugins
                )
                folder = each.cache if self.shared else str(cache.folder)
                cache = Cache(Path(folder))
                each = replace(each, cache=folder, plugins=plugins)
            arguments.append(each)
        return tuple(arguments), cache

    def _plugin(self, place: Path, path: str, digest: str) -> str:
        """A plugin's file on this machine, with the content that it had where it was planned."""
        here = place / "plugins" / digest[:16] / Path(path).name
        if not here.exists():
            here.parent.mkdir(parents=True, exist_ok=True)
            part = here.with_suffix(f".{uuid.uuid4().hex}.part")
            part.write_bytes(self.sources[path])
            part.replace(here)
        return str(here)

    def _run(self, arguments: tuple[Any, ...]) -> Any:
        worker = get_worker()
        # A nanny's worker is a daemon, which multiprocessing lets have no children; ours end by
        # themselves when it does.
        multiprocessing.current_process()._config["daemon"] = False  # type: ignore[attr-defined]
        key = worker.get_current_task()
        executor = ProcessPerTask(1, self.timeout, (self.device,))
        try:
            future = executor.submit(self.function, *arguments)
            while not wait([future], LOOK).done:
                state = worker.state.tasks.get(key)
                if state is None or state.state in ("cancelled", "forgotten", "released"):
                    raise WorkerDied("no longer wanted")
            return future.result()
        finally:
            executor.stop()


def identity() -> dict[str, str]:
    """What must be equal on all machines for a run's figures to be of one kind."""
    python = ".".join(map(str, sys.version_info[:2]))
    return {"code": code_digest(*CODE)[:12], "python": python, **versions("torch", "numpy")}


def _connect(address: str) -> Client:
    if not re.fullmatch(r"inproc://.+|[a-z]+://.+:\d+", address):
        raise UsageError(f"--scheduler {address}: not an address like tcp://HOST:8786")
    try:
        return Client(address, timeout=10, set_as_default=False)
    except (OSError, ValueError, TypeError) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise UsageError(f"--scheduler {address}: no Dask scheduler answers ({reason})") from None


def _own_cluster(jobs: int, device: str) -> LocalCluster:
    # A task's own process is what dies of its faults: a Dask worker that dies is charged at once.
    dask.config.set({"distributed.scheduler.allowed-failures": 0})
    # Its threads only wait for those processes, so that one worker, in this process, will do.
    return LocalCluster(
        n_workers=1,
        threads_per_worker=jobs,
        processes=False,
        resources={GPU: jobs} if device == "cuda" else None,
        dashboard_address=None,
    )
