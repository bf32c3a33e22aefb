"""The names by which the folders of this suite were imported before 0.1.0.

`bench`, `methods` and `datasets` are parts of the package now; `datasets` is also a library. A
plugin that imports one of these names gets the library, if there is one, and otherwise a line that
says the new name.
"""

from __future__ import annotations

import importlib.machinery
import sys
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType

from distillation_bench.bench.common.errors import UsageError
from distillation_bench.bench.common.paths import FOLDERS, PACKAGE, ROOT
from distillation_bench.bench.planning.plugins.source_files import find_spec, required_modules


def check_old_names(module: str, path: Path) -> None:
    """Check that a plugin's file imports no folder of this suite by its old name.

    Raises:
        UsageError: it does, and there is no library of that name.
    """
    names = {name.partition(".")[0] for name in required_modules(module, path)}
    for name in sorted(names.intersection(FOLDERS)):
        if find_spec(name) is None:
            raise UsageError(f"{path}: {_renamed(name)}")


def _renamed(name: str) -> str:
    return f"imports {name}, which is now {PACKAGE}.{name}"


def with_new_name(reason: str, error: BaseException) -> str:
    """Return why an import failed, with the new name if an old one is the cause."""
    if isinstance(error, ModuleNotFoundError) and error.name in FOLDERS:
        return _renamed(error.name)
    name = _lacking_module(error).partition(".")[0]
    return f"{reason}; this suite's is {PACKAGE}.{name}" if name in FOLDERS else reason


def _lacking_module(error: BaseException) -> str:
    """Return the name of the module that lacks a name, if the error says so."""
    if isinstance(error, ImportError):
        return str(error.name)
    if isinstance(error, AttributeError) and isinstance(error.obj, ModuleType):
        return error.obj.__name__
    return ""


def is_suite_folder(path: Path) -> bool:
    """Return whether a file is the `__init__` of a folder of this suite."""
    return path in {ROOT / folder / "__init__.py" for folder in FOLDERS}


def find_libraries() -> None:
    """Let imports of the old names find libraries, never the folders of a clone.

    Python finds these where the clone is on its path: it was started there, or a plugin is there.
    """
    if _LibraryFinder not in sys.meta_path:
        sys.meta_path.insert(0, _LibraryFinder)


class _LibraryFinder:
    @staticmethod
    def find_spec(
        name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        if path is not None or name not in FOLDERS:
            return None
        folders = [folder for folder in sys.path if Path(folder or ".").resolve() != ROOT]
        if len(folders) == len(sys.path):
            return None
        spec = importlib.machinery.PathFinder.find_spec(name, folders)
        if spec is None:
            # Returning None would let the next finder find the clone's folder.
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
        return spec
