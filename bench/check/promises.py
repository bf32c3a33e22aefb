"""What a check is, and how it says what is wrong."""

from __future__ import annotations

from collections.abc import Callable

Check = tuple[str, Callable[[], None]]
"""A promise of the contract, and a function that raises if it isn't kept."""


class Broken(Exception):
    """A promise of the contract is not kept; the message says which."""


def require(condition: bool, message: str) -> None:
    """Raise Broken unless the condition holds."""
    if not condition:
        raise Broken(message)
