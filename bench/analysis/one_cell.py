"""Everything that a run knows of one cell, as text, for the command `why`.

Its status, what made it, its values, and its training as curves drawn with characters.
"""

from __future__ import annotations

import difflib
import textwrap
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from distillation_bench.bench.analysis.metric_info import ARROWS
from distillation_bench.bench.common.errors import UsageError
from distillation_bench.bench.common.hashing import canonical_json
from distillation_bench.bench.common.terminal_tables import terminal_width, text_table
from distillation_bench.bench.common.text import counted, duration, terminal_safe
from distillation_bench.bench.storage.cache import Cache
from distillation_bench.bench.storage.run_folder import (
    CellEntry,
    DamagedFile,
    Record,
    Run,
    cell_name,
    cell_status,
)

Manifest = Mapping[str, Any]
RerunCommand = Callable[[Run, Manifest, CellEntry], str]
"""Returns how to run a cell again, from its run, the run's description and the cell."""
MAX_EXAMPLES = 5
"""Number of cells that an error message lists."""
MAX_CURVE = 60
"""Characters of a curve."""
BARS = "▁▂▃▄▅▆▇█"
NOT_FINITE = "×"
ALIGNMENT = ("left", "right", "right", "right", "left", "left")


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
    run, text = _run_and_cell(arguments)
    manifest, width = run.existing_manifest(), width or terminal_width()
    cell_id = _find_cell(run, manifest["cells"], text)
    record = run.record(cell_id)
    cell = _cell(run, manifest, cell_id, record)
    parts = [_status(run, cell, record, is_planned=cell_id in manifest["cells"])]
    parameters = _parameters(manifest["cells"], cell)
    described = _section("parameters", parameters, width) or "parameters\n  none"
    parts += _recorded(run, manifest, record, described, width) if record else [described]
    parts += [_teacher(manifest, cell, cache), rerun_command(run, manifest, cell)]
    return "\n".join(map(terminal_safe, "\n\n".join(filter(None, parts)).split("\n")))


def _run_and_cell(arguments: Sequence[str]) -> tuple[Run, str]:
    """Return the run and what the user wrote for the cell."""
    first, *rest = arguments
    path, run = Path(first), Run(Path(first).parent.parent)
    if rest:
        return Run(path), " ".join(rest).strip()
    if path.parent.name == "cells" and (run.folder / "run.json").exists():
        return run, path.name.removesuffix(".json")
    Run(path).existing_manifest()
    usage = f"Give its id, or dataset, label and seed: why {first} DATASET LABEL SEED"
    raise UsageError(f"{first}: which cell? {usage}")


def _find_cell(run: Run, cells: Mapping[str, Any], text: str) -> str:
    """Return the id of a cell from its id, the beginning of one, or dataset, label and seed."""
    names = {f"{c['dataset']} {c['label']} {c['seed']}": cell_id for cell_id, c in cells.items()}
    # `status` names a cell with the word seed.
    wanted = text.replace(" seed ", " ").removesuffix(".json")
    cell_ids = {*run.record_ids(), *cells}
    if wanted in names or wanted in cell_ids:
        return names.get(wanted, wanted)
    matches = sorted(cell_id for cell_id in cell_ids if wanted and cell_id.startswith(wanted))
    matches += [cell_id for name, cell_id in names.items() if name.startswith(f"{wanted} ")]
    if len(matches) == 1:
        return matches[0]
    if matches:
        examples = ", ".join([*matches[:MAX_EXAMPLES], *["…"] * (len(matches) > MAX_EXAMPLES)])
        raise UsageError(f"{text}: {len(matches)} cells begin so: {examples}")
    close = difflib.get_close_matches(wanted, [*names, *cell_ids], n=1, cutoff=0.5)
    hint = (
        f"did you mean {close[0]!r}?"
        if close
        else f"{run.folder} has {counted(len(cells), 'cell')}"
    )
    raise UsageError(f"{text}: no such cell; {hint}")


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
    note = "" if is_planned else "\n  no longer asked for, or of older code; not in the tables"
    return f"{cell_name(cell)}: {status}\n  {path}{note}"


def _parameters(cells: Mapping[str, CellEntry], cell: CellEntry) -> dict[str, str]:
    """Return each parameter, and what other variants of the method on the dataset have instead."""
    names = ("dataset", "method", "seed")
    others = [other for other in cells.values() if all(other[x] == cell[x] for x in names)]
    described = {}
    for name, value in cell["parameters"].items():
        labels: dict[str, list[str]] = {}
        for other in others:
            different = other["parameters"].get(name)
            if canonical_json(different) != canonical_json(value):
                labels.setdefault(str(different), []).append(other["label"])
        variants = [f"{different} in {', '.join(same)}" for different, same in labels.items()]
        described[name] = "; ".join([str(value), *variants])
    return described


