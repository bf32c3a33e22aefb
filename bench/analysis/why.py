"""Why a cell is as it is: its status, what made it, its figures and how its training went."""

from __future__ import annotations

import difflib
import math
import textwrap
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from tabulate import tabulate

from distillation_bench.bench.analysis.tables.text_tables import terminal_width
from distillation_bench.bench.common.errors import UsageError
from distillation_bench.bench.common.hashing import canonical_json
from distillation_bench.bench.common.text import duration, terminal_safe
from distillation_bench.bench.storage.cache import Cache
from distillation_bench.bench.storage.run_folder import (
    DamagedFile,
    Record,
    Run,
    cell_name,
    cell_status,
)

BARS = "▁▂▃▄▅▆▇█"
BROKEN = "×"
"""A value that isn't finite."""
WIDEST = 60
"""Characters of a curve at most."""
SHOWN = 5

Rerun = Callable[[Run, Mapping[str, Any], Mapping[str, Any]], str]
"""From a run, its description and a cell, how to run the cell again."""


def why(arguments: Sequence[str], cache: Path, rerun: Rerun, width: int | None = None) -> str:
    """All that a run knows of a cell.

    Args:
        arguments: the path of a record or of a cell's folder; or a run's folder and a cell: its
            id, the beginning of one, or dataset, label and seed.
        cache: where the teacher is looked for.
        rerun: says how to run the cell again, which depends on the command line.
        width: of the terminal in characters; found where it is None.

    Raises:
        UsageError: no such run, no such cell, or several.
    """
    run, text = _place(arguments)
    manifest = run.existing_manifest()
    cell_id = find(run, manifest["cells"], text)
    record = run.record(cell_id)
    if cell_id in manifest["cells"]:
        cell = {**manifest["cells"][cell_id], "id": cell_id}
    elif record is not None:
        cell = {**record, "label": record["method"], "measured": record["teacher"]}
    else:
        raise UsageError(f"{run.paths(cell_id).record}: damaged, and of no cell that is asked for")
    width = width or terminal_width()
    parts = [
        _head(run, cell, record, asked=cell_id in manifest["cells"]),
        _reason(record),
        _figures(manifest, record, width),
        _parameters(manifest["cells"], cell, width),
        _training(run, record, width),
        _made(record, width),
        _teacher(manifest, cell, cache),
        rerun(run, manifest, cell),
    ]
    lines = "\n\n".join(part for part in parts if part).split("\n")
    return "\n".join(map(terminal_safe, lines))


# Which cell


def _place(arguments: Sequence[str]) -> tuple[Run, str]:
    """The run, and what was said of the cell."""
    first, *rest = arguments
    path = Path(first)
    inside = path.parent.name == "cells" and (path.parent.parent / "run.json").exists()
    if not rest and inside:
        return Run(path.parent.parent), path.name.removesuffix(".json")
    if not rest:
        Run(path).existing_manifest()
        raise UsageError(
            f"{first}: which cell? Give its id, or dataset, label and seed: "
            f"why {first} DATASET LABEL SEED"
        )
    return Run(path), " ".join(rest).strip()


def find(run: Run, cells: Mapping[str, Any], text: str) -> str:
    """The id of the cell that is meant.

    Raises:
        UsageError: none or several; with the nearest or some of them.
    """
    names = {_words(cell): cell_id for cell_id, cell in cells.items()}
    # As `status` calls it, too.
    wanted = text.replace(" seed ", " ").removesuffix(".json")
    if wanted in cells or wanted in names:
        return names.get(wanted, wanted)
    kept = {*run.record_ids(), *cells}
    begun = sorted(each for each in kept if wanted and each.startswith(wanted))
    begun += [cell_id for name, cell_id in names.items() if name.startswith(f"{wanted} ")]
    if len(begun) == 1 or wanted in kept:
        return wanted if wanted in kept else begun[0]
    if begun:
        some = ", ".join(begun[:SHOWN]) + (", …" if len(begun) > SHOWN else "")
        raise UsageError(f"{text}: {len(begun)} cells begin so: {some}")
    close = difflib.get_close_matches(wanted, [*names, *kept], n=1, cutoff=0.5)
    hint = f"did you mean {close[0]!r}?" if close else f"{run.folder} has {len(cells)} cells"
    raise UsageError(f"{text}: no such cell; {hint}")


