"""Where jobs run, in processes of this machine or on a cluster. One interface."""

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
EXECUTORS = ("local", *CLUSTERS)


def cluster_named(name: str) -> type[Cluster]:
    """A kind of cluster, whose library is loaded only now.

    Raises:
        UsageError: the library is not installed.
    """
    try:
        module = importlib.import_module(f"distillation_bench.bench.execution.executors.{name}")
    except ModuleNotFoundError as error:
        raise UsageError(f"--executor {name}: pip install {error.name}") from None
    kind: type[Cluster] = getattr(module, CLUSTERS[name])
    return kind


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
]
