"""The files that a module's code comes from: all that it imports, as far as its source shows.

Imports within functions count too. The standard library and installed distributions do not: a run
records their versions. A name that is imported from a registry (`distillation_bench.methods`) leads
to the module that defines it.
"""

from __future__ import annotations

import ast
import functools
import importlib.machinery
import sys
import sysconfig
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

from distillation_bench import datasets, methods
from distillation_bench.bench.common.paths import FOLDERS, PACKAGE

INSTALLED = {"site-packages", "dist-packages"}
STANDARD = {Path(sysconfig.get_path(name)).resolve() for name in ("stdlib", "platstdlib")}
REGISTRIES = {PACKAGE, *(f"{PACKAGE}.{folder}" for folder in FOLDERS)}
"""Packages whose `__init__` registers what there is, and decides no value itself."""
_BUILT_IN: Mapping[str, tuple[type, ...]] = {
    methods.__name__: methods.BUILT_IN,
    datasets.__name__: datasets.BUILT_IN,
}
_LOOKUPS = {"METHODS", "DATASETS", "BUILT_IN", "get", "*"}
"""Names in these packages by which code can reach any method or dataset of them."""
_IMPORT_ERRORS = {"ImportError", "ModuleNotFoundError", "Exception", "BaseException"}


def import_closure(
    roots: Mapping[str, Path], is_included: Callable[[str, Path], bool] | None = None
) -> dict[str, Path]:
    """Return the files of modules and of all that these import, by the modules' names.

    Args:
        roots: modules by name; relative imports start from the name.
        is_included: whether to include a module of a name and a file; `is_own` by default.

    Raises:
        SyntaxError, OSError, ValueError: a file cannot be read as Python.
    """
    is_included = is_included or is_own
    files: dict[str, Path] = {}
    waiting = dict(roots)
    while waiting:
        name, path = waiting.popitem()
        files[name] = path
        for module in imported_modules(name, path):
            file = file_of(module) if module not in files and module not in waiting else None
            if file is not None and is_included(module, file):
                waiting[module] = file
    return files


def is_own(name: str, path: Path) -> bool:
    """Return whether a module is of this suite or a plugin, and not a mere registry."""
    return name not in REGISTRIES and (is_of_suite(name) or not is_installed(path))


def is_of_suite(module: str) -> bool:
    """Return whether a module is one of this suite's."""
    return module.partition(".")[0] == PACKAGE


def is_installed(path: Path) -> bool:
    """Return whether a file is of the standard library or of an installed distribution."""
    if INSTALLED & set(path.parts):
        return True
    return any(path.is_relative_to(folder) for folder in STANDARD)


class _Import(NamedTuple):
    """An import statement: the module, with dots if it is relative, and the names taken from it.

    It is optional if the code around it handles its failure.
    """

    module: str
    names: tuple[str, ...]
    is_optional: bool


def imported_modules(name: str, path: Path) -> Iterator[str]:
    """Yield the names of all modules that a file may import; some may be no modules."""
    for statement in _imports_of(path):
        yield from _modules_of(statement, name, path)


def required_modules(name: str, path: Path) -> Iterator[str]:
    """Yield the names of modules that a file needs, without imports whose failure it handles."""
    for statement in _imports_of(path):
        if not statement.is_optional:
            yield from _modules_of(statement, name, path)


def _modules_of(statement: _Import, importer: str, path: Path) -> Iterator[str]:
    """Yield the absolute names of the modules that a statement of a file may import."""
    package = importer if path.name == "__init__.py" else importer.rpartition(".")[0]
    relative = statement.module.lstrip(".")
    depth = len(statement.module) - len(relative)
    packages = package.split(".")
    base = packages[: len(packages) - depth + 1] if depth else []
    full = ".".join([*base, *filter(None, [relative])])
    if not full:
        return
    parts = full.split(".")
    # The packages of a module are imported before it.
    yield from (".".join(parts[:end]) for end in range(1, len(parts) + 1))
    yield from (f"{full}.{name}" for name in statement.names)
    for name in statement.names:
        yield from _defining_modules(full, name)


def _defining_modules(registry: str, name: str) -> set[str]:
    """Return the modules of this suite that may define what a registry gives by a name."""
    if registry not in _BUILT_IN:
        return set()
    contents = vars(sys.modules[registry])
    if name == "*" or (name in _LOOKUPS and name in contents):
        return {cls.__module__ for cls in _BUILT_IN[registry]}
    # Not getattr, which would import torch for names that the package imports on use.
    module = getattr(contents.get(name), "__module__", None) or ""
    return {module} if is_of_suite(module) else set()


def _imports_of(path: Path) -> list[_Import]:
    return _parse_imports(path, path.stat().st_mtime_ns) if path.suffix == ".py" else []


@functools.cache
def _parse_imports(path: Path, changed: int) -> list[_Import]:
    """Return the import statements of a file; `changed` is its time of modification."""
    imports: list[_Import] = []
    tree = ast.parse(path.read_bytes(), filename=str(path))
    waiting: list[tuple[ast.AST, bool]] = [(tree, False)]
    while waiting:
        node, is_optional = waiting.pop()
        if isinstance(node, ast.Import):
            imports += [_Import(alias.name, (), is_optional) for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            module = "." * node.level + (node.module or "")
            names = tuple(alias.name for alias in node.names)
            imports.append(_Import(module, names, is_optional))
        elif isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            waiting += [(child, is_optional) for child in node.orelse]
        else:
            tried = node.body if isinstance(node, ast.Try) and _handles_imports(node) else []
            for child in ast.iter_child_nodes(node):
                waiting.append((child, is_optional or child in tried))
    return imports + _names_of_registries(tree, imports)


def _names_of_registries(tree: ast.Module, imports: list[_Import]) -> list[_Import]:
    """Return imports of the names that a file takes from a registry that it imports as a module.

    Which object an attribute is taken from is not known: attributes of all objects count.
    """
    modules = {statement.module for statement in imports if not statement.names}
    modules |= {f"{statement.module}.{name}" for statement in imports for name in statement.names}
    registries = [name for name in _BUILT_IN if modules & {name, PACKAGE}]
    attributes = tuple(node.attr for node in ast.walk(tree) if isinstance(node, ast.Attribute))
    return [_Import(registry, attributes, True) for registry in registries]


def _handles_imports(node: ast.Try) -> bool:
    """Return whether a try statement handles the failure of an import."""
    types = [handler.type for handler in node.handlers]
    names = {
        name.id
        for type_ in types
        if type_
        for name in ast.walk(type_)
        if isinstance(name, ast.Name)
    }
    return None in types or bool(names & _IMPORT_ERRORS)


def file_of(name: str) -> Path | None:
    """Return the file of a module that can be imported, without importing it."""
    spec = find_spec(name)
    if spec is None or not spec.has_location or not spec.origin:
        return None
    return Path(spec.origin).resolve()


def find_spec(name: str) -> importlib.machinery.ModuleSpec | None:
    """Return the spec of a module without importing its packages; None if there is no module."""
    loaded: importlib.machinery.ModuleSpec | None = getattr(sys.modules.get(name), "__spec__", None)
    if loaded is not None:
        return loaded
    parent = name.rpartition(".")[0]
    folders = None
    if parent:
        package = find_spec(parent)
        if package is None or package.submodule_search_locations is None:
            return None
        folders = list(package.submodule_search_locations)
    finders = (getattr(finder, "find_spec", None) for finder in sys.meta_path)
    try:
        specs = (find(name, folders) for find in finders if find is not None)
        return next((spec for spec in specs if spec is not None), None)
    except ModuleNotFoundError:
        return None
