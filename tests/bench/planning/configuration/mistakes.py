"""Checks of the answers to any text, shared by the tests of configuration."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from hypothesis import settings

from distillation_bench.bench.common.errors import UsageError

Mistake = Callable[..., str]
thorough = settings(max_examples=300, deadline=None)

LONG = "1" * 5000


def assert_answered(function: Callable[[Any], Any], argument: Any) -> None:
    """Call a function, whose UsageError has to be one line."""
    try:
        function(argument)
    except UsageError as error:
        assert len(str(error).splitlines()) == 1
