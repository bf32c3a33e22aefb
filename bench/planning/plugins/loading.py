"""Code from outside the repository: files named by `--plugin`, and installed entry points.

A plugin is a Python file, a folder of them or a package (or an entry point of the group
`distillation_bench`) that, when it is imported, registers methods, datasets or metrics. It is code
and is run as such: trust it. Its identity is that of all its files: those that it imports, too, but
for the standard library and what is installed.
"""

from __future__ import annotations

import functools
import importlib
import importlib.machinery
import importlib.util
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from typing import Any

from distillation_bench.bench.common.errors import UsageError, nearest
from distillation_bench.bench.common.hashing import digest, file_digest
from distillation_bench.bench.planning.plugins.integrity import unpatched
from distillation_bench.bench.planning.plugins.safe_import import as_a_mistake
from distillation_bench.bench.planning.plugins.source_files import (
    closure,
    file_of,
    imported,
    is_own,
    of_suite,
)

GROUP = "distillation_bench"
HIDDEN = "plugin_"
"""Before the names of lone files, which would else hide modules, or be hidden."""


@dataclass(frozen=True)
class File:
    """A file of a plugin: the module that it is, its path, and the digest of its meaning."""

    module: str
    path: str
    digest: str

    @property
    def place(self) -> Path:
        """Where it lies in the folder from which it is imported."""
        path = Path(self.path)
        depth = self.module.count(".") + 1 + (path.name == "__init__.py")
        return Path(*path.parts[-depth:])


@dataclass(frozen=True)
class Plugin:
    """A plugin as it was when the cells were planned.

    Attributes:
        path: what `--plugin` named, absolute.
        folder: from which its modules import one another.
        modules: to import, in this order.
        files: of these modules and of all that they import.
    """

    path: str
    folder: str
    modules: tuple[str, ...]
    files: tuple[File, ...]

    @functools.cached_property
    def digest(self) -> str:
        """Of what its files do, wherever they lie; a lone file may have any name."""
        lone = self.modules if len(self.modules) == 1 else ()
        return digest(sorted([f.module * (f.module not in lone), f.digest] for f in self.files))

    @property
    def own_files(self) -> list[File]:
        """Its files, less those of this suite."""
        return [file for file in self.files if not of_suite(file.module)]

    def within(self, folder: Path) -> Plugin:
        """The same plugin with its own files below a folder, each where its name places it."""
        own = {id(file): replace(file, path=str(folder / file.place)) for file in self.own_files}
        files = tuple(own.get(id(file), file) for file in self.files)
        return replace(self, path=str(folder), folder=str(folder), files=files)


_PLACES: dict[str, str] = {}
"""By name, the files of their modules."""
_LOADED: dict[Plugin, Plugin] = {}
"""By what was asked for, what was loaded into this process: some imports show only then."""
_ENTERED: set[str] = set()
"""Installed plugins that this process has imported, or tried to."""


def plugin_path(text: str, place: str = "--plugin") -> str:
    """The plugin's absolute path.

    Raises:
        UsageError: no such Python file or folder.
    """
    try:
        path = Path(text).expanduser().resolve()
    except RuntimeError:
        # Links in a circle, or ~NAME of nobody.
        raise UsageError(f"{place} {text}: no such file") from None
    if path.is_dir():
        if not any(path.glob("*.py")):
            raise UsageError(f"{place} {text}: a folder without a Python file")
        return str(path)
    if not path.is_file():
        near = nearest(path.name, [each.name for each in path.parent.glob("*.py")])
        raise UsageError(f"{place} {text}: no such file{near}")
    if path.suffix != ".py":
        raise UsageError(f"{place} {text}: not a Python file")
    return str(path)


def load_plugins(paths: Iterable[str]) -> tuple[Plugin, ...]:
    """Import each plugin once; returns what they are made of.

    Raises:
        UsageError: one can't be imported; with its line and reason.
    """
    return tuple(_load(_find(Path(path))) for path in paths)


def load_planned(plugins: Iterable[Plugin]) -> None:
    """Import plugins that were loaded when the cells were planned.

    Raises:
        ChangedPlugin: a file has changed since: its figures would stand under another code's name.
        UsageError: one can't be imported here.
    """
    for plugin in plugins:
        for file in plugin.own_files:
            if _digest_of(Path(file.path)) != file.digest:
                raise ChangedPlugin(
                    f"{file.path} was changed during the run; run the same command again"
                )
        _load(plugin)


class ChangedPlugin(Exception):
    """A file of a plugin is no longer what it was when the cells were planned."""


