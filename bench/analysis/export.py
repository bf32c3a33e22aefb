"""All values as one long table, and training curves for TensorBoard, for other tools."""

from __future__ import annotations

import contextlib
import datetime
import hashlib
import importlib.util
import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote

import numpy as np
import pandas as pd

from distillation_bench.bench.analysis.results import PLACE, Results
from distillation_bench.bench.common.errors import UsageError
from distillation_bench.bench.common.files import atomic_file
from distillation_bench.bench.storage.formats.csv_files import (
    Writable,
    csv_writer,
    spreadsheet_safe,
)
from distillation_bench.bench.storage.run_folder import DamagedFile

CELL_COLUMNS = ["dataset", "method", "label", "seed", "status", "teacher"]
VALUE_COLUMNS = [*PLACE, "value"]
CHUNK_ROWS = 100_000
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
        require_package("pyarrow", f"--out {path}")


def require_package(package: str, option: str) -> None:
    """Raise UsageError if the package that an option needs is not installed."""
    if importlib.util.find_spec(package) is None:
        message = f"{option}: needs {package}, which is not installed: pip install {package}"
        raise UsageError(message)


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


def write_csv(results: Results, file: Writable) -> int:
    """Write the same table as CSV into an open file; return the number of rows.

    Text that a spreadsheet would run as a formula begins with '.
    """
    cells, timings = _cells(results), _timings(results)
    starts, ends = _lines(cells), [f",{line}" for line in _lines(timings)]
    file.write(f"{_lines(pd.DataFrame([[*cells, *VALUE_COLUMNS, *timings]]))[0]}\n")
    count = 0
    for of_cells, rows in _chunks(results):
        values = results.metrics.iloc[rows[rows >= 0]]
        # Rows differ in few texts and the value: each text is written once.
        places, distinct = pd.factorize(pd.MultiIndex.from_frame(values[PLACE]))
        middles = [*_lines(distinct.to_frame()), ",,,,"] if len(distinct) else [",,,,"]
        codes, texts = np.full(len(rows), -1), np.full(len(rows), "", object)
        codes[rows >= 0], texts[rows >= 0] = places, list(map(repr, values["value"].tolist()))
        lines = zip(of_cells.tolist(), codes.tolist(), texts.tolist(), strict=True)
        file.write("".join(f"{starts[i]},{middles[j]},{text}{ends[i]}\n" for i, j, text in lines))
        count += len(rows)
    return count


def _write_parquet(results: Results, path: Path) -> int:
    import pyarrow as pa
    import pyarrow.parquet

    frames = (_cells(results), results.metrics[VALUE_COLUMNS], _timings(results))
    # Not `from_pandas`, for which an undefined value is none.
    tables = [pa.table({name: pa.array(_typed(x)) for name, x in f.items()}) for f in frames]
    count, writer = 0, None
    for of_cells, rows in _chunks(results):
        of_parts = of_cells, pa.array(rows, mask=rows < 0), of_cells
        parts = [table.take(places) for table, places in zip(tables, of_parts, strict=True)]
        columns = {name: part[name] for part in parts for name in part.column_names}
        for name, column in columns.items():
            if pa.types.is_dictionary(column.type) or pa.types.is_null(column.type):
                columns[name] = column.cast(pa.string())
        chunk = _nullable(pa.table(columns))
        writer = writer or pyarrow.parquet.ParquetWriter(path, chunk.schema, compression="zstd")
        writer.write_table(chunk)
        count += len(rows)
    if writer:
        writer.close()
    return count


def _nullable(table: Any) -> Any:
    """Return a table whose whole numbers stay whole in pandas where a cell has none."""
    import pyarrow as pa

    whole = [x.name for x in table.schema if pa.types.is_integer(x.type) and x.name != "seed"]
    kinds = pd.DataFrame({name: pd.Series(dtype="Int64") for name in whole})
    metadata = pa.Schema.from_pandas(kinds, preserve_index=False).metadata
    return table.replace_schema_metadata(metadata)


def _cells(results: Results) -> pd.DataFrame:
    """Return what each planned cell is, with its parameters as they are in the description."""
    planned, described = results.planned, results.manifest["cells"]
    given = [described[cell_id]["parameters"] for cell_id in planned["id"]]
    names = sorted({name for parameters in given for name in parameters})
    rows = [[parameters.get(name) for name in names] for parameters in given]
    columns = [f"param.{name}" for name in names]
    parameters = pd.DataFrame(rows, planned.index, columns, object)
    return planned[CELL_COLUMNS].astype(object).join(parameters)