def _recorded(
    run: Run, manifest: Manifest, record: Record, parameters: str, width: int
) -> list[str]:
    """Return what a record holds, with the parameters after the values."""
    values = {
        name + ARROWS[manifest["metrics"].get(name, {}).get("better", "")]: f"{float(value):.6g}"
        for name, value in record["headline"].items()
    }
    recipe = {k: value for k, value in record["recipe"].items() if value not in (None, "")}
    timings = {name: _amount(name, value) for name, value in record["timings"].items()}
    commit = {"commit": record["commit"]} if record["commit"] else {}
    environment = {**record["environment"], "finished": record["finished"], **commit}
    return [
        f"{record['status']}: {terminal_safe(record['reason'])}" if record["reason"] else "",
        str(record.get("details") or "").strip(),
        _section("values", values, width),
        parameters,
        describe_training(run, record, width),
        _section("recipe", recipe, width),
        _section("timings", timings, width),
        _section("environment", environment, width),
    ]


def _amount(name: str, value: Any) -> str:
    """Return a timing or a size with its unit."""
    if name.endswith("bytes"):
        return f"{value / 2**20:,.0f} MiB"
    if not isinstance(value, float):
        return str(value)
    if value < 1e-3:
        return f"{value * 1e6:.4g} µs"
    return f"{value:.4g} s" + (f" ({duration(value)})" if value >= 60 else "")


def _section(title: str, lines: Mapping[str, Any], width: int) -> str:
    """Return names and values, one line each; long values are continued under their beginning."""
    rows = [(name, terminal_safe(str(value))) for name, value in lines.items()]
    table = text_table(rows, style="plain", width=width - 2)
    return f"{title}\n{textwrap.indent(table, '  ')}" if rows else ""


def _teacher(manifest: Manifest, cell: CellEntry, cache: Path) -> str:
    """Return where the teacher came from, and which cell measures it."""
    key, source = cell["measured"], f"not in {cache}"
    if note := Cache(cache).note(key):
        members = f"{note.get('members')} members of {note.get('dataset')}"
        source = f"{members}, seed {note.get('seed')}, in {cache}"
    sharing = {i: other for i, other in manifest["cells"].items() if other["measured"] == key}
    references = {m["name"] for m in manifest["methods"] if m["reference"]}
    own = [f"{i} measures it" for i, other in sharing.items() if other["method"] in references]
    lines = [source, f"shared by {counted(len(sharing), 'cell')} of this run", *own]
    return "\n".join([f"teacher  {key}", *(f"  {line}" for line in lines)])


# Training


def describe_training(run: Run, record: Record, width: int) -> str:
    """Return the first, lowest and last value of each term and its course, stage by stage."""
    try:
        history = pd.DataFrame(run.history(record), dtype=str)
    except DamagedFile as error:
        return f"training: left out, {error}"
    if history.empty:
        return ""
    stages = history.get("stage", pd.Series("", history.index))
    terms = history.drop(columns=["stage", "epoch"], errors="ignore")
    groups = terms.groupby(stages.fillna(""), sort=False)
    return "\n\n".join(_describe_stage(str(name), rows, width) for name, rows in groups)


def _describe_stage(stage: str, texts: pd.DataFrame, width: int) -> str:
    terms = texts.loc[:, texts.fillna("").ne("").any()].apply(pd.to_numeric, errors="coerce")
    curve_width = max(10, min(MAX_CURVE, width - max(map(len, terms), default=0) - 44))
    rows = []
    for name, values in terms.items():
        lowest = values[np.isfinite(values)].min()
        least = "" if pd.isna(lowest) else f"{lowest:.4g}"
        ends = f"{values.iloc[0]:.4g}", f"{values.iloc[-1]:.4g}"
        rows.append([name, ends[0], least, ends[1], *sparkline(list(values), curve_width)])
    header = ["term", "first", "lowest", "last", "by epoch", ""]
    table = text_table(rows, header, style="plain", align=ALIGNMENT)
    return f"training, stage {stage}: {len(texts)} epochs\n{textwrap.indent(table, '  ')}"


def sparkline(values: Sequence[float], width: int) -> tuple[str, str]:
    """Return a curve of at most `width` characters, and `log` if its scale is logarithmic.

    Neighbouring values share a character, which shows their mean. Positive values that span more
    than two powers of ten are drawn by their logarithm. A value that is not finite is shown as ×.
    """
    heights = np.array(values, float)
    finite = np.isfinite(heights)
    if not finite.any():
        return NOT_FINITE * min(width, len(heights)), ""
    low, high = heights[finite].min(), heights[finite].max()
    is_logarithmic = bool(0 < 100 * low < high)
    if is_logarithmic:
        low, high = np.log((low, high))
        heights[finite] = np.log(heights[finite])
    means = (part.mean() for part in np.array_split(heights, min(width, len(heights))))
    shares = [(mean - low) / ((high - low) or 1.0) for mean in means]
    last = len(BARS) - 1
    bars = (BARS[round(x * last)] if np.isfinite(x) else NOT_FINITE for x in shares)
    return "".join(bars), "log" if is_logarithmic else ""