def load_installed() -> None:
    """Import the plugins of installed packages.

    Raises:
        UsageError: one can't be imported.
    """
    if reason := installed():
        raise UsageError(reason)


@functools.cache
def installed() -> str:
    """Import the plugins of installed packages; returns what is wrong with one, or nothing."""
    for entry in entry_points(group=GROUP):
        _ENTERED.add(entry.name)
        try:
            with as_a_mistake(f"plugin {entry.name} ({entry.value})"):
                entry.load()
        except UsageError as error:
            return str(error)
    return ""


def in_use() -> bool:
    """Whether there is a plugin in this process."""
    return bool(_LOADED or _ENTERED)


def module_code(module: str) -> str:
    """A hash of the code that a module's classes and functions are made of.

    Of a plugin it is that of all its files, of this suite's own module that of its file.

    Raises:
        UsageError: it is of no file.
    """
    file = getattr(sys.modules.get(module), "__file__", None)
    if file is None:
        raise UsageError(f"{module}: its source is no file; give it with --plugin FILE.py")
    path = Path(file).resolve()
    if of_suite(module):
        return file_digest(path)
    if plugins := _owners(str(path)):
        return digest(sorted(plugin.digest for plugin in plugins))
    return _installed_code(module, path)


def files_of(module: str) -> set[str]:
    """The files of the plugins that a module belongs to."""
    path = getattr(sys.modules.get(module), "__file__", None)
    owners = _owners(str(Path(path).resolve())) if path else []
    return {file.path for plugin in owners for file in plugin.files}


def _owners(path: str) -> list[Plugin]:
    """The plugins that a file is of."""
    loaded = set(_LOADED.values())
    return [plugin for plugin in loaded if any(path == file.path for file in plugin.files)]


@functools.cache
def _installed_code(module: str, path: Path) -> str:
    """Of a module of an installed package: its version, its files and what they import."""
    top = module.partition(".")[0]

    def wanted(name: str, path: Path) -> bool:
        return name.partition(".")[0] == top or is_own(name, path)

    files = {str(each) for each in closure({module: path}, wanted).values()}
    entries = [each for each in entry_points(group=GROUP) if each.module.partition(".")[0] == top]
    if package := getattr(sys.modules.get(top), "__path__", None):
        files |= {str(each) for folder in package for each in Path(folder).rglob("*.py")}
    return digest([sorted(_digest_of(Path(file)) for file in files), _versions(entries)])


def _versions(entries: Sequence[EntryPoint]) -> list[str]:
    return sorted({f"{each.dist.name} {each.dist.version}" for each in entries if each.dist})


# Finding


def _find(path: Path) -> Plugin:
    """A plugin's files.

    Raises:
        UsageError: one of them is not readable as Python, or hidden by another of its name.
    """
    folder, modules = _modules(path)
    if str(folder) not in sys.path:
        # Behind all else: its modules hide none of this suite's and none that is installed.
        sys.path.append(str(folder))
    importlib.invalidate_caches()
    modules = {_own_name(name, each): each for name, each in modules.items()}
    files = tuple(_file(name, each) for name, each in sorted(_closure(modules).items()))
    for file in files:
        _check_neighbours(folder, file)
    return Plugin(str(path), str(folder), tuple(modules), files)


def _modules(path: Path) -> tuple[Path, dict[str, Path]]:
    """The folder that a plugin's modules are imported from, and those to import."""
    if path.name == "__init__.py":
        path = path.parent
    folder, package = path.parent if path.is_file() or _is_package(path) else path, ""
    while _is_package(folder):
        package = f"{folder.name}.{package}"
        folder = folder.parent
    if path.is_file():
        return folder, {f"{package}{path.stem}": path}
    if _is_package(path):
        package = f"{package}{path.name}."
    files = sorted(each for each in path.glob("*.py") if not each.name.startswith("__"))
    modules = {f"{package}{each.stem}": each for each in files}
    return folder, {package[:-1]: path / "__init__.py", **modules} if package else modules


def _own_name(name: str, path: Path) -> str:
    """A module's name, and another one where an import of that name would give another module."""
    lone = "." not in name and path.name != "__init__.py"
    return f"{HIDDEN}{name}" if lone and file_of(name) != path else name


def _is_package(folder: Path) -> bool:
    return (folder / "__init__.py").is_file()


