"""YAML of plain values, each with its place in the file.

No objects, no numbers that can't be printed or stored, no more values than it looks like.
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
from distillation_bench.bench.storage.schema import LARGEST_WHOLE

LARGEST = 100_000
"""Values of a document."""


class BadNumber(ValueError):
    """A number that is none, or that a run can't keep."""


class Document:
    """A YAML file: its value, and the place of each part of it.

    Raises:
        UsageError: it is not YAML; with file, line and column.
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
            before = text[: error.position].split("\n")
            where = f"{path}:{len(before)}:{len(before[-1]) + 1}"
            raise UsageError(f"{where}: {one_line(error.reason)}") from None
        except RecursionError:
            raise
        except Exception as error:
            # The parser has failures of its own for tags that contradict their values.
            raise UsageError(f"{path}: not YAML ({one_line(error)})") from None

    def place(self, *location: str | int) -> str:
        """file:line:column of a location, as far down as the document goes."""
        mark, node = None, self._root
        for step in location:
            found = _child(node, step)
            if found is None:
                break
            mark, node = found
        return self._at(mark)

    def _at(self, mark: Any) -> str:
        line, column = (mark.line, mark.column) if mark is not None else (0, 0)
        return f"{self.path}:{line + 1}:{column + 1}"


def _child(node: Any, step: str | int) -> tuple[Any, Any] | None:
    """The mark and the node of a key or an index."""
    if isinstance(node, MappingNode):
        for key, value in node.value:
            if key.value == step:
                return key.start_mark, value
    if isinstance(node, SequenceNode) and isinstance(step, int) and step < len(node.value):
        return node.value[step].start_mark, node.value[step]
    return None


def value_of(text: str) -> Any:
    """The value of a text.

    Raises:
        BadNumber: it is a number that can't be kept.
        Exception: it is not YAML; the parser has failures of its own beside YAMLError.
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
    """Whether a document is as small as it looks: an alias stands for all that it names.

    Raises:
        ValueError: it isn't, or something holds itself.
    """
    sizes: dict[int, float] = {}

    def size(node: Any) -> float:
        # What is met again before it is known holds itself.
        if id(node) not in sizes:
            sizes[id(node)] = math.inf
            sizes[id(node)] = 1 + sum(map(size, _parts(node)))
        return sizes[id(node)]

    if size(root) > LARGEST:
        raise ValueError(f"more than {LARGEST:,} values, its aliases written out")


def _parts(node: Any) -> Iterator[Any]:
    if isinstance(node, MappingNode):
        for pair in node.value:
            yield from pair
    elif isinstance(node, SequenceNode):
        yield from node.value


class _PlainValues(SafeConstructor):
    """Text, numbers, booleans, null; a date is text."""

    def construct_yaml_int(self, node: Any) -> int:
        """A whole number that every reader of JSON takes for the same."""
        try:
            value = int(super().construct_yaml_int(node))
        except ValueError:
            # Python reads no more than some thousand digits.
            value = LARGEST_WHOLE
        if abs(value) >= LARGEST_WHOLE:
            reason = "not a whole number, or too large a one"
            raise ConstructorError(None, None, reason, node.start_mark)
        return value


_PlainValues.add_constructor("tag:yaml.org,2002:int", _PlainValues.construct_yaml_int)
_PlainValues.add_constructor("tag:yaml.org,2002:timestamp", SafeConstructor.construct_yaml_str)


def one_line(text: object) -> str:
    """A message of several lines on one."""
    return " ".join(str(text).split())
