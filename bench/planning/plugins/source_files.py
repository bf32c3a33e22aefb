"""The files that a module's code comes from: what it imports, as far as its source says.

Imports within functions count, too. The standard library and installed distributions do not: their
versions are part of what a run says of itself.
"""

from __future__ import annotations

import ast
import functools
import importlib.machinery
import sys
import sysconfig
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from distillation_bench.bench.common.paths import FOLDERS, PACKAGE

INSTALLED = {"site-packages", "dist-packages"}
STANDARD = {Path(sysconfig.get_path(name)).resolve() for name in ("stdlib", "platstdlib")}
REGISTRIES = {PACKAGE, *(f"{PACKAGE}.{folder}" for folder in FOLDERS)}
"""Packages whose `__init__` registers what there is, and decides no value itself."""


def closure(
    roots: Mapping[str, Path], wanted: Callable[[str, Path], bool] | None = None
) -> dict[str, Path]:
    """The files of modules and of all that these import, by the modules' names.

    Args:
        roots: by name, which relative imports start from.
        wanted: of a name and a file, whether to go into it; else `is_own`.

    Raises:
        SyntaxError, OSError, ValueError: a file can't be read as Python.
    """
    wanted = wanted or is_own
    found: dict[str, Path] = {}
    waiting = dict(roots)
    while waiting:
        name, path = waiting.popitem()
        found[name] = path
        for each in imported(name, path):
            file = file_of(each) if each not in found and each not in waiting else None
            if file is not None and wanted(each, file):
                waiting[each] = file
    return found


def is_own(name: str, path: Path) -> bool:
    """Whether a module is neither of the standard library nor installed, nor a mere registry."""
    return name not in REGISTRIES and (of_suite(name) or not is_installed(path))


def of_suite(module: str) -> bool:
    """Whether a module is one of this suite's."""
    return module.partition(".")[0] == PACKAGE


def is_installed(path: Path) -> bool:
    """Whether a file is of the standard library or of an installed distribution."""
    if INSTALLED & set(path.parts):
        return True
    return any(path.is_relative_to(folder) for folder in STANDARD)


def imported(name: str, path: Path) -> Iterator[str]:
    """Names of all modules that a file may import; some of them may be none."""
    if path.suffix != ".py":
        return
    package = name if path.name == "__init__.py" else name.rpartition(".")[0]
    for module, names in _statements(path, path.stat().st_mtime_ns):
        depth = len(module) - len(module.lstrip("."))
        start = package.split(".")[: len(package.split(".")) - depth + 1] if depth else []
        full = ".".join([*start, *filter(None, [module.lstrip(".")])])
        parts = full.split(".")
        # A module's packages are imported before it.
        yield from (".".join(parts[:end]) for end in range(1, len(parts) + 1) if full)
        yield from (f"{full}.{each}" for each in names if full)


@functools.cache
def _statements(path: Path, changed: int) -> list[tuple[str, tuple[str, ...]]]:
    """Of each import the module, with dots where it is relative, and the names taken from it."""
    found: list[tuple[str, tuple[str, ...]]] = []
    waiting: list[ast.AST] = [ast.parse(path.read_bytes(), filename=str(path))]
    while waiting:
        node = waiting.pop()
        if isinstance(node, ast.Import):
            found += [(alias.name, ()) for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            module = "." * node.level + (node.module or "")
            found.append((module, tuple(alias.name for alias in node.names)))
        elif isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            waiting += node.orelse
        else:
            waiting += ast.iter_child_nodes(node)
    return found


def file_of(name: str) -> Path | None:
    """The file of a module that can be imported here; nothing is imported to find it."""
    spec = _spec(name)
    if spec is None or not spec.has_location or not spec.origin:
        return None
    return Path(spec.origin).resolve()


def _spec(name: str) -> importlib.machinery.ModuleSpec | None:
    loaded: importlib.machinery.ModuleSpec | None = getattr(sys.modules.get(name), "__spec__", None)
    if loaded is not None:
        return loaded
    parent = name.rpartition(".")[0]
    places = None
    if parent:
        above = _spec(parent)
        if above is None or above.submodule_search_locations is None:
            return None
        places = list(above.submodule_search_locations)
    finders = (getattr(finder, "find_spec", None) for finder in sys.meta_path)
    specs = (find(name, places) for find in finders if find is not None)
    return next((spec for spec in specs if spec is not None), None)
