"""The arguments of `run`, checked and written as the command line writes them.

So each mistake is found by the same code, with the same message, and the run's description holds a
command that does the same.
"""

from __future__ import annotations

import json
import math
import operator
import os
from collections.abc import Iterable, Mapping
from dataclasses import fields
from itertools import pairwise
from pathlib import Path
from typing import Any

from distillation_bench.bench.api.python_words import option_of
from distillation_bench.bench.common.devices import MAX_CLUSTER_JOBS, MAX_JOBS_PER_GPU
from distillation_bench.bench.common.errors import UsageError
from distillation_bench.bench.common.paths import PACKAGE
from distillation_bench.bench.common.text import truncated
from distillation_bench.bench.execution.launch import MAX_TIMEOUT, MIN_TIMEOUT, Execution
from distillation_bench.bench.planning.request import Request

TextOrTexts = str | Iterable[str]
AnyPath = str | os.PathLike[str]
Seeds = int | str | Iterable[int | str]

_LISTS = ("methods", "datasets", "ood")
_PATHS = ("results", "cache", "data_root")
_VARIABLES = {"cache": "BENCH_CACHE", "data_root": "BENCH_DATA"}
_LIMITS: Mapping[str, tuple[type, float, float]] = {
    "jobs": (int, 1, MAX_CLUSTER_JOBS),
    "cells_per_gpu": (int, 1, MAX_JOBS_PER_GPU),
    "checkpoint": (float, 0, math.inf),
    "timeout": (float, MIN_TIMEOUT, MAX_TIMEOUT),
}
"""Numbers, with their types and limits."""


def as_written(arguments: Mapping[str, Any]) -> tuple[Request, Execution, list[str]]:
    """Return what the arguments ask for, and the command line that asks for the same.

    Raises:
        UsageError: an argument is of the wrong type or out of its range.
    """
    written = {name: _written(name, value) for name, value in arguments.items()}
    given = {name: value for name, value in written.items() if value is not None}
    command = ["python", "-m", PACKAGE, "run"]
    for name, value in given.items():
        command += _options(name, value)
    for name, variable in _VARIABLES.items():
        if folder := os.environ.get(variable):
            given.setdefault(name, Path(folder))
    request, execution = (
        {field.name: given[field.name] for field in fields(group) if field.name in given}
        for group in (Request, Execution)
    )
    return Request(**request), Execution(**execution), command


def _written(name: str, value: Any) -> Any:
    """Return an argument as `Request` or `Execution` has it; None for the default."""
    if value is None:
        return None
    if name == "seeds":
        return _seeds(value)
    if name == "recipe":
        return _recipe(value)
    if name in _LISTS:
        return _texts(name, value, str)
    if name == "plugins":
        return _texts(name, value, os.PathLike, str)
    if name in _PATHS:
        return Path(_text(name, value, os.PathLike, str))
    if name in _LIMITS:
        return _number(name, value)
    if name in ("preset", "corruptions"):
        return _text(name, value, os.PathLike, str)
    if isinstance(getattr(Execution, name, None), bool):
        return _flag(name, value)
    return _text(name, value, str) or None


def _wrong(name: str, value: Any, reason: str) -> UsageError:
    return UsageError(f"{name}={truncated(repr(value), 100)}: {reason}")


def _text(name: str, value: Any, *types: type) -> str:
    if not isinstance(value, types):
        raise _wrong(name, value, "not a text")
    return str(value)


def _texts(name: str, value: Any, *types: type) -> tuple[str, ...]:
    texts = _any_texts(name, value, *types)
    if not texts:
        raise _wrong(name, value, "is empty; leave it out for what the preset says")
    return texts


def _any_texts(name: str, value: Any, *types: type) -> tuple[str, ...]:
    values = (value,) if isinstance(value, types) else value
    if isinstance(value, bytes) or not isinstance(values, Iterable):
        raise _wrong(name, value, "not a text or a list of texts")
    return tuple(_text(name, element, *types) for element in values)


def text_of(name: str, value: Any) -> str:
    """Return an argument that is a text.

    Raises:
        UsageError: it is something else.
    """
    return _text(name, value, str)


def paths_of(name: str, value: AnyPath | Iterable[AnyPath]) -> tuple[str, ...]:
    """Return an argument that is a path or several as texts.

    Raises:
        UsageError: it is something else.
    """
    return _any_texts(name, value, os.PathLike, str)


def texts_of(name: str, value: TextOrTexts | None) -> tuple[str, ...]:
    """Return an argument that is a text or several as a tuple; empty if it is not given.

    Raises:
        UsageError: it is something else, or an empty list.
    """
    texts = () if value is None else _any_texts(name, value, str)
    if value is not None and not texts:
        raise _wrong(name, value, "is empty; leave it out for all")
    return texts


def _seeds(value: Any) -> tuple[str, ...]:
    """Return seeds as texts; those that follow one another as a range, such as `0-2`."""
    values = value if isinstance(value, Iterable) and not isinstance(value, str) else (value,)
    numbers, texts = [], []
    for seed in values:
        try:
            numbers.append(operator.index(seed))
        except TypeError:
            texts.append(seed if isinstance(seed, str) else repr(seed))
    if not numbers and not texts:
        raise _wrong("seeds", value, "is empty; leave it out for what the preset says")
    numbers = sorted(set(numbers))
    if len(numbers) > 1 and numbers[0] >= 0 and all(b == a + 1 for a, b in pairwise(numbers)):
        return (f"{numbers[0]}-{numbers[-1]}", *texts)
    return (*map(str, numbers), *texts)


def _recipe(value: Any) -> tuple[str, ...] | None:
    """Return `name=value` for each entry, and `network.option=value` for those of a network."""
    if not isinstance(value, Mapping):
        raise _wrong("recipe", value, 'not a mapping such as {"epochs": 5}')
    texts = []
    for name, entry in value.items():
        if name == "network" and isinstance(entry, Mapping):
            texts += [f"network.{option}={_yaml(option, x)}" for option, x in entry.items()]
        else:
            texts.append(f"{name}={_yaml(name, entry)}")
    return tuple(texts) or None


def _yaml(name: str, value: Any) -> str:
    """Return a value as YAML, of which JSON is a part; numbers of numpy are numbers."""
    try:
        return json.dumps(value, default=lambda number: number.item(), allow_nan=False)
    except (AttributeError, TypeError, ValueError):
        raise _wrong(f"recipe: {name}", value, "not a value of a recipe") from None


def _number(name: str, value: Any) -> Any:
    kind, low, high = _LIMITS[name]
    is_number = isinstance(value, int if kind is int else (int, float)) and value is not True
    if not is_number or not low <= value <= high:
        expected = "a whole number" if kind is int else "a number"
        limits = f"from {low}" if high == math.inf else f"from {low} to {high:,.0f}"
        raise _wrong(name, value, f"not {expected} {limits}")
    return value


def _flag(name: str, value: Any) -> bool:
    if not isinstance(value, bool):
        raise _wrong(name, value, "neither True nor False")
    return value


def _options(name: str, value: Any) -> list[str]:
    """Return an argument as options of the command line; none for a default."""
    if value == getattr(Request, name, None) or value == getattr(Execution, name, None):
        return []
    option = option_of(name)
    if value is True:
        return [option]
    values = value if isinstance(value, tuple) else (value,)
    return [word for text in values for word in (option, str(text))]
