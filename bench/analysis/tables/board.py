"""The leaderboard: per dataset, mean ± standard deviation over seeds, best and second marked."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean, stdev
from typing import Any

from tabulate import tabulate

ARROWS = {"higher": "↑", "lower": "↓", "": ""}


@dataclass(frozen=True)
class Summary:
    """A figure over seeds: the mean, the standard deviation with n − 1 (nan for n = 1), n."""

    mean: float
    deviation: float
    n: int

    def __str__(self) -> str:
        if math.isnan(self.mean):
            return "nan"
        deviation = "" if math.isnan(self.deviation) else f" ± {_digits(self.deviation)}"
        return f"{_digits(self.mean)}{deviation}"


def _digits(value: float) -> str:
    return f"{value:.0f}" if abs(value) >= 1000 else f"{value:.3f}"


def summarise(values: Sequence[float]) -> Summary:
    """Mean and standard deviation; a value that is not finite makes them so."""
    if not all(map(math.isfinite, values)):
        return Summary(
            math.nan if any(map(math.isnan, values)) else math.inf, math.nan, len(values)
        )
    return Summary(fmean(values), stdev(values) if len(values) > 1 else math.nan, len(values))


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
    """

    dataset: str
    metrics: Mapping[str, str]
    rows: Mapping[str, Mapping[str, Summary]]
    counts: Mapping[str, int]
    notes: Mapping[str, str]
    references: frozenset[str] = frozenset()
    footnote: str = ""

    def ranked(self, metric: str) -> list[str]:
        """Labels from best to worst by mean; those without a number or a direction are left out."""
        direction = self.metrics[metric]
        complete = {
            label: row[metric].mean
            for label, row in self.rows.items()
            if metric in row
            and direction
            and not math.isnan(row[metric].mean)
            and label not in self.references
        }
        return sorted(complete, key=lambda label: complete[label], reverse=direction == "higher")


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
    order = _table_order(manifest)
    references = frozenset(
        cell["label"]
        for cell in manifest["cells"].values()
        if cell["method"] in _method_names(manifest, only_references=True)
    )
    boards = []
    for dataset, labels in sorted(planned.items()):
        ordered = sorted(labels, key=lambda label: order[label])
        rows = {label: found.get((dataset, label), []) for label in ordered}
        metrics = _metrics(manifest["metrics"], rows.values())
        notes = {
            label: _note(rows[label], len(labels[label]), reasons.get((dataset, label), ""))
            for label in ordered
        }
        summaries = {label: _summaries(rows[label], metrics) for label in ordered}
        counts = {label: sum(row["status"] == "ok" for row in rows[label]) for label in ordered}
        footnote = _ood_footnote(manifest.get("ood", {}).get(dataset, {}))
        boards.append(Board(dataset, metrics, summaries, counts, notes, references, footnote))
    return boards


def _ood_footnote(sets: Mapping[str, str]) -> str:
    """Over which OOD sets the headline figure is a mean; absent ones are named."""
    present = [f"{name} ({group})" for name, group in sets.items() if "absent" not in group]
    absent = [name for name, group in sets.items() if "absent" in group]
    text = f"ood_auroc: mean over {', '.join(present)}, by total uncertainty" if present else ""
    missing = f"absent OOD sets: {', '.join(absent)}" if absent else ""
    return "; ".join(part for part in (text, missing) if part)


def _method_names(manifest: Mapping[str, Any], only_references: bool = False) -> list[str]:
    methods = manifest["methods"]
    return [each["name"] for each in methods if each["reference"] or not only_references]


def _table_order(manifest: Mapping[str, Any]) -> dict[str, tuple[int, str]]:
    """By label: the place of its method in the registry, then the label."""
    places = {method: place for place, method in enumerate(_method_names(manifest))}
    return {
        cell["label"]: (places.get(cell["method"], len(places)), cell["label"])
        for cell in manifest["cells"].values()
    }


def _metrics(
    known: Mapping[str, Any], rows: Iterable[Sequence[Mapping[str, str]]]
) -> dict[str, str]:
    filled = {name for group in rows for row in group for name, value in row.items() if value}
    return {n: m["better"] for n, m in known.items() if m["headline"] and n in filled}


