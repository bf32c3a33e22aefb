"""Where jobs run: in processes of this machine, or on a cluster. All share one interface.

base            the interface, and the exceptions that jobs fail with
local           processes of this machine, forked from a server; some are used again
forked_process  the driver's side of that server; `start_server` starts it early
fork_server     the server's side
worker_process  the side of the processes that it forks
preloaded       what the server imports beforehand
cluster         what all clusters have in common
dask, ray       one kind of cluster each
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

from distillation_bench.bench.common.errors import UsageError
from distillation_bench.bench.execution.executors.base import (
    DEFAULT_OPTIONS,
    Executor,
    JobFailed,
    JobOptions,
    TimedOut,
    WorkerDied,
    WorkerLost,
    describe_failure,
)
from distillation_bench.bench.execution.executors.local import LocalExecutor

if TYPE_CHECKING:
    from distillation_bench.bench.execution.executors.cluster import Cluster

CLUSTERS = {"dask": "DaskCluster", "ray": "RayCluster"}
"""The class of each kind of cluster, in the module of its name."""
EXECUTORS = ("local", *CLUSTERS)


def cluster_named(name: str) -> type[Cluster]:
    """Return the class of a kind of cluster, whose library is imported only now.

    Raises:
        UsageError: the library is not installed.
    """
    try:
        module = importlib.import_module(f"distillation_bench.bench.execution.executors.{name}")
    except ModuleNotFoundError as error:
        raise UsageError(f"--executor {name}: pip install {error.name}") from None
    cluster: type[Cluster] = getattr(module, CLUSTERS[name])
    return cluster


__all__ = [
    "DEFAULT_OPTIONS",
    "EXECUTORS",
    "Executor",
    "JobFailed",
    "JobOptions",
    "LocalExecutor",
    "TimedOut",
    "WorkerDied",
    "WorkerLost",
    "cluster_named",
    "describe_failure",
    "forked_process",
]