def _words(cell: Mapping[str, Any]) -> str:
    return f"{cell['dataset']} {cell['label']} {cell['seed']}"


# What is said of it


def _head(run: Run, cell: Mapping[str, Any], record: Record | None, asked: bool) -> str:
    path = run.paths(cell["id"]).record
    damaged = record is None and path.exists()
    status = "its record is damaged" if damaged else cell_status(record).status
    lines = [f"{cell_name(cell)}: {status}", f"  {path}"]
    if not asked:
        lines.append("  no longer asked for, or of older code: in no table")
    return "\n".join(lines)


def _reason(record: Record | None) -> str:
    if record is None:
        return ""
    parts = [f"{record['status']}: {terminal_safe(record['reason'])}"] if record["reason"] else []
    details = str(record.get("details") or "").strip()
    return "\n\n".join([*parts, *([details] if details else [])])


def _figures(manifest: Mapping[str, Any], record: Record | None, width: int) -> str:
    """The headline figures, with the direction that is better."""
    if record is None or not record["headline"]:
        return ""
    arrows = {"higher": " ↑", "lower": " ↓"}
    rows = []
    for name, value in record["headline"].items():
        better = manifest["metrics"].get(name, {}).get("better", "")
        rows.append((name + arrows.get(better, ""), f"{float(value):.6g}"))
    return _titled("figures", rows, width)


def _parameters(cells: Mapping[str, Any], cell: Mapping[str, Any], width: int) -> str:
    """Each parameter, and what the method's other variants on the dataset have instead."""
    others = [
        each
        for each in cells.values()
        if each["label"] != cell["label"]
        and all(each[name] == cell[name] for name in ("dataset", "method", "seed"))
    ]
    rows = []
    for name, value in cell["parameters"].items():
        differing: dict[str, list[str]] = {}
        for other in others:
            theirs = other["parameters"].get(name)
            if canonical_json(theirs) != canonical_json(value):
                differing.setdefault(str(theirs), []).append(other["label"])
        told = "; ".join(f"{theirs} in {', '.join(who)}" for theirs, who in differing.items())
        rows.append((name, f"{value}; {told}" if told else value))
    return _titled("parameters", rows, width) if rows else "parameters\n  none"


def _made(record: Record | None, width: int) -> str:
    """Recipe, timings, environment."""
    if record is None:
        return ""
    recipe = [(name, value) for name, value in record["recipe"].items() if value not in (None, "")]
    timings = [(name, _amount(name, value)) for name, value in record["timings"].items()]
    environment = [*record["environment"].items(), ("finished", record["finished"])]
    environment += [("commit", record["commit"])] if record["commit"] else []
    parts = {"recipe": recipe, "timings": timings, "environment": environment}
    return "\n\n".join(_titled(title, rows, width) for title, rows in parts.items() if rows)


def _amount(name: str, value: Any) -> str:
    if name.endswith("bytes"):
        return f"{value / 2**20:,.0f} MiB"
    if isinstance(value, float):
        return f"{value * 1e6:.4g} µs" if value < 1e-3 else f"{value:.4g} s" + _long(value)
    return str(value)


def _long(seconds: float) -> str:
    return f" ({duration(seconds)})" if seconds >= 60 else ""


def _titled(title: str, rows: Sequence[tuple[str, Any]], width: int) -> str:
    """Names and values, a line each, long values continued under their beginning."""
    longest = max(len(name) for name, _ in rows)
    lines = [title]
    for name, value in rows:
        start = f"  {name:{longest}}  "
        lines += textwrap.wrap(
            str(value),
            max(width, longest + 24),
            initial_indent=start,
            subsequent_indent=" " * len(start),
        ) or [start.rstrip()]
    return "\n".join(lines)