def _summaries(rows: Sequence[Mapping[str, str]], metrics: Iterable[str]) -> dict[str, Summary]:
    done = [row for row in rows if row["status"] == "ok"]
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
        parts.append(f"{missing} not run")
    text = f"{' and '.join(parts)} of {planned}" if parts else ""
    return f"{text}: {reason}" if text and reason else text


def average_ranks(boards: Sequence[Board], metric: str) -> dict[str, float]:
    """Mean rank, 1 is best, ties share, over all boards with the metric; of labels on all."""
    ranks: dict[str, list[float]] = {}
    used = [board for board in boards if board.metrics.get(metric)]
    for board in used:
        means = {label: board.rows[label][metric].mean for label in board.ranked(metric)}
        sign = -1 if board.metrics[metric] == "higher" else 1
        for label, mean in means.items():
            better = sum(sign * other < sign * mean for other in means.values())
            equal = sum(other == mean for other in means.values())
            ranks.setdefault(label, []).append(better + (equal + 1) / 2)
    return {label: fmean(each) for label, each in ranks.items() if len(each) == len(used)}


def render(boards: Sequence[Board], markdown: bool = False) -> str:
    """All boards and the average ranks, for the terminal or as Markdown."""
    parts = [_render_board(board, markdown) for board in boards]
    parts.append(_render_ranks(boards, markdown))
    best = "**bold** best, _italic_ second" if markdown else "* best, ' second"
    parts.append(
        f"Mean ± standard deviation (n − 1) over n seeds, on the test split; {best} student by "
        "mean, which few seeds may not tell apart."
    )
    return "\n\n".join(part for part in parts if part)


def _render_board(board: Board, markdown: bool) -> str:
    marks = {name: board.ranked(name)[:2] for name in board.metrics}
    noted = any(board.notes.values())
    table = []
    for label, row in board.rows.items():
        cells = [_mark(row.get(name), label, marks[name], markdown) for name in board.metrics]
        note = [board.notes[label]] if noted else []
        table.append([label, *cells, str(board.counts[label]), *note])
    header = [f"{name} {ARROWS[better]}".strip() for name, better in board.metrics.items()]
    headers = ["method", *header, "n", *(["cells"] if noted else [])]
    title = f"### {board.dataset}" if markdown else board.dataset
    footnote = f"\n\n{board.footnote}" if board.footnote else ""
    return f"{title}\n\n{_table(table, headers, markdown)}{footnote}"


def _mark(summary: Summary | None, label: str, best: Sequence[str], markdown: bool) -> str:
    if summary is None:
        return "–"
    text = str(summary)
    if best[:1] == [label]:
        return f"**{text}**" if markdown else f"{text} *"
    if label in best:
        return f"_{text}_" if markdown else f"{text} '"
    return text if markdown else f"{text}  "


def _render_ranks(boards: Sequence[Board], markdown: bool) -> str:
    metrics = list(dict.fromkeys(name for board in boards for name in board.metrics))
    columns = {name: average_ranks(boards, name) for name in metrics}
    shared = {n for n in metrics if sum(n in board.metrics for board in boards) > 1}
    columns = {n: ranks for n, ranks in columns.items() if ranks and n in shared}
    labels = list(dict.fromkeys(label for board in boards for label in board.rows))
    labels = [label for label in labels if any(label in ranks for ranks in columns.values())]
    if len(boards) < 2 or not labels:
        return ""
    table = [
        [label, *(f"{ranks[label]:.2f}" if label in ranks else "–" for ranks in columns.values())]
        for label in labels
    ]
    title = "average rank over datasets with the metric (1 is best; methods that have it on all)"
    title = f"### {title}" if markdown else title
    return f"{title}\n\n{_table(table, ['method', *columns], markdown)}"


def _table(rows: Sequence[Sequence[str]], headers: Sequence[str], markdown: bool) -> str:
    # Pipes would end a cell; brackets and stars of names are Markdown's own signs.
    style = "pipe" if markdown else "simple"
    align = ["left", *["right"] * (len(headers) - 1)]
    if headers[-1] == "cells":
        align[-1] = "left"
    if markdown:
        rows = [[str(cell).replace("|", "\\|") for cell in row] for row in rows]
    return tabulate(rows, headers, tablefmt=style, disable_numparse=True, colalign=align)
