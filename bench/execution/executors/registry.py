"""The executors that the command line names."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

from distillation_bench.bench.common.errors import UsageError

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
        module = importlib.import_module(f"{__package__}.{name}")
    except ModuleNotFoundError as error:
        raise UsageError(f"--executor {name}: pip install {error.name}") from None
    cluster: type[Cluster] = getattr(module, CLUSTERS[name])
    return cluster
