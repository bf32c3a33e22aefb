"""The files of a plugin: those that `--plugin` names, and all that they import."""

from __future__ import annotations

import functools
import importlib
import sys
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from distillation_bench.bench.common.errors import UsageError, did_you_mean
from distillation_bench.bench.common.hashing import digest, file_digest, python_files
from distillation_bench.bench.planning.plugins.old_names import (
    check_old_names,
    find_libraries,
    is_suite_folder,
)
from distillation_bench.bench.planning.plugins.source_files import (
    file_of,
    import_closure,
    imported_modules,
    is_of_suite,
)

LONE_PREFIX = "plugin_"
"""The start of the module names of single files, so that they neither hide other modules nor are
hidden by them."""


@dataclass(frozen=True)
class PluginFile:
    """A file of a plugin.

    Attributes:
        module: its name as a module.
        path: absolute.
        digest: hash of the file.
    """

    module: str
    path: str
    digest: str

    @property
    def relative_path(self) -> Path:
        """Its path in the folder from which the module is imported."""
        path = Path(self.path)
        depth = self.module.count(".") + 1 + (path.name == "__init__.py")
        return Path(*path.parts[-depth:])


@dataclass(frozen=True)
class Plugin:
    """A plugin as it was when the cells were planned.

    Attributes:
        path: the file or folder that `--plugin` named, absolute.
        folder: the folder from which its modules import one another.
        modules: the modules to import, in this order.
        files: of these modules, and of all that they import.
    """

    path: str
    folder: str
    modules: tuple[str, ...]
    files: tuple[PluginFile, ...]

    @functools.cached_property
    def digest(self) -> str:
        """Hash of its files, wherever they are; a single file may have any name."""
        single = self.modules if len(self.modules) == 1 else ()
        names = {file: "" if file.module in single else file.module for file in self.files}
        return digest(sorted([name, file.digest] for file, name in names.items()))

    @property
    def own_files(self) -> list[PluginFile]:
        """Its files, without those of this suite."""
        return [file for file in self.files if not is_of_suite(file.module)]

    def moved_to(self, folder: Path) -> Plugin:
        """Return the same plugin with its own files below another folder."""
        files = [
            file
            if is_of_suite(file.module)
            else replace(file, path=str(folder / file.relative_path))
            for file in self.files
        ]
        return replace(self, path=str(folder), folder=str(folder), files=tuple(files))


def plugin_path(text: str, option: str = "--plugin") -> str:
    """Return the absolute path of a plugin.

    Raises:
        UsageError: there is no Python file, and no folder of Python files, of this name.
    """
    try:
        path = Path(text).expanduser().resolve()
    except RuntimeError:
        # Links form a circle, or there is no user NAME for ~NAME.
        raise UsageError(f"{option} {text}: no such file") from None
    if path.is_dir():
        if not any(python_files(path, "*.py")):
            raise UsageError(f"{option} {text}: a folder without a Python file")
        return str(path)
    if not path.is_file():
        hint = did_you_mean(path.name, [file.name for file in path.parent.glob("*.py")])
        raise UsageError(f"{option} {text}: no such file{hint}")
    if path.suffix != ".py":
        raise UsageError(f"{option} {text}: not a Python file")
    return str(path)


def find_plugin(path: Path) -> Plugin:
    """Return a plugin with its files; it is not imported.

    Raises:
        UsageError: a file cannot be read as Python, imports a module by its old name, or imports
            a module that another one of the same name hides.
    """
    folder, modules = _modules_to_import(path)
    if str(folder) not in sys.path:
        # At the end: its modules hide none of this suite and none that is installed.
        sys.path.append(str(folder))
    importlib.invalidate_caches()
    find_libraries()
    modules = {_module_name(name, file): file for name, file in modules.items()}
    sources = sorted(_all_files(modules).items())
    files = tuple(PluginFile(name, str(file), content_digest(file)) for name, file in sources)
    for file in files:
        if not is_of_suite(file.module):
            check_old_names(file.module, Path(file.path))
            _check_neighbours(folder, file)
    return Plugin(str(path), str(folder), tuple(modules), files)


def _modules_to_import(path: Path) -> tuple[Path, dict[str, Path]]:
    """Return the folder that a plugin's modules are imported from, and the modules by name."""
    if path.name == "__init__.py":
        path = path.parent
    folder = path.parent if path.is_file() or _is_package(path) else path
    package = ""
    while _is_package(folder):
        package = f"{folder.name}.{package}"
        folder = folder.parent
    if path.is_file():
        return folder, {f"{package}{path.stem}": path}
    if _is_package(path):
        package = f"{package}{path.name}."
    files = sorted(file for file in python_files(path, "*.py") if file.name[:2] != "__")
    modules = {f"{package}{file.stem}": file for file in files}
    return folder, {package[:-1]: path / "__init__.py", **modules} if package else modules


def _is_package(folder: Path) -> bool:
    return (folder / "__init__.py").is_file()


def _module_name(name: str, path: Path) -> str:
    """Return a module's name; a prefixed one if an import of its name gives another module."""
    is_single = "." not in name and path.name != "__init__.py"
    return f"{LONE_PREFIX}{name}" if is_single and file_of(name) != path else name


def _all_files(modules: Mapping[str, Path]) -> dict[str, Path]:
    """Return the files of modules and of all that they import, by the modules' names."""
    files: dict[str, Path] = {}
    for name, path in modules.items():
        try:
            files |= import_closure({name: path})
        except SyntaxError as error:
            line = f":{error.lineno}" if error.lineno else ""
            raise UsageError(f"{error.filename or path}{line}: {error.msg}") from None
        except (OSError, ValueError, RecursionError, MemoryError) as error:
            reason = str(error) or type(error).__name__
            raise UsageError(f"{path}: can't be read as Python ({reason})") from None
    return files


def content_digest(path: Path) -> str:
    """Return a hash of a file: of a Python file's syntax tree, or of its bytes."""
    if path.suffix == ".py":
        return file_digest(path)
    return digest(path.read_bytes().hex())


def _check_neighbours(folder: Path, file: PluginFile) -> None:
    """Raise UsageError if an import gives another module than the file beside the plugin."""
    path = Path(file.path)
    for name in {module.partition(".")[0] for module in imported_modules(file.module, path)}:
        candidates = (folder / f"{name}.py", folder / name / "__init__.py")
        neighbour = next((path.resolve() for path in candidates if path.is_file()), None)
        if neighbour is None or is_of_suite(name) or is_suite_folder(neighbour):
            continue
        if (imported := file_of(name)) != neighbour:
            actual = imported or "Python's own"
            raise UsageError(f"{path}: imports {name}, which is {actual}; rename {neighbour}")