def _closure(modules: dict[str, Path]) -> dict[str, Path]:
    found: dict[str, Path] = {}
    for name, path in modules.items():
        try:
            found |= closure({name: path})
        except SyntaxError as error:
            place = error.filename or path
            line = f":{error.lineno}" if error.lineno else ""
            raise UsageError(f"{place}{line}: {error.msg}") from None
        except (OSError, ValueError, RecursionError, MemoryError) as error:
            reason = str(error) or type(error).__name__
            raise UsageError(f"{path}: can't be read as Python ({reason})") from None
    return found


def _file(module: str, path: Path) -> File:
    return File(module, str(path), _digest_of(path))


def _digest_of(path: Path) -> str:
    if path.suffix == ".py":
        return file_digest(path)
    return digest(path.read_bytes().hex())


def _check_neighbours(folder: Path, file: File) -> None:
    """What stands beside a plugin under the name of another module would not be imported."""
    for top in {name.partition(".")[0] for name in imported(file.module, Path(file.path))}:
        beside = (folder / f"{top}.py", folder / top / "__init__.py")
        neighbour = next((each.resolve() for each in beside if each.is_file()), None)
        if neighbour is None or of_suite(top) or of_suite(file.module):
            continue
        if (other := file_of(top)) != neighbour:
            is_now = other or "Python's own"
            raise UsageError(f"{file.path}: imports {top}, which is {is_now}; rename {neighbour}")


# Loading


def _load(plugin: Plugin) -> Plugin:
    if plugin in _LOADED:
        return _LOADED[plugin]
    if plugin.folder not in sys.path:
        sys.path.append(plugin.folder)
    if _Finder not in sys.meta_path:
        sys.meta_path.insert(0, _Finder)
    paths = {file.module: Path(file.path) for file in plugin.files}
    _PLACES.update({file.module: file.path for file in plugin.own_files})
    before = set(sys.modules)
    others = {name for name in before if name.startswith(HIDDEN)}
    others |= {file.module for each in _LOADED for file in each.own_files} - paths.keys()
    own = {file.path for file in plugin.own_files}
    with unpatched(plugin.path, others), as_a_mistake(plugin.path, own):
        for module in plugin.modules:
            _import(module, paths[module], plugin.digest)
    _check_places(plugin, paths)
    loaded = replace(plugin, files=(*plugin.files, *_more_files(plugin, before)))
    for earlier in [each for each in _LOADED if each.path == plugin.path]:
        del _LOADED[earlier]
    _LOADED[plugin] = _LOADED[loaded] = loaded
    return loaded


class _Finder:
    """Finds plugins' modules where they were found when they were planned.

    A worker may see other modules of their names, such as those that the plugin was copied from.
    """

    @staticmethod
    def find_spec(name: str, *_: Any) -> importlib.machinery.ModuleSpec | None:
        path = _PLACES.get(name)
        return importlib.util.spec_from_file_location(name, path) if path else None


def _import(module: str, path: Path, digest: str) -> None:
    if "." in module or path.name == "__init__.py":
        importlib.import_module(module)
        return
    # The name holds the content, so that an edited file is a new module.
    name = f"{HIDDEN}{module.removeprefix(HIDDEN)}_{digest[:8]}"
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None and spec.loader is not None
    made = importlib.util.module_from_spec(spec)
    # Under its plain name too, for others of its folder.
    names = [name] if module.startswith(HIDDEN) else [name, module]
    sys.modules |= dict.fromkeys(names, made)
    try:
        spec.loader.exec_module(made)
    except BaseException:
        for each in names:
            sys.modules.pop(each, None)
        raise


def _check_places(plugin: Plugin, paths: dict[str, Path]) -> None:
    """Another plugin may have brought a module of the same name."""
    for module, path in paths.items():
        file = getattr(sys.modules.get(module), "__file__", None)
        lone = module in plugin.modules and "." not in module and path.name != "__init__.py"
        if file is not None and not lone and Path(file).resolve() != path:
            raise UsageError(f"{path}: there is another module {module!r}, {file}; rename one")


def _more_files(plugin: Plugin, before: set[str]) -> list[File]:
    """Of modules that were imported by names which the source does not show."""
    known = {file.path for file in plugin.files}
    found = {}
    for name in set(sys.modules) - before:
        path = Path(getattr(sys.modules[name], "__file__", None) or "")
        # Some libraries make modules of no file, and give them a name that looks like one.
        if not path.is_absolute() or not path.is_file() or of_suite(name):
            continue
        path = path.resolve()
        if str(path) not in known and is_own(name, path):
            found[str(path)] = _file(name, path)
    return [found[path] for path in sorted(found)]
