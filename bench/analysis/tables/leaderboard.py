"""The leaderboard: per dataset, mean ± standard deviation over seeds, best and second marked."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from statistics import fmean
from typing import Any

from distillation_bench.bench.analysis.chance_level import (
    CHANCE_SIGN,
    TeacherDetection,
    auroc_metric,
    teacher_detection,
    teacher_labels,
)
from distillation_bench.bench.analysis.results import references_of, table_order
from distillation_bench.bench.analysis.summaries import Summary, best_first, summarise
from distillation_bench.bench.analysis.tables.text_tables import (
    aligned,
    filled,
    piped,
    terminal_width,
)
from distillation_bench.bench.analysis.values_at_bounds import describe_clamped_variances
from distillation_bench.bench.common.text import terminal_safe

MARKS = {"best": "*", "second": "'", "chance": CHANCE_SIGN, "": " "}
ARROWS = {"higher": "↑", "lower": "↓", "": ""}


@dataclass(frozen=True)
class Board:
    """One dataset's table.

    Attributes:
        dataset: its name.
        metrics: columns, with the better direction of each.
        rows: by label, a summary for each metric that it has.
        counts: by label, the number of cells in the means.
        notes: by label, what is failed, missing or skipped; empty if all is well.
        references: labels that are no rivals for best and second.
        footnote: what the OOD figures are means over, and which sets are absent.
        clamped: whose variances are at their bounds.
        standings: of metrics that detect something, how the teacher itself does.
        remarks: on the data.
    """

    dataset: str
    metrics: Mapping[str, str]
    rows: Mapping[str, Mapping[str, Summary]]
    counts: Mapping[str, int]
    notes: Mapping[str, str]
    references: frozenset[str] = frozenset()
    footnote: str = ""
    clamped: str = ""
    standings: Mapping[str, TeacherDetection] = field(default_factory=dict)
    remarks: Sequence[str] = ()

    @property
    def of_chance(self) -> frozenset[str]:
        """Metrics in which nothing is best: the teacher itself detects worse than chance."""
        return frozenset(n for n, each in self.standings.items() if each.is_below_chance)

    @property
    def below(self) -> list[str]:
        """What must be said of its figures, a line each."""
        chance = (
            f"{CHANCE_SIGN} {name}: {each.reason}, so none is best and none is ranked"
            if each.is_below_chance
            else f"{name}: {each.reason}"
            for name, each in self.standings.items()
            if each.reason
        )
        return [line for line in (self.footnote, self.clamped, *chance, *self.remarks) if line]

    def ranked(self, metric: str) -> list[str]:
        """Students from best to worst by mean, of those with all the seeds that any of them has.

        Those without a number are left out, and all where neither direction is better or the
        teacher itself is worse than chance.
        """
        direction = "" if metric in self.of_chance else self.metrics[metric]
        students = {
            label: row[metric]
            for label, row in self.rows.items()
            if metric in row and direction and label not in self.references
        }
        return best_first(students, direction)


def make_boards(
    manifest: Mapping[str, Any],
    results: Iterable[Mapping[str, str]],
    reasons: Mapping[tuple[str, str], str],
) -> list[Board]:
    """A board for each dataset that was asked for, in order of name.

    Args:
        manifest: the run's description.
        results: rows of results.csv.
        reasons: why a (dataset, label) was skipped or failed, for the notes.
    """
    planned: dict[str, dict[str, list[int]]] = {}
    for cell in manifest["cells"].values():
        planned.setdefault(cell["dataset"], {}).setdefault(cell["label"], []).append(cell["seed"])
    found: dict[tuple[str, str], list[Mapping[str, str]]] = {}
    for row in results:
        found.setdefault((row["dataset"], row["label"]), []).append(row)
    order, boards = table_order(manifest), []
    for dataset, seeds in sorted(planned.items()):
        ordered = sorted(seeds, key=order.__getitem__)
        rows = {label: found.get((dataset, label), []) for label in ordered}
        notes = {
            label: _note(each, len(seeds[label]), reasons.get((dataset, label), ""))
            for label, each in rows.items()
        }
        boards.append(_board(manifest, dataset, rows, notes))
    return boards


def _board(
    manifest: Mapping[str, Any],
    dataset: str,
    rows: Mapping[str, Sequence[Mapping[str, str]]],
    notes: Mapping[str, str],
) -> Board:
    """One dataset's, of its rows of results.csv by label."""
    metrics, own = _metrics(manifest["metrics"], rows.values()), teacher_labels(manifest)
    done = {label: [row for row in each if row["status"] == "done"] for label, each in rows.items()}
    every = [row for each in done.values() for row in each]
    return Board(
        dataset=dataset,
        metrics=metrics,
        rows={label: _summaries(each, metrics) for label, each in rows.items()},
        counts={label: len(each) for label, each in done.items()},
        notes=notes,
        references=references_of(manifest),
        footnote=_ood_footnote(manifest.get("ood", {}).get(dataset, {})),
        clamped=describe_clamped_variances(every, own),
        standings=_standings(every, metrics, own),
        remarks=manifest.get("remarks", {}).get(dataset, ()),
    )


