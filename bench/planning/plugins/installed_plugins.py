"""Plugins of installed packages, found by their entry points."""

from __future__ import annotations

import functools
import sys
from importlib.metadata import entry_points
from pathlib import Path

from distillation_bench.bench.common.errors import UsageError
from distillation_bench.bench.common.hashing import digest, python_files
from distillation_bench.bench.planning.plugins.old_names import find_libraries
from distillation_bench.bench.planning.plugins.plugin_files import content_digest
from distillation_bench.bench.planning.plugins.safe_import import import_errors_in_one_line
from distillation_bench.bench.planning.plugins.source_files import import_closure, is_own

GROUP = "distillation_bench"
"""The group of entry points that name plugins."""
_imported: set[str] = set()
"""The names of the entry points that this process has imported, or tried to."""


def load_installed() -> None:
    """Import the plugins of installed packages.

    Raises:
        UsageError: one cannot be imported.
    """
    if reason := import_installed():
        raise UsageError(reason)


@functools.cache
def import_installed() -> str:
    """Import the plugins of installed packages; return what is wrong with one, or nothing."""
    find_libraries()
    for entry in entry_points(group=GROUP):
        _imported.add(entry.name)
        try:
            with import_errors_in_one_line(f"plugin {entry.name} ({entry.value})"):
                entry.load()
        except UsageError as error:
            return str(error)
    return ""


def any_imported() -> bool:
    """Return whether this process has imported an installed plugin, or tried to."""
    return bool(_imported)


@functools.cache
def installed_digest(module: str, path: Path) -> str:
    """Return a hash of an installed module: its package's version and files, and their imports."""
    package = module.partition(".")[0]

    def is_included(name: str, path: Path) -> bool:
        return name.partition(".")[0] == package or is_own(name, path)

    files = set(import_closure({module: path}, is_included).values())
    for folder in getattr(sys.modules.get(package), "__path__", None) or ():
        files.update(python_files(Path(folder)))
    return digest([sorted(content_digest(file) for file in files), _versions(package)])


def _versions(package: str) -> list[str]:
    """Return the names and versions of the distributions whose plugins are in a package."""
    entries = [
        entry
        for entry in entry_points(group=GROUP)
        if entry.module.partition(".")[0] == package and entry.dist
    ]
    return sorted({f"{entry.dist.name} {entry.dist.version}" for entry in entries if entry.dist})
