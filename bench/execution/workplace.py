"""What a job finds wherever it runs: the cache, the datasets' files and the plugins."""

from __future__ import annotations

import importlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from distillation_bench.bench.planning.plugins.loading import Plugin, load_installed, load_planned
from distillation_bench.bench.storage.cache import Cache


@dataclass(frozen=True)
class Workplace:
    """The folders of the cache and of the datasets' files, and the plugins.

    `checkpoint` is the least number of seconds between two checkpoints of a training.
    """

    cache: str
    plugins: tuple[Plugin, ...] = ()
    data_root: str = ""
    checkpoint: float = 120.0

    def open(self) -> Cache:
        """The cache, with the plugins loaded.

        Raises:
            UsageError: one can't be imported here, though it could where the cells were planned.
            ChangedPlugin: one has changed since.
        """
        load_installed()
        load_planned(self.plugins)
        return Cache(Path(self.cache))


def in_worker(function: str, *arguments: Any) -> Any:
    """Call a function of the worker's module, which is imported here and not by the planner."""
    return getattr(importlib.import_module("distillation_bench.bench.execution.worker"), function)(
        *arguments
    )
