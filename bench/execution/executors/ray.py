"""Jobs on a Ray cluster (`pip install ray`)."""

from __future__ import annotations

import contextlib
import logging
import os
import pickle
import shutil
import socket
import tempfile
import uuid
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from pathlib import Path
from typing import Any, cast

import ray
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from distillation_bench.bench.common.errors import UsageError
from distillation_bench.bench.common.paths import IMPORT_FOLDER
from distillation_bench.bench.execution.executors.cluster import CacheEntry, Cluster, JobAnswer

# Its types know no options that are made at run time.
_REMOTE: Any = ray.remote


class RayCluster(Cluster):
    """Ray's nodes; on each, so many jobs at a time as it has CPUs, or GPUs."""

    how_to_offer_gpus = "start Ray's nodes with --num-gpus"

    def _connect(self, address: str, jobs: int) -> None:
        os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
        # "local": without an address Ray would take a cluster that someone left running here.
        own = {"address": "local", "num_cpus": jobs}
        options: dict[str, Any] = {"address": address} if address else own
        # Each node finds the repository where it lies here, if it lies there too.
        options["runtime_env"] = {"env_vars": {"PYTHONPATH": str(IMPORT_FOLDER)}}
        host, _, port = address.rpartition(":")
        try:
            if address:
                # Ray itself would try for minutes.
                socket.create_connection((host, int(port)), timeout=10).close()
            context = ray.init(**options, log_to_driver=False, logging_level=logging.ERROR)
        except (OSError, ValueError, RuntimeError) as error:
            reason = str(error).splitlines()[0]
            raise UsageError(f"--scheduler {address}: no Ray cluster answers ({reason})") from None
        if context.dashboard_url:
            self.dashboard = f"http://{context.dashboard_url}"
        # Of each node's temporary folder: no other run's, no name that someone could have taken.
        self._place = f"bench-ray-{uuid.uuid4().hex}"
        one = {"num_gpus": 1} if self._device == "cuda" else {"num_cpus": 1}
        self._remote = _REMOTE(max_retries=0, **one)(_run_here)

    def _start(self, call: bytes, entries: Mapping[str, Any]) -> Future[JobAnswer]:
        started = self._remote.remote(call, self._place, list(entries), *entries.values())
        return cast(Future[JobAnswer], started.future())

    def _send(self, entry: CacheEntry) -> Any:
        return ray.put(entry)

    def _on_each(self, function: Callable[..., Any], *arguments: Any) -> Mapping[str, Any]:
        remote = _REMOTE(num_cpus=0, max_retries=0)(_attempt)
        nodes = [node for node in ray.nodes() if node["Alive"] and node["Resources"].get("CPU")]
        places = [NodeAffinitySchedulingStrategy(node["NodeID"], soft=False) for node in nodes]
        calls = [remote.options(scheduling_strategy=place) for place in places]
        answers = ray.get([call.remote(function, *arguments) for call in calls])
        return dict(zip((node["NodeManagerAddress"] for node in nodes), answers, strict=True))

    def _room(self) -> tuple[int, int]:
        resources = ray.cluster_resources()
        return int(resources.get("CPU", 0)), int(resources.get("GPU", 0))

    def stop(self) -> None:
        with contextlib.suppress(Exception):
            self._on_each(_forget, self._place)
        with contextlib.suppress(Exception):
            ray.shutdown()


def _run_here(call: bytes, name: str, keys: list[str], *entries: CacheEntry) -> JobAnswer:
    place = Path(tempfile.gettempdir()) / name
    place.mkdir(mode=0o700, exist_ok=True)
    run: Callable[..., JobAnswer] = pickle.loads(call)
    # Ray ends what it runs when the driver does.
    return run(dict(zip(keys, entries, strict=True)), place, lambda: True)


def _forget(name: str) -> None:
    shutil.rmtree(Path(tempfile.gettempdir()) / name, ignore_errors=True)


def _attempt(function: Callable[..., Any], *arguments: Any) -> Any:
    try:
        return function(*arguments)
    except Exception as error:
        return error
