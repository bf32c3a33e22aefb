"""Text that is wrapped or cut to a width in inches; labels may hold any characters."""

from __future__ import annotations

import re
from functools import lru_cache

from matplotlib.font_manager import FontProperties, findfont, get_font
from matplotlib.textpath import text_to_path

from distillation_bench.bench.figures.old.appearance.style import FONT, FONT_SIZE

MARGIN = 1.05
"""Text may be this many times as wide as the width that it is wrapped to."""


def drawable(text: str) -> str:
    """Return text whose characters the font has, the others as �.

    A leading underscore gets a space before it, since legends leave out such labels.
    """
    text = " ".join(text.split("\n"))
    font = get_font(findfont(FontProperties(family=[FONT])))
    shown = "".join(c if font.get_char_index(ord(c)) else "\N{REPLACEMENT CHARACTER}" for c in text)
    return f" {shown}" if shown.startswith("_") else shown


@lru_cache(maxsize=4096)
def text_width(text: str) -> float:
    """Return the width of a line of text in inches."""
    font = FontProperties(family=[FONT], size=FONT_SIZE)
    width, _, _ = text_to_path.get_text_width_height_descent(text, font, ismath=False)
    return float(width) / 72


def wrap(text: str, width: float, lines: int = 3) -> str:
    """Wrap text to a width in inches; what does not fit into the number of lines is cut off."""
    text = drawable(text)
    if text_width(text) <= width * MARGIN:
        return text
    if lines == 1:
        return _cut(text, width)
    wrapped = _wrapped_lines(text, width)
    if len(wrapped) > lines:
        wrapped[lines - 1 :] = [_cut("".join(wrapped[lines - 1 :]), width)]
    return "\n".join(line.strip() for line in wrapped)


def _wrapped_lines(text: str, width: float) -> list[str]:
    lines = [""]
    # Labels of variants also break at commas and before their parameters.
    for part in re.split(r"(?<=[ ,])|(?=\[)", text):
        rest = part
        if lines[-1] and text_width(lines[-1] + rest.rstrip()) > width * MARGIN:
            lines.append("")
        while text_width(rest) > width * MARGIN:
            head = rest[: max(1, int(len(rest) * width / text_width(rest)))]
            lines[-1:] = [head, ""]
            rest = rest[len(head) :]
        lines[-1] += rest
    return lines


def _cut(text: str, width: float) -> str:
    while len(text) > 1 and text_width(f"{text}…") > width * MARGIN:
        text = text[: min(len(text) - 1, int(len(text) * width / text_width(text)))]
    return f"{text}…"
