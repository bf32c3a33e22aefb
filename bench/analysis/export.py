"""Every figure as one tidy table, and training curves for TensorBoard: for tools of one's own."""

from __future__ import annotations

import datetime
import hashlib
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote

from distillation_bench.bench.analysis.results import Results
from distillation_bench.bench.common.errors import UsageError
from distillation_bench.bench.common.files import atomic_file
from distillation_bench.bench.storage.formats.csv_files import (
    Writable,
    csv_writer,
    spreadsheet_safe,
)
from distillation_bench.bench.storage.formats.schema import CELL_NAMES
from distillation_bench.bench.storage.run_folder import DamagedFile, Record
from distillation_bench.bench.storage.tables import CellKey

Row = dict[str, Any]
CELL_COLUMNS = (*CELL_NAMES, "status", "teacher")
FIGURE_COLUMNS = ("set", "shift", "severity", "metric", "score", "value")
ROWS_AT_ONCE = 50_000
LONGEST_NAME = 200
"""Of a folder; file systems take 255 bytes."""


def check_format(path: Path) -> None:
    """Whether a table can be written in the format that a file's name asks for.

    Raises:
        UsageError: another one, or pyarrow is missing.
    """
    if path.suffix not in (".csv", ".parquet"):
        raise UsageError(f"--out {path}: neither .csv nor .parquet")
    if path.suffix == ".parquet":
        _require("pyarrow", f"--out {path}")


def check_tensorboard(folder: Path) -> None:
    """Whether event files can be written.

    Raises:
        UsageError: tensorboardX is missing.
    """
    _require("tensorboardX", f"--tensorboard {folder}")


def _require(package: str, place: str) -> None:
    from importlib.util import find_spec

    if find_spec(package) is None:
        raise UsageError(f"{place}: needs {package}, which is not installed: pip install {package}")


def write_table(results: Results, path: Path) -> int:
    """A row a figure, in the order of tables; a cell without figures has one row without a value.

    Columns: dataset, method, label, seed, status, teacher, `param.NAME` of every parameter,
    set, shift, severity, metric, score, value, `timing.NAME` of every timing.
    Returns how many rows there are.
    """
    with atomic_file(path) as part:
        if path.suffix == ".parquet":
            return _write_parquet(results, part)
        with part.open("w", newline="", encoding="utf-8") as file:
            return write_csv(results, file)


def _columns(results: Results) -> dict[str, str]:
    """Name and type of each column: `text`, `whole`, `number` or `truth`."""
    values: dict[str, list[Any]] = {}
    timings: dict[str, list[Any]] = {}
    for slot, cell in results.cells.items():
        for name, value in cell["parameters"].items():
            values.setdefault(f"param.{name}", []).append(value)
        for name, value in _timings(results.record(slot)).items():
            timings.setdefault(f"timing.{name}", []).append(value)
    kinds = {"seed": "whole", "severity": "whole", "value": "number"}
    return {
        **{name: kinds.get(name, "text") for name in CELL_COLUMNS},
        **{name: _kind(values[name]) for name in sorted(values)},
        **{name: kinds.get(name, "text") for name in FIGURE_COLUMNS},
        **{name: _kind(timings[name]) for name in sorted(timings)},
    }


def _kind(values: Sequence[Any]) -> str:
    """The narrowest type of values; of a number in one cell and a schedule in another: text."""
    given = [value for value in values if value is not None]
    if all(isinstance(value, bool) for value in given):
        return "truth"
    if any(isinstance(value, bool) or not isinstance(value, (int, float)) for value in given):
        return "text"
    return "whole" if all(isinstance(value, int) for value in given) else "number"


def _timings(record: Record | None) -> Mapping[str, Any]:
    return record["timings"] if record else {}


def _rows(results: Results) -> Iterator[Row]:
    for slot, cell in results.cells.items():
        record = results.record(slot)
        known: Row = {**cell, "status": record["status"] if record else "missing"}
        known["teacher"] = cell["measured"]
        known |= {f"param.{name}": value for name, value in cell["parameters"].items()}
        known |= {f"timing.{name}": value for name, value in _timings(record).items()}
        sets = record["sets"] if record else []
        if not sets:
            yield known
        for entry in sets:
            known |= {name: entry[name] for name in ("set", "shift", "severity")}
            for key, value in sorted(entry["values"].items()):
                metric, _, score = key.partition(":")
                yield {**known, "metric": metric, "score": score, "value": value}


