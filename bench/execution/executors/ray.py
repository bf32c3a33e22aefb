"""Ray clusters (`pip install ray`)."""

from __future__ import annotations

import contextlib
import logging
import os
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
from distillation_bench.bench.execution.executors.cluster import Cluster
from distillation_bench.bench.execution.executors.remote_job import (
    CacheEntry,
    JobAnswer,
    identity,
    run_job,
)

# Its type hints do not cover options that are known only at run time.
_REMOTE: Any = ray.remote


class RayCluster(Cluster):
    """A Ray cluster. Each node runs as many jobs at a time as it has CPUs, or GPUs."""

    how_to_offer_gpus = "start Ray's nodes with --num-gpus"

    def _connect(self, address: str, jobs: int) -> None:
        os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
        # "local": without an address Ray would use a cluster that was left running here.
        new_cluster = {"address": "local", "num_cpus": jobs}
        options: dict[str, Any] = {"address": address} if address else new_cluster
        # Each node finds the repository in the same folder as this machine, if it is there.
        options["runtime_env"] = {"env_vars": {"PYTHONPATH": str(IMPORT_FOLDER)}}
        host, _, port = address.rpartition(":")
        try:
            if address:
                # Ray itself would try to connect for minutes.
                socket.create_connection((host, int(port)), timeout=10).close()
            context = ray.init(**options, log_to_driver=False, logging_level=logging.ERROR)
        except (OSError, ValueError, RuntimeError) as error:
            reason = str(error).splitlines()[0]
            raise UsageError(f"--scheduler {address}: no Ray cluster answers ({reason})") from None
        if context.dashboard_url:
            self.dashboard = f"http://{context.dashboard_url}"
        # In each node's temporary folder; a name that no other run or user can have.
        self._folder = f"bench-ray-{uuid.uuid4().hex}"
        resource = {"num_gpus": 1} if self._device == "cuda" else {"num_cpus": 1}
        self._remote = _REMOTE(max_retries=0, **resource)(_run_on_node)

    def _start(self, job: bytes, entries: Mapping[str, Any]) -> Future[JobAnswer]:
        started = self._remote.remote(
            identity(), job, self._folder, list(entries), *entries.values()
        )
        return cast(Future[JobAnswer], started.future())

    def _send(self, entry: CacheEntry) -> Any:
        return ray.put(entry)

    def _call_on_each(self, function: Callable[..., Any], *arguments: Any) -> Mapping[str, Any]:
        remote = _REMOTE(num_cpus=0, max_retries=0)(_attempt)
        nodes = [node for node in ray.nodes() if node["Alive"] and node["Resources"].get("CPU")]
        strategies = [NodeAffinitySchedulingStrategy(node["NodeID"], soft=False) for node in nodes]
        calls = [remote.options(scheduling_strategy=strategy) for strategy in strategies]
        answers = ray.get([call.remote(function, *arguments) for call in calls])
        return dict(zip((node["NodeManagerAddress"] for node in nodes), answers, strict=True))

    def _capacity(self) -> tuple[int, int]:
        resources = ray.cluster_resources()
        return int(resources.get("CPU", 0)), int(resources.get("GPU", 0))

    def stop(self) -> None:
        """Remove the folders on the nodes, and leave or end the cluster."""
        with contextlib.suppress(Exception):
            self._call_on_each(_remove_folder, self._folder)
        with contextlib.suppress(Exception):
            ray.shutdown()


def _run_on_node(
    driver: Mapping[str, str],
    job: bytes,
    folder_name: str,
    keys: list[str],
    *entries: CacheEntry,
) -> JobAnswer:
    folder = Path(tempfile.gettempdir()) / folder_name
    folder.mkdir(mode=0o700, exist_ok=True)
    entries_by_key = dict(zip(keys, entries, strict=True))
    # Ray ends what it runs when the driver ends, so the job is always wanted.
    return run_job(driver, job, entries_by_key, folder, lambda: True)


def _remove_folder(name: str) -> None:
    shutil.rmtree(Path(tempfile.gettempdir()) / name, ignore_errors=True)


def _attempt(function: Callable[..., Any], *arguments: Any) -> Any:
    """Call a function; return its value or its exception."""
    try:
        return function(*arguments)
    except Exception as error:
        return error
