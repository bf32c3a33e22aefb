"""What a check is, and how it fails."""

from __future__ import annotations

from collections.abc import Callable

Check = tuple[str, Callable[[], None]]
"""What is checked, and a function that raises `ContractBroken` if it does not hold."""


class ContractBroken(Exception):
    """A plugin breaks the contract; the message says how."""


def require(condition: bool, message: str) -> None:
    """Raise ContractBroken unless the condition holds."""
    if not condition:
        raise ContractBroken(message)
