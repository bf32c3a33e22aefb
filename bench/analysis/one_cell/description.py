"""A cell in text: its status, what made it, its values and how its training went."""

from __future__ import annotations

import textwrap
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from distillation_bench.bench.analysis.markup.text_tables import terminal_width
from distillation_bench.bench.analysis.one_cell.lookup import find_cell, run_and_cell
from distillation_bench.bench.analysis.one_cell.training import describe_training
from distillation_bench.bench.common.errors import UsageError
from distillation_bench.bench.common.hashing import canonical_json
from distillation_bench.bench.common.text import duration, terminal_safe
from distillation_bench.bench.storage.cache import Cache
from distillation_bench.bench.storage.run_folder import (
    CellEntry,
    Record,
    Run,
    cell_name,
    cell_status,
)

Manifest = Mapping[str, Any]
Lines = Sequence[tuple[str, Any]]
"""Names and values."""
RerunCommand = Callable[[Run, Manifest, CellEntry], str]
"""Returns how to run a cell again, from its run, the run's description and the cell."""


def describe_cell(
    arguments: Sequence[str], cache: Path, rerun_command: RerunCommand, width: int | None = None
) -> str:
    """Return everything that a run knows of a cell.

    Args:
        arguments: the path of a record or of a cell's folder; or a run's folder and a cell: its
            id, the beginning of one, or dataset, label and seed.
        cache: folder in which to look for the teacher.
        rerun_command: returns how to run the cell again, which depends on the command line.
        width: characters per line; by default those of the terminal.

    Raises:
        UsageError: there is no such run or no such cell, or several cells are meant.
    """
    run, text = run_and_cell(arguments)
    manifest = run.existing_manifest()
    cell_id = find_cell(run, manifest["cells"], text)
    record = run.record(cell_id)
    cell = _cell(run, manifest, cell_id, record)
    parts = [_status(run, cell, record, is_planned=cell_id in manifest["cells"])]
    width = width or terminal_width()
    if record is not None:
        parts += [_reason(record), _headline_values(manifest, record, width)]
    parts.append(_parameters(manifest["cells"], cell, width))
    if record is not None:
        parts += [describe_training(run, record, width), _provenance(record, width)]
    parts += [_teacher(manifest, cell, cache), rerun_command(run, manifest, cell)]
    lines = "\n\n".join(filter(None, parts)).split("\n")
    return "\n".join(map(terminal_safe, lines))


def _cell(run: Run, manifest: Manifest, cell_id: str, record: Record | None) -> CellEntry:
    """Return a cell as it is planned, or as its record describes it."""
    if cell_id in manifest["cells"]:
        return {**manifest["cells"][cell_id], "id": cell_id}
    if record is None:
        path = run.paths(cell_id).record
        raise UsageError(f"{path}: damaged, and not the record of a planned cell")
    return {**record, "label": record["method"], "measured": record["teacher"]}


def _status(run: Run, cell: CellEntry, record: Record | None, is_planned: bool) -> str:
    path = run.paths(cell["id"]).record
    is_damaged = record is None and path.exists()
    status = "its record is damaged" if is_damaged else cell_status(record).status
    lines = [f"{cell_name(cell)}: {status}", f"  {path}"]
    if not is_planned:
        lines.append("  no longer asked for, or of older code; not in the tables")
    return "\n".join(lines)


def _reason(record: Record) -> str:
    reason = f"{record['status']}: {terminal_safe(record['reason'])}" if record["reason"] else ""
    details = str(record.get("details") or "").strip()
    return "\n\n".join(filter(None, [reason, details]))


def _headline_values(manifest: Manifest, record: Record, width: int) -> str:
    """Return the headline values, with the direction that is better."""
    arrows = {"higher": " ↑", "lower": " ↓"}
    lines = []
    for name, value in record["headline"].items():
        better = manifest["metrics"].get(name, {}).get("better", "")
        lines.append((name + arrows.get(better, ""), f"{float(value):.6g}"))
    return _section("values", lines, width) if lines else ""


def _parameters(cells: Mapping[str, CellEntry], cell: CellEntry, width: int) -> str:
    """Return each parameter, and what other variants of the method on the dataset have instead."""
    others = [
        other
        for other in cells.values()
        if other["label"] != cell["label"]
        and all(other[name] == cell[name] for name in ("dataset", "method", "seed"))
    ]
    lines = []
    for name, value in cell["parameters"].items():
        labels: dict[str, list[str]] = {}
        for other in others:
            different = other["parameters"].get(name)
            if canonical_json(different) != canonical_json(value):
                labels.setdefault(str(different), []).append(other["label"])
        variants = [f"{different} in {', '.join(names)}" for different, names in labels.items()]
        lines.append((name, "; ".join([str(value), *variants])))
    return _section("parameters", lines, width) if lines else "parameters\n  none"


def _provenance(record: Record, width: int) -> str:
    """Return recipe, timings and environment."""
    environment = [*record["environment"].items(), ("finished", record["finished"])]
    environment += [("commit", record["commit"])] if record["commit"] else []
    sections = {
        "recipe": [(k, value) for k, value in record["recipe"].items() if value not in (None, "")],
        "timings": [(name, _amount(name, v)) for name, v in record["timings"].items()],
        "environment": environment,
    }
    return "\n\n".join(_section(name, lines, width) for name, lines in sections.items() if lines)


def _amount(name: str, value: Any) -> str:
    """Return a timing or a size with its unit."""
    if name.endswith("bytes"):
        return f"{value / 2**20:,.0f} MiB"
    if not isinstance(value, float):
        return str(value)
    if value < 1e-3:
        return f"{value * 1e6:.4g} µs"
    return f"{value:.4g} s" + (f" ({duration(value)})" if value >= 60 else "")


def _section(title: str, lines: Lines, width: int) -> str:
    """Return names and values, one line each; long values are continued under their beginning."""
    longest = max(len(name) for name, _ in lines)
    text = [title]
    for name, value in lines:
        start = f"  {name:{longest}}  "
        text += textwrap.wrap(
            str(value),
            max(width, longest + 24),
            initial_indent=start,
            subsequent_indent=" " * len(start),
        ) or [start.rstrip()]
    return "\n".join(text)


def _teacher(manifest: Manifest, cell: CellEntry, cache: Path) -> str:
    """Return where the teacher came from, and which cell measures it."""
    key = cell["measured"]
    source = f"not in {cache}"
    if note := Cache(cache).note(key):
        members = f"{note.get('members')} members of {note.get('dataset')}"
        source = f"{members}, seed {note.get('seed')}, in {cache}"
    sharing = {i: other for i, other in manifest["cells"].items() if other["measured"] == key}
    references = {m["name"] for m in manifest["methods"] if m["reference"]}
    own = [f"{i} measures it" for i, other in sharing.items() if other["method"] in references]
    lines = [source, f"shared by {len(sharing)} cells of this run", *own]
    return "\n".join([f"teacher  {key}", *(f"  {line}" for line in lines)])