def _standings(
    rows: Sequence[Mapping[str, str]], metrics: Iterable[str], own: frozenset[str]
) -> dict[str, TeacherDetection]:
    """Of metrics that detect something, by the teacher's own rows."""
    judges = {name: judge for name in metrics if (judge := auroc_metric(name))}
    of_teacher = [row for row in rows if row["label"] in own]
    return {
        name: teacher_detection(float(row[judge]) for row in of_teacher if row.get(judge))
        for name, judge in judges.items()
    }


def _ood_footnote(sets: Mapping[str, str]) -> str:
    """Over which OOD sets the headline figure is a mean; absent ones are named."""
    present = [f"{name} ({group})" for name, group in sets.items() if "absent" not in group]
    absent = [name for name, group in sets.items() if "absent" in group]
    text = f"ood_auroc: mean over {', '.join(present)}, by total uncertainty" if present else ""
    missing = f"absent OOD sets: {', '.join(absent)}" if absent else ""
    return "; ".join(part for part in (text, missing) if part)


def _metrics(
    known: Mapping[str, Any], rows: Iterable[Sequence[Mapping[str, str]]]
) -> dict[str, str]:
    filled = {name for group in rows for row in group for name, value in row.items() if value}
    return {n: m["better"] for n, m in known.items() if m["headline"] and n in filled}


def _summaries(rows: Sequence[Mapping[str, str]], metrics: Iterable[str]) -> dict[str, Summary]:
    done = [row for row in rows if row["status"] == "done"]
    summaries = {}
    for metric in metrics:
        values = [float(row[metric]) for row in done if row.get(metric)]
        if values:
            summaries[metric] = summarise(values)
    return summaries


def _note(rows: Sequence[Mapping[str, str]], planned: int, reason: str) -> str:
    count = {
        status: sum(row["status"] == status for row in rows) for status in ("failed", "skipped")
    }
    parts = [f"{n} {status}" for status, n in count.items() if n]
    missing = planned - len(rows)
    if missing:
        parts.append(f"{missing} missing")
    text = f"{' and '.join(parts)} of {planned}" if parts else ""
    return f"{text}: {reason}" if text and reason else text


def ranking(boards: Sequence[Board], metric: str) -> list[Board]:
    """Boards that have a metric and a best in it."""
    return [each for each in boards if each.metrics.get(metric) and metric not in each.of_chance]


def average_ranks(boards: Sequence[Board], metric: str) -> dict[str, float]:
    """Mean rank, 1 is best, ties share, over all boards that rank by it; of labels on all."""
    ranks: dict[str, list[float]] = {}
    used = ranking(boards, metric)
    for board in used:
        means = {label: board.rows[label][metric].mean for label in board.ranked(metric)}
        sign = -1 if board.metrics[metric] == "higher" else 1
        for label, mean in means.items():
            better = sum(sign * other < sign * mean for other in means.values())
            equal = sum(other == mean for other in means.values())
            ranks.setdefault(label, []).append(better + (equal + 1) / 2)
    return {label: fmean(each) for label, each in ranks.items() if len(each) == len(used)}


def render(boards: Sequence[Board], markdown: bool = False, width: int | None = None) -> str:
    """All boards and the average ranks, as Markdown or for a terminal; its width unless given."""
    if markdown:
        parts = [_markdown_board(board) for board in boards]
        parts += [_markdown_ranks(boards), _legend("**bold** best, _italic_ second", boards)]
    else:
        width = width or terminal_width()
        parts = [_plain_board(board, width) for board in boards]
        parts += [_plain_ranks(boards, width), filled(_legend("* best, ' second", boards), width)]
    return "\n\n".join(part for part in parts if part)


def _legend(best: str, boards: Sequence[Board]) -> str:
    known = any(board.of_chance for board in boards)
    chance = f"; {CHANCE_SIGN} the teacher itself detects worse than chance" if known else ""
    return (
        f"Mean ± standard deviation (n − 1) over n seeds, on the test split; {best} student by "
        f"mean, of those with all seeds; few seeds may not tell them apart{chance}."
    )


