"""What a task finds wherever it runs: the cache and the plugins."""

from __future__ import annotations

import importlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.cache import Cache
from bench.plugins import load_plugins

WORKER = "bench.worker"


@dataclass(frozen=True)
class Workplace:
    """The cache's folder and the plugins' files."""

    cache: str
    plugins: tuple[str, ...] = ()

    def open(self) -> Cache:
        """The cache, with the plugins loaded."""
        load_plugins(self.plugins)
        return Cache(Path(self.cache))


def in_worker(function: str, *arguments: Any) -> Any:
    """Call a function of the worker's module, which is imported here and not by the planner."""
    return getattr(importlib.import_module(WORKER), function)(*arguments)
