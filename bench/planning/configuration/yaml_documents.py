"""YAML of plain values, with the location of each value in its file.

Documents that build objects, hold numbers that cannot be stored, or expand by aliases to far more
values than they seem to hold are refused.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.constructor import ConstructorError, SafeConstructor
from ruamel.yaml.error import MarkedYAMLError
from ruamel.yaml.nodes import MappingNode, SequenceNode
from ruamel.yaml.reader import ReaderError

from distillation_bench.bench.common.errors import UsageError
from distillation_bench.bench.storage.formats.limits import INTEGER_BOUND

MAX_VALUES = 100_000
"""The largest number of values in a document, aliases expanded."""


class BadNumber(ValueError):
    """A malformed number, or one that a run cannot store."""


class Document:
    """A YAML file: its value, and the location of each part of it.

    Raises:
        UsageError: the text is not YAML; the message has file, line and column.
    """

    def __init__(self, path: Path, text: str) -> None:
        self.path = path
        try:
            self._root = _yaml().compose(text)
            _check_size(self._root)
            self.value = _yaml().load(text)
        except MarkedYAMLError as error:
            mark = error.problem_mark or error.context_mark
            raise UsageError(f"{self._at(mark)}: {one_line(error.problem)}") from None
        except ReaderError as error:
            lines = text[: error.position].split("\n")
            location = f"{path}:{len(lines)}:{len(lines[-1]) + 1}"
            raise UsageError(f"{location}: {one_line(error.reason)}") from None
        except RecursionError:
            raise
        except Exception as error:
            # The parser raises other errors for tags that contradict their values.
            raise UsageError(f"{path}: not YAML ({one_line(error)})") from None

    def location(self, *path: str | int) -> str:
        """Return file:line:column of a path of keys and indices, or of its nearest ancestor."""
        mark, node = None, self._root
        for step in path:
            child = _child(node, step)
            if child is None:
                break
            mark, node = child
        return self._at(mark)

    def _at(self, mark: Any) -> str:
        line, column = (mark.line, mark.column) if mark is not None else (0, 0)
        return f"{self.path}:{line + 1}:{column + 1}"


def _child(node: Any, step: str | int) -> tuple[Any, Any] | None:
    """Return the mark and the node of a key or an index."""
    if isinstance(node, MappingNode):
        for key, value in node.value:
            if key.value == step:
                return key.start_mark, value
    if isinstance(node, SequenceNode) and isinstance(step, int) and step < len(node.value):
        return node.value[step].start_mark, node.value[step]
    return None


def parse_yaml(text: str) -> Any:
    """Return the value of a YAML text.

    Raises:
        BadNumber: it holds a number that a run cannot store.
        Exception: it is not YAML; the parser raises more than YAMLError.
    """
    try:
        _check_size(_yaml().compose(text))
        return _yaml().load(text)
    except ConstructorError as error:
        raise BadNumber(error.problem) from None


def _yaml() -> YAML:
    yaml = YAML(typ="safe", pure=True)
    yaml.Constructor = _PlainValues
    return yaml


def _check_size(root: Any) -> None:
    """Raise ValueError if a document, its aliases expanded, is too large or contains itself."""
    sizes: dict[int, float] = {}

    def size(node: Any) -> float:
        # A node that contains itself is met again before its size is known: it is infinite.
        if id(node) not in sizes:
            sizes[id(node)] = math.inf
            sizes[id(node)] = 1 + sum(map(size, _children(node)))
        return sizes[id(node)]

    if size(root) > MAX_VALUES:
        raise ValueError(f"more than {MAX_VALUES:,} values, its aliases written out")


def _children(node: Any) -> Iterator[Any]:
    if isinstance(node, MappingNode):
        for pair in node.value:
            yield from pair
    elif isinstance(node, SequenceNode):
        yield from node.value


class _PlainValues(SafeConstructor):
    """Constructs text, numbers, booleans, null, lists and mappings; a date is text."""

    def construct_yaml_int(self, node: Any) -> int:
        """Construct a whole number that JSON can represent exactly."""
        try:
            value = int(super().construct_yaml_int(node))
        except ValueError:
            # Python refuses to convert more than 4,300 digits.
            value = INTEGER_BOUND
        if abs(value) >= INTEGER_BOUND:
            reason = "not a whole number, or too large a one"
            raise ConstructorError(None, None, reason, node.start_mark)
        return value


_PlainValues.add_constructor("tag:yaml.org,2002:int", _PlainValues.construct_yaml_int)
_PlainValues.add_constructor("tag:yaml.org,2002:timestamp", SafeConstructor.construct_yaml_str)


def one_line(text: object) -> str:
    """Return a message of several lines as one line."""
    return " ".join(str(text).split())
