"""Schedules: parameters that change during training, from one value to another.

The notation is the same in presets, on the command line and in `str()`: `0.5`,
`linear(0, 4, 50, 150)`, `cosine(10, 1, 33%, 67%)`. Up to the first epoch given the value is the
first one, from the last epoch on it is the second one. Epochs in `%` are a share of the training.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any

from pydantic import PlainSerializer, PlainValidator


def _short(value: float) -> str:
    """Return the shortest text that reads back as the same number."""
    text = f"{value:g}"
    return text if float(text) == value else repr(value)


@dataclass(frozen=True)
class Ramp:
    """A schedule from one value to another.

    Attributes:
        start, end: the values.
        first, last: the epochs between which the value changes, counted from 0.
        relative: whether `first` and `last` are per cent of all epochs.
    """

    start: float
    end: float
    first: float
    last: float
    relative: bool = False

    def at(self, epoch: int, epochs: int) -> float:
        """Return the value at an epoch, counted from 0, of a training of `epochs`."""
        unit = epochs / 100 if self.relative else 1.0
        first, last = self.first * unit, self.last * unit
        progress = (epoch - first) / (last - first) if last > first else float(epoch >= first)
        share = self._shape(min(1.0, max(0.0, progress)))
        return self.start * (1 - share) + self.end * share

    def _shape(self, progress: float) -> float:
        """Map progress from 0 to 1 onto the share of the way from `start` to `end`."""
        raise NotImplementedError

    def __str__(self) -> str:
        sign = "%" if self.relative else ""
        start, end, first, last = map(_short, (self.start, self.end, self.first, self.last))
        return f"{type(self).__name__.lower()}({start}, {end}, {first}{sign}, {last}{sign})"


class Linear(Ramp):
    """A straight line."""

    def _shape(self, progress: float) -> float:
        return progress


class Cosine(Ramp):
    """Half a cosine, flat at both ends."""

    def _shape(self, progress: float) -> float:
        return (1 - math.cos(math.pi * progress)) / 2


_RAMPS: dict[str, type[Ramp]] = {"linear": Linear, "cosine": Cosine}
_NOTATION = re.compile(r"\s*(\w+)\s*\(([^()]*)\)\s*")
_USAGE = "a number, constant(x), or linear(from, to, first, last) or cosine(...) in epochs or %"


def parse_schedule(value: Any) -> float | Ramp:
    """Return the number or schedule that a value or its notation stands for.

    Raises:
        ValueError: the value is none of these.
    """
    if isinstance(value, Ramp):
        return value
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        if not math.isfinite(value):
            raise ValueError("must be finite")
        return float(value)
    match = _NOTATION.fullmatch(value) if isinstance(value, str) else None
    if match is None:
        raise ValueError(f"{value!r} is not {_USAGE}")
    return _ramp(match[1], [argument.strip() for argument in match[2].split(",")])


def _ramp(name: str, arguments: list[str]) -> float | Ramp:
    """Return the schedule `name(arguments)`; raise ValueError if there is no such schedule."""
    values, epochs = arguments[:2], arguments[2:]
    relative = bool(epochs) and all(epoch.endswith("%") for epoch in epochs)
    if relative:
        epochs = [epoch.removesuffix("%") for epoch in epochs]
    try:
        numbers = [float(number) for number in values + epochs]
    except ValueError:
        numbers = []
    if all(map(math.isfinite, numbers)):
        if name == "constant" and len(numbers) == 1:
            return numbers[0]
        if name in _RAMPS and len(numbers) == 4 and 0 <= numbers[2] <= numbers[3]:
            start, end, first, last = numbers
            return _RAMPS[name](start, end, first, last, relative)
    raise ValueError(f"{name}({', '.join(arguments)}) is not {_USAGE}")


def value_at(value: Any, epoch: int, epochs: int) -> Any:
    """Return the value of a schedule at an epoch; return anything else unchanged."""
    return value.at(epoch, epochs) if isinstance(value, Ramp) else value


def _within(lowest: float, highest: float, open_below: bool = False) -> Callable[[Any], Any]:
    """Return a validator of numbers and schedules within bounds.

    Args:
        lowest, highest: the bounds.
        open_below: whether `lowest` itself is not allowed.
    """

    def validate(value: Any) -> float | Ramp:
        parsed = parse_schedule(value)
        ends = [parsed.start, parsed.end] if isinstance(parsed, Ramp) else [parsed]
        for end in ends:
            if not lowest <= end <= highest or (open_below and end == lowest):
                bound = f"{'above' if open_below else 'at least'} {lowest:g}"
                bound += f" and at most {highest:g}" if math.isfinite(highest) else ""
                raise ValueError(f"must be {bound}, not {end:g}")
        return parsed

    return validate


def _plain(value: Any) -> Any:
    """Return a value as JSON and YAML can hold it."""
    return str(value) if isinstance(value, Ramp) else value


# For type checkers these are numbers, as `Parameters.at` makes them at each epoch.
Coefficient = Annotated[float, PlainValidator(_within(0, math.inf)), PlainSerializer(_plain)]
"""A weight, at least 0: a number or a schedule."""
Share = Annotated[float, PlainValidator(_within(0, 1)), PlainSerializer(_plain)]
"""A share, 0 to 1: a number or a schedule."""
Temperature = Annotated[
    float, PlainValidator(_within(0, math.inf, open_below=True)), PlainSerializer(_plain)
]
"""A temperature, above 0: a number or a schedule."""