def _plain_board(board: Board, width: int) -> str:
    rows = [_headers(board)]
    for label, cells in _cells(board):
        shown = (_plain(text, place) for text, place in cells)
        rows.append([terminal_safe(label), *shown, str(board.counts[label])])
    notes = [f"{label}: {note}" for label, note in board.notes.items() if note]
    below = [filled(terminal_safe(text), width) for text in (*notes, *board.below)]
    return "\n\n".join([terminal_safe(board.dataset), aligned(rows, width), *below])


def _markdown_board(board: Board) -> str:
    noted = any(board.notes.values())
    rows = []
    for label, cells in _cells(board):
        shown = (_marked_down(text, place) for text, place in cells)
        note = [_escaped(board.notes[label])] if noted else []
        rows.append([_escaped(label), *shown, str(board.counts[label]), *note])
    headers = [*map(_escaped, _headers(board)), *(["cells"] if noted else [])]
    table = piped(rows, headers, left=len(headers) - 1 if noted else 0)
    below = map(_escaped, board.below)
    return "\n\n".join([f"### {_escaped(board.dataset)}", table, *below])


def _headers(board: Board) -> list[str]:
    metrics = [f"{name} {ARROWS[better]}".strip() for name, better in board.metrics.items()]
    return ["method", *metrics, "n"]


def _cells(board: Board) -> Iterator[tuple[str, list[tuple[str, str]]]]:
    """By label, the text of each metric, and whether it is `best`, `second` or of `chance`."""
    marks = {name: marks_of(board, name) for name in board.metrics}
    for label, row in board.rows.items():
        yield (
            label,
            [
                (str(row.get(name, "–")), each.get(label, "") if name in row else "")
                for name, each in marks.items()
            ],
        )


def marks_of(board: Board, metric: str) -> dict[str, str]:
    """By label, `best`, `second`, or `chance` where nothing is best, for references too."""
    if metric in board.of_chance:
        return dict.fromkeys(board.rows, "chance")
    return dict(zip(board.ranked(metric), ("best", "second"), strict=False))


def _plain(text: str, mark: str) -> str:
    # The same width behind each figure keeps them aligned.
    return f"{text} {MARKS[mark]}"


def _marked_down(text: str, mark: str) -> str:
    return {
        "best": f"**{text}**",
        "second": f"_{text}_",
        "chance": f"{text} \\{CHANCE_SIGN}",
    }.get(mark, text)


def _escaped(text: str) -> str:
    # Pipes would end a cell; brackets and stars of names are Markdown's own signs, but a tag or a
    # link would be the run's.
    return re.sub(r"([|<~]|(?<=\])\()", r"\\\1", terminal_safe(text))


def _ranks_title(boards: Sequence[Board]) -> str:
    left_out = " and the teacher not below chance" if any(b.of_chance for b in boards) else ""
    return (
        f"average rank over datasets with the metric{left_out} (1 is best; methods that have it on "
        "all, with all seeds)"
    )


def _plain_ranks(boards: Sequence[Board], width: int) -> str:
    headers, rows = _ranks(boards)
    rows = [[terminal_safe(label), *ranks] for label, *ranks in rows]
    return (
        f"{filled(_ranks_title(boards), width)}\n\n{aligned([headers, *rows], width)}"
        if rows
        else ""
    )


def _markdown_ranks(boards: Sequence[Board]) -> str:
    headers, rows = _ranks(boards)
    rows = [[_escaped(label), *ranks] for label, *ranks in rows]
    return f"### {_ranks_title(boards)}\n\n{piped(rows, [*map(_escaped, headers)])}" if rows else ""


def _ranks(boards: Sequence[Board]) -> tuple[list[str], list[list[str]]]:
    """Headers and rows of average ranks; no rows where there are fewer than two datasets."""
    metrics = list(dict.fromkeys(name for board in boards for name in board.metrics))
    shared = [name for name in metrics if len(ranking(boards, name)) > 1]
    columns = {n: ranks for n in shared if (ranks := average_ranks(boards, n))}
    labels = dict.fromkeys(label for board in boards for label in board.rows)
    rows = [
        [label, *(f"{ranks[label]:.2f}" if label in ranks else "–" for ranks in columns.values())]
        for label in labels
        if any(label in ranks for ranks in columns.values())
    ]
    return ["method", *columns], rows
