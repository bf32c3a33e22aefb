"""Imports plugins: at the start, when cells are planned, and as they were then in workers."""

from __future__ import annotations

import importlib.machinery
import importlib.util
import sys
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from distillation_bench.bench.common.errors import UsageError
from distillation_bench.bench.common.hashing import file_digest
from distillation_bench.bench.planning.plugins import installed_plugins
from distillation_bench.bench.planning.plugins.integrity import refuse_changes
from distillation_bench.bench.planning.plugins.old_names import find_libraries
from distillation_bench.bench.planning.plugins.plugin_files import (
    LONE_PREFIX,
    Plugin,
    PluginFile,
    content_digest,
    find_plugin,
    plugin_path,
)
from distillation_bench.bench.planning.plugins.registrations import names_given_up, unregister
from distillation_bench.bench.planning.plugins.safe_import import import_errors_in_one_line
from distillation_bench.bench.planning.plugins.source_files import is_of_suite, is_own

_loaded: dict[Plugin, Plugin] = {}
"""The plugins loaded into this process, by the plugin as it was found and as it was loaded: some
imports show only when the code runs."""
_module_files: dict[str, str] = {}
"""The files of plugins' modules, by name."""


class ChangedPlugin(Exception):
    """A file of a plugin is no longer what it was when the cells were planned."""


def load_all(plugins: Iterable[str]) -> tuple[Plugin, ...]:
    """Load the installed plugins and those that are given; others are forgotten.

    Args:
        plugins: names of files, folders or packages.

    Raises:
        UsageError: there is no such plugin, or it cannot be imported.
    """
    paths = [plugin_path(plugin) for plugin in plugins]
    _forget_all()
    installed_plugins.load_installed()
    with names_given_up() as files:
        loaded = load_plugins(paths)
        files.update(file.path for plugin in loaded for file in plugin.own_files)
    return loaded


def load_plugins(paths: Iterable[str]) -> tuple[Plugin, ...]:
    """Import plugins, each once, and return them with all their files.

    Raises:
        UsageError: one cannot be imported; with its line and reason.
    """
    return tuple(_load(find_plugin(Path(path))) for path in paths)


def load_planned(plugins: Iterable[Plugin]) -> None:
    """Import plugins that were loaded when the cells were planned.

    Raises:
        ChangedPlugin: a file has changed since, so that values would be attributed to other code.
        UsageError: one cannot be imported here.
    """
    for plugin in plugins:
        for file in plugin.own_files:
            if content_digest(Path(file.path)) != file.digest:
                raise ChangedPlugin(
                    f"{file.path} was changed during the run; run the same command again"
                )
        _load(plugin)


def _forget_all() -> None:
    """Forget the plugins of an earlier run of this process, and what files held then."""
    unregister({file.path for plugin in _loaded.values() for file in plugin.own_files})
    for name, module in list(sys.modules.items()):
        is_own = getattr(module, "__file__", None) in _module_files.values()
        if is_own or name.startswith(LONE_PREFIX):
            del sys.modules[name]
    _loaded.clear()
    _module_files.clear()
    file_digest.cache_clear()


def loaded_plugins() -> set[Plugin]:
    """Return the plugins that this process has loaded from files."""
    return set(_loaded.values())


def in_use() -> bool:
    """Return whether this process has a plugin, from files or installed."""
    return bool(_loaded) or installed_plugins.any_imported()


def _load(plugin: Plugin) -> Plugin:
    if plugin in _loaded:
        return _loaded[plugin]
    _prepare_path(plugin)
    before = set(sys.modules)
    paths = {file.module: Path(file.path) for file in plugin.files}
    own_files = {file.path for file in plugin.own_files}
    with (
        refuse_changes(plugin.path, _modules_of_others(paths)),
        import_errors_in_one_line(plugin.path, own_files),
    ):
        for module in plugin.modules:
            _import(module, paths[module], plugin.digest)
    _check_modules(plugin, paths)
    loaded = replace(plugin, files=(*plugin.files, *_further_files(plugin, before)))
    for earlier in [key for key in _loaded if key.path == plugin.path]:
        del _loaded[earlier]
    _loaded[plugin] = _loaded[loaded] = loaded
    return loaded


def _prepare_path(plugin: Plugin) -> None:
    """Let the modules of a plugin find one another."""
    if plugin.folder not in sys.path:
        sys.path.append(plugin.folder)
    if _PluginFinder not in sys.meta_path:
        sys.meta_path.insert(0, _PluginFinder)
    find_libraries()
    _module_files.update({file.module: file.path for file in plugin.own_files})


class _PluginFinder:
    """Finds the modules of plugins where they were when the cells were planned.

    A worker may also see other modules of their names, such as those they were copied from.
    """

    @staticmethod
    def find_spec(name: str, *_: Any) -> importlib.machinery.ModuleSpec | None:
        path = _module_files.get(name)
        return importlib.util.spec_from_file_location(name, path) if path else None


def _modules_of_others(own: Mapping[str, Path]) -> set[str]:
    """Return the modules of plugins that were loaded before, by name."""
    modules = {name for name in sys.modules if name.startswith(LONE_PREFIX)}
    return modules | {f.module for p in _loaded for f in p.own_files} - own.keys()


def _import(module: str, path: Path, digest: str) -> None:
    if "." in module or path.name == "__init__.py":
        importlib.import_module(module)
        return
    # The name contains the digest, so that an edited file is a new module.
    name = f"{LONE_PREFIX}{module.removeprefix(LONE_PREFIX)}_{digest[:8]}"
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None and spec.loader is not None
    created = importlib.util.module_from_spec(spec)
    # Other files of its folder import it by its plain name.
    names = [name] if module.startswith(LONE_PREFIX) else [name, module]
    sys.modules |= dict.fromkeys(names, created)
    try:
        spec.loader.exec_module(created)
    except BaseException:
        for name in names:
            sys.modules.pop(name, None)
        raise


def _check_modules(plugin: Plugin, paths: Mapping[str, Path]) -> None:
    """Raise UsageError if a module is not the plugin's own but another one of the same name."""
    for module, path in paths.items():
        file = getattr(sys.modules.get(module), "__file__", None)
        is_single = module in plugin.modules and "." not in module and path.name != "__init__.py"
        if file is not None and not is_single and Path(file).resolve() != path:
            raise UsageError(f"{path}: there is another module {module!r}, {file}; rename one")


def _further_files(plugin: Plugin, before: set[str]) -> list[PluginFile]:
    """Return the files of modules whose import the plugin's source does not show."""
    planned = {file.path for file in plugin.files}
    files = {}
    for name in set(sys.modules) - before:
        path = Path(getattr(sys.modules[name], "__file__", None) or "")
        # Some libraries give modules without a file a name that looks like one. Others enter the
        # program itself a second time, as __mp_main__.
        is_program = sys.modules[name] is sys.modules.get("__main__")
        if not path.is_absolute() or not path.is_file() or is_of_suite(name) or is_program:
            continue
        path = path.resolve()
        if str(path) not in planned and is_own(name, path):
            files[str(path)] = PluginFile(name, str(path), content_digest(path))
    return [files[path] for path in sorted(files)]