def _teacher(manifest: Mapping[str, Any], cell: Mapping[str, Any], cache: Path) -> str:
    """Where the teacher came from, and which cell measures it."""
    key = cell["measured"]
    note = Cache(cache).note(key)
    if note:
        made = f"{note.get('members')} members of {note.get('dataset')}, seed {note.get('seed')}"
        where = f"{made}, in {cache}"
    else:
        where = f"not in {cache}"
    sharing = {i: c for i, c in manifest["cells"].items() if c["measured"] == key}
    references = {m["name"] for m in manifest["methods"] if m["reference"]}
    own = [f"{i} measures it" for i, c in sharing.items() if c["method"] in references]
    parts = [where, f"shared by {len(sharing)} cells of this run", *own]
    return "\n".join([f"teacher  {key}", *(f"  {part}" for part in parts)])


# The training


def _training(run: Run, record: Record | None, width: int) -> str:
    if record is None:
        return ""
    try:
        return _curves(run.history(record), width)
    except DamagedFile as damaged:
        return f"training: left out, {damaged}"


def _curves(history: Sequence[Mapping[str, str]], width: int) -> str:
    """Each term of each stage: its first, lowest and last value and its course."""
    stages: dict[str, list[Mapping[str, str]]] = {}
    for row in history:
        stages.setdefault(row.get("stage", ""), []).append(row)
    return "\n\n".join(_stage(name, rows, width) for name, rows in stages.items())


def _stage(stage: str, rows: Sequence[Mapping[str, str]], width: int) -> str:
    terms = {}
    for name in rows[0]:
        if name not in ("stage", "epoch") and any(row.get(name) for row in rows):
            terms[name] = [_number(row.get(name)) for row in rows]
    lines: list[list[str]] = []
    columns = max([len(name) for name in terms], default=0)
    room = max(10, min(WIDEST, width - columns - 44))
    for name, values in terms.items():
        bars, scale = sparkline(values, room)
        finite = [value for value in values if math.isfinite(value)]
        lowest = f"{min(finite):.4g}" if finite else ""
        lines.append([name, f"{values[0]:.4g}", lowest, f"{values[-1]:.4g}", bars, scale])
    table = tabulate(
        lines,
        ["term", "first", "lowest", "last", "by epoch", ""],
        tablefmt="plain",
        disable_numparse=True,
        colalign=("left", "right", "right", "right", "left", "left"),
    )
    return f"training, stage {stage}: {len(rows)} epochs\n{textwrap.indent(table, '  ')}"


def _number(text: str | None) -> float:
    try:
        return float(text or "nan")
    except ValueError:
        return math.nan


def sparkline(values: Sequence[float], width: int) -> tuple[str, str]:
    """A curve of at most `width` characters, and the name of its scale.

    Neighbours share a character, which shows their mean. Positive values that span more than two
    powers of ten are drawn by their logarithm. One that isn't finite is shown by BROKEN.
    """
    finite = [value for value in values if math.isfinite(value)]
    if not finite:
        return BROKEN * min(width, len(values)), ""
    logarithmic = min(finite) > 0 and max(finite) > 100 * min(finite)
    drawn = [math.log(v) if logarithmic and math.isfinite(v) else v for v in values]
    known = [value for value in drawn if math.isfinite(value)]
    low, high = min(known), max(known)
    cuts = min(width, len(drawn))
    bars = ""
    for i in range(cuts):
        group = drawn[i * len(drawn) // cuts : (i + 1) * len(drawn) // cuts]
        if not all(math.isfinite(value) for value in group):
            bars += BROKEN
            continue
        share = (sum(group) / len(group) - low) / (high - low) if high > low else 0.0
        bars += BARS[round(share * (len(BARS) - 1))]
    return bars, "log" if logarithmic else ""
