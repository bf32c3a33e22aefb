"""The tables of a run, read by pandas, and that of its planned cells."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any, BinaryIO

import numpy as np
import pandas as pd
from pandas.api.types import union_categoricals

from distillation_bench.bench.common.text import natural_key
from distillation_bench.bench.storage import tables
from distillation_bench.bench.storage.formats.limits import VALUE_BOUND
from distillation_bench.bench.storage.formats.schema import CELL_COLUMNS, METRIC_COLUMNS, STATUSES
from distillation_bench.bench.storage.run_folder import DamagedFile, Run
from distillation_bench.bench.storage.tables import CellKey, cell_key

_TEXTS = ("dataset", "method", "label", "set", "shift", "metric", "score")
_TYPES = {
    **dict.fromkeys(_TEXTS, "category"),
    "seed": "int64",
    "severity": "int64",
    "value": "float64",
}


def read_metrics(run: Run, shown: Mapping[CellKey, str]) -> pd.DataFrame:
    """Return the values of those cells of a run that count, METRIC_COLUMNS.

    Args:
        run: the run.
        shown: by cell that counts, as its own tables name it, the label that it is shown by.
    """
    try:
        table = _parse(lambda: tables.metrics_file(run))
    except (ValueError, KeyError, OverflowError):
        # It holds something else, though its checksum is right.
        table = _parse(lambda: contextlib.nullcontext(tables.recorded_metrics_file(run)))
    return _shown(table, shown)


_Opened = Callable[[], contextlib.AbstractContextManager[BinaryIO]]


def _parse(open_table: _Opened) -> pd.DataFrame:
    table = _parse_as(_TYPES, open_table)
    # pandas makes numbers of categories that all look like numbers, as a label `1e3`.
    texts = {name: "str" for name in _TEXTS if table[name].cat.categories.dtype != "str"}
    if texts:
        table = _parse_as({**_TYPES, **texts}, open_table)
    return table.astype(dict.fromkeys(texts, "category"))


def _parse_as(types: Mapping[str, str], open_table: _Opened) -> pd.DataFrame:
    with open_table() as file:
        # A label may be `NA` or `null`: only `nan` in the column of values is not a number.
        table = pd.read_csv(file, dtype=types, keep_default_na=False, na_values={"value": ["nan"]})
    sizes = table["value"].abs()
    if tuple(table) != METRIC_COLUMNS or (np.isfinite(sizes) & (sizes >= VALUE_BOUND)).any():
        raise ValueError("not a table of metrics")
    return table


def join_tables(tables: Sequence[pd.DataFrame]) -> pd.DataFrame:
    """Return tables of values one below the other; their columns of texts stay categories."""
    table = {name: union_categoricals([t[name] for t in tables]) for name in _TEXTS}
    numbers = [name for name in METRIC_COLUMNS if name not in table]
    joined = pd.concat([t[numbers] for t in tables], ignore_index=True)
    return joined.assign(**table)[list(METRIC_COLUMNS)]


def _shown(table: pd.DataFrame, shown: Mapping[CellKey, str]) -> pd.DataFrame:
    """Return the rows of cells that count, with the labels that they are shown by."""
    starts = first_rows(table)
    keys = table.iloc[starts][["dataset", "label", "seed"]].itertuples(index=False, name=None)
    labels = [shown.get(key, "") for key in keys]
    lengths = np.diff(np.append(starts, len(table)))
    if labels != list(table["label"].iloc[starts]):
        categories = pd.Index(dict.fromkeys(labels))
        codes = np.repeat(categories.get_indexer(labels), lengths)
        table = table.assign(label=pd.Categorical.from_codes(codes, categories))
        table = table[np.repeat([label != "" for label in labels], lengths)]
    return table


def first_rows(table: pd.DataFrame) -> np.ndarray:
    """Return the index of the first row of each cell; rows of a cell follow one another."""
    columns = (table["dataset"].cat.codes, table["label"].cat.codes, table["seed"])
    changes = np.logical_or.reduce([np.diff(column) != 0 for column in columns])
    return np.flatnonzero(np.concatenate(([len(table) > 0], changes)))


def read_cell_facts(run: Run) -> pd.DataFrame:
    """Return what the records of a run hold beside values, by cell id.

    Columns: `reason`, `finished`, `commit`, `environment` (JSON), `has_history`, `has_curves`, and
    `timing.NAME` for each timing.

    Raises:
        DamagedFile: cells.csv holds something else, though its checksum is right.
    """
    with tables.cells_file(run) as file:
        try:
            table = pd.read_csv(file, dtype=str, keep_default_na=False).set_index("id")
            timings = [name for name in table if name not in CELL_COLUMNS]
            numbers = {f"timing.{n}": _numbers(table[n]) for n in timings if n != "host"}
            has_file = {f"has_{name}": table[name].eq("true") for name in ("history", "curves")}
            facts = table[["reason", "finished", "commit", "environment"]]
        except (ValueError, KeyError):
            raise DamagedFile(run.folder / "cells.csv", "no facts of cells") from None
    host = {"timing.host": table["host"]} if "host" in timings else {}
    return facts.assign(**has_file, **host, **numbers)


def _numbers(texts: pd.Series) -> pd.Series:
    """Return numbers; nan where there is no text."""
    return texts.replace("", "nan").astype(float)


def planned_cells(
    manifest: Mapping[str, Any], rows: Mapping[Any, Mapping[str, str]]
) -> pd.DataFrame:
    """Return the planned cells in the order of tables."""
    methods = [method["name"] for method in manifest["methods"]]
    references = {method["name"] for method in manifest["methods"] if method["reference"]}
    cells = manifest["cells"]
    names = ["dataset", "method", "label", "seed", "measured"]
    table = pd.DataFrame(list(cells.values()), columns=names).rename(
        columns={"measured": "teacher"}
    )
    table.insert(4, "id", list(cells))
    table["reference"] = table["method"].isin(references)
    table["status"] = [
        row["status"] if (row := rows.get(cell_key(cell))) else "missing" for cell in cells.values()
    ]
    method_of = dict(zip(table["label"], table["method"], strict=True))
    methods += sorted({*method_of.values()} - {*methods})
    orders = {
        "dataset": sorted(set(table["dataset"]), key=natural_key),
        "method": methods,
        "label": sorted(method_of, key=lambda x: (methods.index(method_of[x]), natural_key(x))),
        "status": STATUSES,
    }
    table = table.astype({name: pd.CategoricalDtype(order) for name, order in orders.items()})
    return table.sort_values(["dataset", "label", "seed"], ignore_index=True)
