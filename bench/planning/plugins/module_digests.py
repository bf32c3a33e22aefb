"""The digest of the code that a module's classes and functions are made of."""

from __future__ import annotations

import sys
from pathlib import Path

from distillation_bench.bench.common.errors import UsageError
from distillation_bench.bench.common.hashing import digest, file_digest
from distillation_bench.bench.planning.plugins.installed_plugins import installed_digest
from distillation_bench.bench.planning.plugins.loading import loaded_plugins
from distillation_bench.bench.planning.plugins.plugin_files import Plugin
from distillation_bench.bench.planning.plugins.source_files import is_of_suite


def module_digest(module: str) -> str:
    """Return a hash of a module's code: that of its file, or of all files of its plugin.

    Raises:
        UsageError: the module has no file.
    """
    path = _file_of_loaded(module)
    if path is None:
        raise UsageError(f"{module}: it has no source file; give it with --plugin FILE.py")
    if is_of_suite(module):
        return file_digest(path)
    if plugins := _plugins_with(path):
        return digest(sorted(plugin.digest for plugin in plugins))
    return installed_digest(module, path)


def plugin_files_of(module: str) -> set[str]:
    """Return the files of the plugins that a module belongs to."""
    path = _file_of_loaded(module)
    plugins = _plugins_with(path) if path else []
    return {file.path for plugin in plugins for file in plugin.files}


def _file_of_loaded(module: str) -> Path | None:
    file = getattr(sys.modules.get(module), "__file__", None)
    return None if file is None else Path(file).resolve()


def _plugins_with(path: Path) -> list[Plugin]:
    """Return the plugins that a file belongs to."""
    text = str(path)
    return [p for p in loaded_plugins() if any(text == file.path for file in p.files)]
