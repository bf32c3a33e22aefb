"""Which file has registered a method, a dataset, networks, a metric or a figure.

A program in Python can have several runs, each with plugins of its own, and can register classes
itself. A run knows what the command line would know: this suite, installed plugins and its own.
"""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable, Collection, Iterator, Mapping
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any, NamedTuple

from distillation_bench.bench.common.errors import UsageError
from distillation_bench.bench.common.registries import REGISTRIES
from distillation_bench.bench.metrics.registry import METRICS
from distillation_bench.bench.planning.configuration.config import Config
from distillation_bench.bench.planning.plugins.installed_plugins import GROUP
from distillation_bench.bench.planning.plugins.plugin_files import Plugin
from distillation_bench.bench.planning.plugins.source_files import is_installed, is_of_suite
from distillation_bench.datasets import DATASETS
from distillation_bench.methods import METHODS
from distillation_bench.methods.networks.families import FAMILIES


class Registration(NamedTuple):
    """An entry of a registry, and the module that it was defined in."""

    kind: str
    name: str
    module: str
    registry: dict[str, Any]

    @property
    def file(self) -> str:
        """The module's file; empty if it has none, as in a notebook."""
        file = getattr(sys.modules.get(self.module), "__file__", None)
        return str(Path(file).resolve()) if file else ""


def foreign_registrations() -> Iterator[Registration]:
    """Yield what is registered and not of this suite."""
    kinds: dict[str, tuple[dict[str, Any], Callable[[Any], str]]] = {
        "method": (METHODS, lambda method: str(method.__module__)),
        "dataset": (DATASETS, lambda dataset: str(dataset.__module__)),
        "network": (FAMILIES, lambda family: str(family.module)),
        "metric": (METRICS, lambda metric: str(metric.function.__module__)),
        **REGISTRIES,
    }
    for kind, (registry, module_of) in kinds.items():
        for name, entry in list(registry.items()):
            if not is_of_suite(module := module_of(entry)):
                yield Registration(kind, name, module, registry)


def unregister(files: Collection[str]) -> None:
    """Remove what modules of these files have registered."""
    for entry in foreign_registrations():
        if entry.file in files:
            del entry.registry[entry.name]


@contextlib.contextmanager
def names_given_up() -> Iterator[set[str]]:
    """Give up the names that the program itself has registered, for plugins to take.

    Yields a set of files; at the end of the block, the program gets back what no plugin has taken
    and what does not come from one of these files.
    """
    own = [(entry, entry.registry.pop(entry.name)) for entry in _of_program()]
    files: set[str] = set()
    try:
        yield files
    finally:
        for entry, value in own:
            if entry.file not in files:
                entry.registry.setdefault(entry.name, value)


def _of_program() -> list[Registration]:
    """Return what the program itself has registered, and no installed package."""
    packages = {entry.module.partition(".")[0] for entry in entry_points(group=GROUP)}
    return [
        entry
        for entry in foreign_registrations()
        if entry.module.partition(".")[0] not in packages
        and not (entry.file and is_installed(Path(entry.file)))
    ]


def require_reachable(config: Config, plugins: Collection[Plugin]) -> None:
    """Check that workers, which load plugins alone, have what the configuration names.

    Raises:
        UsageError: something was registered by the program itself.
    """
    # All metrics are measured in each cell.
    wanted = {("metric", name) for name in METRICS}
    wanted |= {("method", variant.method) for variant in config.variants}
    wanted |= {("dataset", name) for name in config.datasets}
    wanted |= {("network", family) for family in _families(config)}
    files = {file.path for plugin in plugins for file in plugin.own_files}
    for entry in _of_program():
        if (entry.kind, entry.name) in wanted and entry.file not in files:
            in_program = entry.module == "__main__"
            place = "the program itself" if in_program else entry.module
            file = "FILE.py" if in_program or not entry.file else entry.file
            raise UsageError(
                f"{entry.kind} {entry.name!r} is defined in {place}, which workers do not load; "
                f"have it in a file, and give that with --plugin {file}"
            )


def _families(config: Config) -> Iterator[str]:
    """Yield the families of networks that a configuration or its datasets name."""
    recipes = (config.recipe, *config.recipes.values())
    networks = [recipe.get("network") for recipe in recipes]
    networks += [DATASETS[name].network for name in config.datasets if name in DATASETS]
    for network in networks:
        if isinstance(network, Mapping):
            yield str(network.get("family"))