def write_csv(results: Results, file: Writable) -> int:
    """The same table as CSV, into an open file; what a spreadsheet would run begins with '."""
    columns = _columns(results)
    rows = csv_writer(file)
    rows.writerow(map(spreadsheet_safe, columns))
    texts = [name for name, kind in columns.items() if kind in ("text", "truth")]
    count = 0
    for row in _rows(results):
        row |= {name: _text(row[name]) for name in texts if name in row}
        rows.writerow([spreadsheet_safe(row.get(name, "")) for name in columns])
        count += 1
    return count


def _text(value: Any) -> str:
    """A value that is no number: text as it is, else as JSON; nothing for none."""
    if value is None or isinstance(value, str):
        return value or ""
    return json.dumps(value)


def _write_parquet(results: Results, path: Path) -> int:
    import pyarrow
    import pyarrow.parquet

    columns = _columns(results)
    types = {
        "text": pyarrow.string(),
        "whole": pyarrow.int64(),
        "number": pyarrow.float64(),
        "truth": pyarrow.bool_(),
    }
    schema = pyarrow.schema([(name, types[kind]) for name, kind in columns.items()])
    # A figure that isn't finite is text in a record; nothing at all is null.
    read: dict[str, Callable[[Any], Any]] = {
        "text": _text,
        "number": float,
        "whole": int,
        "truth": bool,
    }

    def table(rows: Sequence[Row]) -> Any:
        arrays = [
            [None if (v := row.get(name)) is None else read[kind](v) for row in rows]
            for name, kind in columns.items()
        ]
        typed = [pyarrow.array(a, f.type) for a, f in zip(arrays, schema, strict=True)]
        return pyarrow.table(typed, schema=schema)

    with pyarrow.parquet.ParquetWriter(path, schema, compression="zstd") as writer:
        count, rows = 0, list[Row]()
        for row in _rows(results):
            rows.append(row)
            count += 1
            if len(rows) == ROWS_AT_ONCE:
                writer.write_table(table(rows))
                rows = []
        writer.write_table(table(rows))
    return count


def write_curves(results: Results, folder: Path) -> tuple[int, list[DamagedFile]]:
    """Each cell's training as an event file of TensorBoard.

    Returns how many cells have one, and the damaged histories, which are left out.

    `FOLDER/DATASET/LABEL/seed N` is a run of TensorBoard's, `STAGE/TERM` a scalar by epoch. A file
    is replaced when it is written again, as while a run goes on.
    """
    from tensorboardX.proto.event_pb2 import Event
    from tensorboardX.proto.summary_pb2 import Summary
    from tensorboardX.record_writer import RecordWriter

    count, damaged = 0, list[DamagedFile]()
    for slot, cell in results.cells.items():
        record = results.record(slot)
        try:
            history = results.holders[cell["id"]].history(record) if record else []
        except DamagedFile as error:
            damaged.append(error)
            continue
        if record is None or not history:
            continue
        # Epochs aren't timed: all are of the moment when the cell was finished.
        time = _seconds(record["finished"])
        with atomic_file(_event_file(folder, slot)) as part:
            writer = RecordWriter(str(part))
            writer.write(Event(wall_time=time, file_version="brain.Event:2").SerializeToString())
            for step, row in enumerate(history):
                scalars = [
                    Summary.Value(tag=f"{row['stage']}/{name}", simple_value=value)
                    for name, value in _terms(row)
                ]
                epoch = int(row.get("epoch") or step)
                event = Event(wall_time=time, step=epoch, summary=Summary(value=scalars))
                writer.write(event.SerializeToString())
            writer.close()
        count += 1
    return count, damaged


def _seconds(time: str) -> float:
    """Since the epoch; 0 for what is no time."""
    try:
        return datetime.datetime.fromisoformat(time).timestamp()
    except (ValueError, OverflowError):
        return 0.0


def _terms(row: Mapping[str, str]) -> Iterator[tuple[str, float]]:
    """What of a row of the history is a number by epoch."""
    for name, text in row.items():
        if name not in ("stage", "epoch") and text:
            yield name, float(text)


def _event_file(folder: Path, slot: CellKey) -> Path:
    dataset, label, seed = slot
    place = folder / _as_name(dataset) / _as_name(label) / f"seed {seed}"
    return place / "events.out.tfevents.0"


def _as_name(text: str) -> str:
    """As a folder's name: different for different texts, and never one that leads elsewhere."""
    name = quote(text, safe=" +[]=,()@")
    if len(name) > LONGEST_NAME:
        return f"{name[:100]}…{hashlib.sha256(text.encode()).hexdigest()[:16]}"
    return name.replace(".", "%2E") if not name.strip(".") else name
