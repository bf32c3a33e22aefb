"""What a figure was computed by: hashes of source code and of canonical JSON.

A file's hash leaves out comments, docstrings and layout, so that only a change of what the code
does makes old results stale.
"""

from __future__ import annotations

import ast
import functools
import hashlib
import json
from importlib.metadata import version
from pathlib import Path
from typing import Any

from distillation_bench.bench.common.paths import ROOT


def canonical_json(value: Any) -> str:
    """JSON with sorted keys and no spaces: equal values give equal text."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False)


def digest(value: Any) -> str:
    """SHA-256 of the canonical JSON, 64 hexadecimal digits."""
    return hashlib.sha256(canonical_json(value).encode()).hexdigest()


@functools.cache
def file_digest(path: Path) -> str:
    """SHA-256 of a Python file's meaning: its syntax tree without docstrings."""
    tree = ast.parse(path.read_bytes(), filename=str(path))
    for node in ast.walk(tree):
        body = getattr(node, "body", None)
        if isinstance(body, list) and body and _is_docstring(body[0]):
            node.body = body[1:]  # type: ignore[attr-defined]
    return hashlib.sha256(ast.dump(tree).encode()).hexdigest()


def _is_docstring(node: ast.stmt) -> bool:
    return (
        isinstance(node, ast.Expr)
        and isinstance(node.value, ast.Constant)
        and isinstance(node.value.value, str)
    )


@functools.cache
def versions(*libraries: str) -> dict[str, str]:
    """Of installed libraries, without the build's name; read from their metadata alone."""
    return {name: version(name).partition("+")[0] for name in libraries}


@functools.cache
def code_digest(*patterns: str) -> str:
    """One hash of all the repository's files that match the patterns, whatever their order."""
    files = sorted({path for pattern in patterns for path in ROOT.glob(pattern)})
    return digest([[path.relative_to(ROOT).as_posix(), file_digest(path)] for path in files])
