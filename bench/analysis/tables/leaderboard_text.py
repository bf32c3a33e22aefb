"""Leaderboards for the terminal and as Markdown."""

from __future__ import annotations

from collections.abc import Sequence

from distillation_bench.bench.analysis.markup.markdown import (
    emphasised,
    escape_markdown,
    markdown_table,
)
from distillation_bench.bench.analysis.markup.text_tables import (
    aligned_table,
    terminal_width,
    wrap_words,
)
from distillation_bench.bench.analysis.old_chance_level import CHANCE_SIGN
from distillation_bench.bench.analysis.old_summaries import Summary
from distillation_bench.bench.analysis.tables.leaderboard import (
    Leaderboard,
    ranked_labels,
    shared_ranks,
)
from distillation_bench.bench.common.text import terminal_safe

MARKS = {"best": "*", "second": "'", "chance": CHANCE_SIGN, "": " "}
ARROWS = {"higher": "↑", "lower": "↓", "": ""}


def leaderboard_text(leaderboards: Sequence[Leaderboard], width: int | None = None) -> str:
    """Return all leaderboards and the average ranks for a terminal, by default of its width."""
    width = width or terminal_width()
    parts = [_text_board(leaderboard, width) for leaderboard in leaderboards]
    if rows := _rank_rows(leaderboards):
        rows = [[terminal_safe(label), *ranks] for label, *ranks in rows]
        title = wrap_words(_ranks_title(leaderboards), width)
        parts.append(f"{title}\n\n{aligned_table(rows, width)}")
    parts.append(wrap_words(_legend("* best, ' second", leaderboards), width))
    return "\n\n".join(parts)


def leaderboard_markdown(leaderboards: Sequence[Leaderboard]) -> str:
    """Return all leaderboards and the average ranks as Markdown."""
    parts = [_markdown_board(leaderboard) for leaderboard in leaderboards]
    if rows := _rank_rows(leaderboards):
        headers, *body = [[escape_markdown(label), *ranks] for label, *ranks in rows]
        headers = [headers[0], *map(escape_markdown, headers[1:])]
        parts.append(f"### {_ranks_title(leaderboards)}\n\n{markdown_table(body, headers)}")
    parts.append(_legend("**bold** best, _italic_ second", leaderboards))
    return "\n\n".join(parts)


def _text_board(board: Leaderboard, width: int) -> str:
    rows = [_headers(board)]
    for label, summaries in board.marked_rows():
        cells = (_text_cell(summary, mark) for summary, mark in summaries)
        rows.append([terminal_safe(label), *cells, str(board.counts[label])])
    notes = [f"{label}: {note}" for label, note in board.notes.items() if note]
    lines = [wrap_words(terminal_safe(text), width) for text in (*notes, *board.footnotes)]
    return "\n\n".join([terminal_safe(board.dataset), aligned_table(rows, width), *lines])


def _text_cell(summary: Summary | None, mark: str) -> str:
    # A sign of the same width behind each value keeps them aligned.
    return f"{summary or '–'} {MARKS[mark]}"


def _markdown_board(board: Leaderboard) -> str:
    has_notes = any(board.notes.values())
    rows = []
    for label, summaries in board.marked_rows():
        cells = (_markdown_cell(summary, mark) for summary, mark in summaries)
        note = [escape_markdown(board.notes[label])] if has_notes else []
        rows.append([escape_markdown(label), *cells, str(board.counts[label]), *note])
    headers = [*map(escape_markdown, _headers(board)), *(["cells"] if has_notes else [])]
    table = markdown_table(rows, headers, left=[len(headers) - 1] if has_notes else [])
    lines = map(escape_markdown, board.footnotes)
    return "\n\n".join([f"### {escape_markdown(board.dataset)}", table, *lines])


def _markdown_cell(summary: Summary | None, mark: str) -> str:
    text = emphasised(str(summary or "–"), mark)
    return f"{text} {escape_markdown(CHANCE_SIGN)}" if mark == "chance" else text


def _headers(board: Leaderboard) -> list[str]:
    metrics = [f"{name} {ARROWS[better]}".strip() for name, better in board.metrics.items()]
    return ["method", *metrics, "n"]


def _legend(best: str, leaderboards: Sequence[Leaderboard]) -> str:
    below_chance = any(board.below_chance for board in leaderboards)
    chance = f"; {CHANCE_SIGN} the teacher itself detects worse than chance" if below_chance else ""
    return (
        f"Mean ± standard deviation (n − 1) over n seeds, on the test split; {best} student by "
        "mean, of those with all seeds; with few seeds they may not be statistically "
        f"distinguishable{chance}."
    )


def _ranks_title(leaderboards: Sequence[Leaderboard]) -> str:
    below_chance = any(board.below_chance for board in leaderboards)
    condition = " and the teacher not below chance" if below_chance else ""
    return (
        f"average rank over datasets with the metric{condition} (1 is best; methods that have it "
        "on all, with all seeds)"
    )


def _rank_rows(leaderboards: Sequence[Leaderboard]) -> list[list[str]]:
    """Return the headers and the rows of average ranks; none with fewer than two datasets."""
    ranks = shared_ranks(leaderboards)
    rows = [
        [
            label,
            *(
                f"{by_label[label]:.2f}" if label in by_label else "–"
                for by_label in ranks.values()
            ),
        ]
        for label in ranked_labels(leaderboards, ranks)
    ]
    return [["method", *ranks], *rows] if rows else []