def _timings(results: Results) -> pd.DataFrame:
    """Return the timings of each planned cell; what is counted, not measured, is whole."""
    names = sorted(name for name in results.cells if name.startswith("timing."))
    table = results.cells[names]
    counts = [name for name in table.select_dtypes("float") if "seconds" not in name]
    whole = [name for name in counts if (table[name].dropna() % 1 == 0).all()]
    table = table.astype(dict.fromkeys(whole, "Int64")).astype(object)
    return table.where(table.notna() & table.ne(""), None)


def _chunks(results: Results) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yield, in the order of tables, the cell of each row and its row in `metrics`, or -1."""
    keys = ["dataset", "label", "seed"]
    counts = results.metrics.groupby(keys, observed=True).size().rename("n")
    n = results.planned[keys].join(counts, on=keys)["n"].fillna(0).astype(int).to_numpy()
    # Rows of both are in the order of tables; a cell without values has one row, too.
    cells = np.repeat(np.arange(len(n)), n.clip(1))
    rows = np.where(n[cells] > 0, (n[cells] > 0).cumsum() - 1, -1)
    for start in range(0, len(cells), CHUNK_ROWS):
        part = slice(start, start + CHUNK_ROWS)
        yield cells[part], rows[part]


def _lines(table: pd.DataFrame) -> list[str]:
    """Return the rows of a table as lines of CSV."""
    lines = _Lines()
    writer = csv_writer(lines)
    for row in table.itertuples(index=False, name=None):
        writer.writerow([spreadsheet_safe(_text(value)) for value in row])
    return lines


class _Lines(list[str]):
    """A file whose lines are the elements of a list."""

    def write(self, line: str, /) -> int:
        self.append(line.removesuffix("\n"))
        return len(line)


def _text(value: Any) -> Any:
    """Return a number as it is, text as it is, anything else as JSON."""
    if isinstance(value, bool) or not (value is None or isinstance(value, (str, int, float))):
        return json.dumps(value)
    return "" if value is None else value


def _typed(column: pd.Series) -> Any:
    """Return values of one type; numbers together with schedules are text."""
    given = [value for value in column if value is not None] if column.dtype == object else []
    kinds = {type(value) for value in given}
    if column.dtype != object or kinds <= {bool} or kinds <= {int, float}:
        return column.array if column.dtype == "category" else column.to_numpy()
    return [None if value is None else str(_text(value)) for value in column]


def write_curves(results: Results, folder: Path) -> tuple[int, list[DamagedFile]]:
    """Write the training of each cell as an event file of TensorBoard.

    Return the number of files, and the damaged histories, which are left out.

    `FOLDER/DATASET/LABEL/seed N` is a run of TensorBoard, `STAGE/TERM` a scalar by epoch. Writing
    again replaces a file, for example while a run goes on.
    """
    count, damaged = 0, list[DamagedFile]()
    for cell in results.planned.itertuples():
        record = results.record(cell.id)
        try:
            history = results.holders[cell.id].history(record) if record else []
        except DamagedFile as error:
            damaged.append(error)
            continue
        if record and history:
            names = (_folder_name(cell.dataset), _folder_name(cell.label), f"seed {cell.seed}")
            with atomic_file(folder.joinpath(*names, "events.out.tfevents.0")) as part:
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
        terms = {k: text for k, text in row.items() if k not in ("stage", "epoch") and text}
        scalars = [
            Summary.Value(tag=f"{row['stage']}/{name}", simple_value=float(text))
            for name, text in terms.items()
        ]
        epoch = int(row.get("epoch") or step)
        event = Event(wall_time=time, step=epoch, summary=Summary(value=scalars))
        writer.write(event.SerializeToString())
    writer.close()


def _seconds(time: str) -> float:
    """Return seconds since 1970; 0 if the text is not a time."""
    with contextlib.suppress(ValueError, OverflowError):
        return datetime.datetime.fromisoformat(time).timestamp()
    return 0.0


def _folder_name(text: str) -> str:
    """Return a folder name that differs for different texts, and never leads elsewhere."""
    name = quote(text, safe=" +[]=,()@")
    if len(name) > MAX_NAME:
        return f"{name[:100]}…{hashlib.sha256(text.encode()).hexdigest()[:16]}"
    return name.replace(".", "%2E") if not name.strip(".") else name
