"""All values as one long table, and training curves for TensorBoard, for other tools."""

from __future__ import annotations

import datetime
import hashlib
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import Any
from urllib.parse import quote

from distillation_bench.bench.analysis.old_results import Results
from distillation_bench.bench.common.errors import UsageError
from distillation_bench.bench.common.files import atomic_file
from distillation_bench.bench.storage.formats.csv_files import (
    Writable,
    csv_writer,
    spreadsheet_safe,
)
from distillation_bench.bench.storage.formats.schema import CELL_NAMES
from distillation_bench.bench.storage.run_folder import DamagedFile, Record, cell_status
from distillation_bench.bench.storage.tables import CellKey

TableRow = dict[str, Any]
CELL_COLUMNS = (*CELL_NAMES, "status", "teacher")
VALUE_COLUMNS = ("set", "shift", "severity", "metric", "score", "value")
CHUNK_ROWS = 50_000
MAX_NAME = 200
"""The most characters of a folder's name; file systems allow 255 bytes."""


def check_format(path: Path) -> None:
    """Check that a table can be written in the format of a file's suffix.

    Raises:
        UsageError: the suffix is neither .csv nor .parquet, or pyarrow is not installed.
    """
    if path.suffix not in (".csv", ".parquet"):
        raise UsageError(f"--out {path}: neither .csv nor .parquet")
    if path.suffix == ".parquet":
        _require("pyarrow", f"--out {path}")


def check_tensorboard(folder: Path) -> None:
    """Check that event files can be written.

    Raises:
        UsageError: tensorboardX is not installed.
    """
    _require("tensorboardX", f"--tensorboard {folder}")


def _require(package: str, option: str) -> None:
    from importlib.util import find_spec

    if find_spec(package) is None:
        raise UsageError(
            f"{option}: needs {package}, which is not installed: pip install {package}"
        )


def write_table(results: Results, path: Path) -> int:
    """Write one row for each value, in the order of tables; return the number of rows.

    A cell without values has one row without a value. Columns: dataset, method, label, seed,
    status, teacher, `param.NAME` of every parameter, set, shift, severity, metric, score, value,
    `timing.NAME` of every timing.
    """
    with atomic_file(path) as part:
        if path.suffix == ".parquet":
            return _write_parquet(results, part)
        with part.open("w", newline="", encoding="utf-8") as file:
            return write_csv(results, file)


def _columns(results: Results) -> dict[str, str]:
    """Return the type of each column: `text`, `whole`, `number` or `truth`."""
    values: dict[str, list[Any]] = {}
    timings: dict[str, list[Any]] = {}
    for key, cell in results.cells.items():
        for name, value in cell["parameters"].items():
            values.setdefault(f"param.{name}", []).append(value)
        for name, value in _timings(results.record(key)).items():
            timings.setdefault(f"timing.{name}", []).append(value)
    kinds = {"seed": "whole", "severity": "whole", "value": "number"}
    return {
        **{name: kinds.get(name, "text") for name in CELL_COLUMNS},
        **{name: _kind(values[name]) for name in sorted(values)},
        **{name: kinds.get(name, "text") for name in VALUE_COLUMNS},
        **{name: _kind(timings[name]) for name in sorted(timings)},
    }


def _kind(values: Sequence[Any]) -> str:
    """Return the narrowest type of values; numbers together with schedules are text."""
    given = [value for value in values if value is not None]
    if all(isinstance(value, bool) for value in given):
        return "truth"
    if any(isinstance(value, bool) or not isinstance(value, (int, float)) for value in given):
        return "text"
    return "whole" if all(isinstance(value, int) for value in given) else "number"


def _timings(record: Record | None) -> Mapping[str, Any]:
    return record["timings"] if record else {}


