"""Text for the terminal: nothing that a run holds can move the cursor or change the colours."""

from __future__ import annotations

import os
import re
import sys

from distillation_bench.bench.cli import streams
from distillation_bench.bench.common.text import CHANCE_SIGN, terminal_safe

GREY, DEFAULT_COLOUR = "\x1b[90m", "\x1b[39m"


class Terminal:
    """Stdout as a file to write to; no line can move the cursor."""

    def write(self, text: str, /) -> int:
        """Write text, and return its number of characters."""
        streams.write(_safe_lines(text))
        return len(text)


def page(text: str) -> None:
    """Print the answer of a command; values that are worse than chance are grey."""
    lines = _safe_lines(text.rstrip())
    streams.write(f"{_with_grey_values(lines) if _has_colours() else lines}\n")


def notice(text: str) -> None:
    """Print a line on stderr."""
    print(terminal_safe(text), file=sys.stderr)


def _safe_lines(text: str) -> str:
    return "\n".join(map(terminal_safe, text.split("\n")))


def _with_grey_values(text: str) -> str:
    """Colour the values of a table that end in the sign for worse than chance."""
    value = rf"(?:-?\d\S*|nan|-?inf)(?: ± \S+)?(?: \(\d+\))? {CHANCE_SIGN}(?=\s|$)"
    return re.sub(value, rf"{GREY}\g<0>{DEFAULT_COLOUR}", text)


def _has_colours() -> bool:
    """Return whether stdout is a terminal with colours, and NO_COLOR is not set."""
    return (
        sys.stdout.isatty() and os.environ.get("TERM") != "dumb" and not os.environ.get("NO_COLOR")
    )
