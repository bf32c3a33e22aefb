"""What a job needs on the machine that it runs on: the cache, the datasets' files, the plugins."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from distillation_bench.bench.planning.plugins.installed_plugins import load_installed
from distillation_bench.bench.planning.plugins.loading import load_planned
from distillation_bench.bench.planning.plugins.plugin_files import Plugin
from distillation_bench.bench.storage.cache import Cache


@dataclass(frozen=True)
class Workplace:
    """Folders and plugins of one machine.

    Attributes:
        cache: the folder of the cache.
        plugins: the plugins that the cells were planned with.
        data_root: the folder with the datasets' files.
        checkpoint: the least number of seconds between two checkpoints of a training.
    """

    cache: str
    plugins: tuple[Plugin, ...] = ()
    data_root: str = ""
    checkpoint: float = 120.0

    def open(self) -> Cache:
        """Load the plugins and return the cache.

        Raises:
            UsageError: a plugin cannot be imported on this machine.
            ChangedPlugin: a plugin has changed since the cells were planned.
        """
        load_installed()
        load_planned(self.plugins)
        return Cache(Path(self.cache))