def _rows(results: Results) -> Iterator[TableRow]:
    for key, cell in results.cells.items():
        record = results.record(key)
        base: TableRow = {
            **cell,
            "status": cell_status(record).status,
            "teacher": cell["measured"],
        }
        base |= {f"param.{name}": value for name, value in cell["parameters"].items()}
        base |= {f"timing.{name}": value for name, value in _timings(record).items()}
        sets = record["sets"] if record else []
        if not sets:
            yield base
        for entry in sets:
            of_set = base | {name: entry[name] for name in ("set", "shift", "severity")}
            for name, value in sorted(entry["values"].items()):
                metric, _, score = name.partition(":")
                yield {**of_set, "metric": metric, "score": score, "value": value}


def write_csv(results: Results, file: Writable) -> int:
    """Write the same table as CSV into an open file; return the number of rows.

    Text that a spreadsheet would run as a formula begins with '.
    """
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
    """Return the text of a value that is not a number, as JSON unless it is text."""
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
    count = 0
    with pyarrow.parquet.ParquetWriter(path, schema, compression="zstd") as parquet:
        for rows in _chunks(_rows(results)):
            arrays = [
                pyarrow.array(_column(rows, name, kind), types[kind])
                for name, kind in columns.items()
            ]
            parquet.write_table(pyarrow.table(arrays, schema=schema))
            count += len(rows)
    return count


def _chunks(rows: Iterator[TableRow]) -> Iterator[list[TableRow]]:
    """Yield rows in chunks, so that a long table is never in memory as a whole."""
    while chunk := list(islice(rows, CHUNK_ROWS)):
        yield chunk


def _column(rows: Sequence[TableRow], name: str, kind: str) -> list[Any]:
    """Return the values of a column; None where there is none."""
    values = (row.get(name) for row in rows)
    return [None if value is None else _CONVERSIONS[kind](value) for value in values]


_CONVERSIONS: Mapping[str, Callable[[Any], Any]] = {
    # A value that is not finite is text in a record.
    "number": float,
    "text": _text,
    "whole": int,
    "truth": bool,
}


def write_curves(results: Results, folder: Path) -> tuple[int, list[DamagedFile]]:
    """Write the training of each cell as an event file of TensorBoard.

    Return the number of files, and the damaged histories, which are left out.

    `FOLDER/DATASET/LABEL/seed N` is a run of TensorBoard, `STAGE/TERM` a scalar by epoch. Writing
    again replaces a file, for example while a run goes on.
    """
    count, damaged = 0, list[DamagedFile]()
    for key, cell in results.cells.items():
        record = results.record(key)
        try:
            history = results.holders[cell["id"]].history(record) if record else []
        except DamagedFile as error:
            damaged.append(error)
            continue
        if record is not None and history:
            with atomic_file(_event_file(folder, key)) as part:
                _write_events(part, history, _seconds(record["finished"]))
            count += 1
    return count, damaged


def _write_events(path: Path, history: Sequence[Mapping[str, str]], time: float) -> None:
    """Write a history; epochs have no times, so all are of the moment the cell was finished."""
    from tensorboardX.proto.event_pb2 import Event
    from tensorboardX.proto.summary_pb2 import Summary
    from tensorboardX.record_writer import RecordWriter

    writer = RecordWriter(str(path))
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


def _seconds(time: str) -> float:
    """Return seconds since 1970; 0 if the text is not a time."""
    try:
        return datetime.datetime.fromisoformat(time).timestamp()
    except (ValueError, OverflowError):
        return 0.0


def _terms(row: Mapping[str, str]) -> Iterator[tuple[str, float]]:
    """Yield the terms of a row of a history."""
    for name, text in row.items():
        if name not in ("stage", "epoch") and text:
            yield name, float(text)


def _event_file(folder: Path, key: CellKey) -> Path:
    dataset, label, seed = key
    names = (_folder_name(dataset), _folder_name(label), f"seed {seed}")
    return folder.joinpath(*names, "events.out.tfevents.0")


def _folder_name(text: str) -> str:
    """Return a folder name that differs for different texts, and never leads elsewhere."""
    name = quote(text, safe=" +[]=,()@")
    if len(name) > MAX_NAME:
        return f"{name[:100]}…{hashlib.sha256(text.encode()).hexdigest()[:16]}"
    return name.replace(".", "%2E") if not name.strip(".") else name
