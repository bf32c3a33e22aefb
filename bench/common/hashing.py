"""Hashes of source code and of canonical JSON, of which identities and cache keys are made.

The hash of a Python file leaves out comments, docstrings and layout, so that only a change of what
the code does makes earlier results stale.
"""

from __future__ import annotations

import ast
import functools
import hashlib
import json
from collections.abc import Collection, Iterable, Iterator
from importlib.metadata import version
from pathlib import Path
from typing import Any

from distillation_bench.bench.common.errors import UsageError
from distillation_bench.bench.common.paths import FOLDERS, ROOT


def canonical_json(value: Any) -> str:
    """Return JSON with sorted keys and no spaces: equal values give equal text."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False)


def digest(value: Any) -> str:
    """Return the SHA-256 of the canonical JSON, 64 hexadecimal digits."""
    return hashlib.sha256(canonical_json(value).encode()).hexdigest()


@functools.cache
def file_digest(path: Path) -> str:
    """Return the SHA-256 of a Python file's syntax tree without docstrings.

    Raises:
        UsageError: the file cannot be read as Python.
    """
    tree = _parse(path)
    for node in ast.walk(tree):
        body = getattr(node, "body", None)
        if isinstance(body, list) and body and _is_docstring(body[0]):
            node.body = body[1:]  # type: ignore[attr-defined]
    return hashlib.sha256(ast.dump(tree).encode()).hexdigest()


def _parse(path: Path) -> ast.Module:
    try:
        return ast.parse(path.read_bytes(), filename=str(path))
    except SyntaxError as error:
        line = f":{error.lineno}" if error.lineno else ""
        raise UsageError(f"{path}{line}: {error.msg}") from None
    except OSError as error:
        raise UsageError(f"{path}: {error.strerror}") from None


def _is_docstring(node: ast.stmt) -> bool:
    return (
        isinstance(node, ast.Expr)
        and isinstance(node.value, ast.Constant)
        and isinstance(node.value.value, str)
    )


@functools.cache
def versions(*libraries: str) -> dict[str, str]:
    """Return the versions of installed libraries, without local labels such as `+cpu`."""
    # Their metadata says it: no library is imported.
    return {name: version(name).partition("+")[0] for name in libraries}


def python_files(folder: Path, pattern: str = "**/*.py") -> Iterator[Path]:
    """Yield the Python files of a folder, and by default of its subfolders, without hidden ones.

    Editors and notebooks keep locks, backups and checkpoints in hidden files and folders; Python
    imports none of them.
    """
    for path in folder.glob(pattern):
        is_hidden = any(part.startswith(".") for part in path.relative_to(folder).parts)
        if not is_hidden and path.is_file():
            yield path


def code_files(paths: Iterable[str], excluded: Collection[str] = ()) -> list[Path]:
    """Return the Python files of some folders, and single files.

    Args:
        paths: folders and files, relative to the folder that holds bench, methods and datasets.
        excluded: folders and files that are left out of the folders.

    Raises:
        FileNotFoundError: one of the paths does not exist.
    """
    left_out = [ROOT / name for name in excluded]
    files: set[Path] = set()
    for path in (ROOT / name for name in paths):
        if path.is_file():
            files.add(path)
        elif path.is_dir():
            below = python_files(path)
            files.update(f for f in below if not any(f.is_relative_to(p) for p in left_out))
        else:
            raise FileNotFoundError(f"no code in {path}")
    return sorted(files)


@functools.cache
def code_digest(paths: tuple[str, ...], excluded: frozenset[str] = frozenset()) -> str:
    """Return one hash of the files that `code_files` returns.

    Raises:
        UsageError: a file cannot be read as Python.
    """
    files = code_files(paths, excluded)
    return digest([[path.relative_to(ROOT).as_posix(), file_digest(path)] for path in files])


def code_times() -> dict[Path, int]:
    """Return when each file of this suite was last changed, in nanoseconds."""
    return {path: path.stat().st_mtime_ns for path in code_files(FOLDERS)}
