"""Tables as CSV."""

from __future__ import annotations

import io
from collections.abc import Sequence

from distillation_bench.bench.analysis.old_results import Results
from distillation_bench.bench.analysis.tables.table_model import PaperTable, TableEntry
from distillation_bench.bench.storage.formats.csv_files import csv_writer, spreadsheet_safe

COLUMNS = (
    *("dataset", "label", "method", "metric", "quantity", "unit", "n", "planned", "mean"),
    *("deviation", "mark", "level", "empty", "chance", "at_bound"),
)
LEVEL = {True: "yes", False: "no", None: ""}


def table_csv(tables: Sequence[PaperTable], results: Results) -> str:
    """Return one row for each value, unrounded, in the unit that is printed.

    `level` says whether a student is not distinguishable from the best, where a test could tell.
    `empty` is the reason where there is no value. `chance` is set for metrics that detect
    something: the teacher itself is `better` or `worse` than chance (then no student is best), or
    that is `unknown`. `at_bound` is the number of seeds whose temperature is at a bound.
    """
    text = io.StringIO()
    rows = csv_writer(text)
    rows.writerow(COLUMNS)
    for table in tables:
        for entry in table.entries:
            rows.writerow(map(spreadsheet_safe, _row(entry, results)))
    return text.getvalue()


def _row(entry: TableEntry, results: Results) -> list[object]:
    format, summary = entry.format, entry.summary
    return [
        entry.dataset,
        entry.label,
        results.methods.get(entry.label, "published"),
        str(format.metric),
        format.name,
        format.unit,
        entry.n,
        entry.planned,
        repr(summary.mean) if summary else "",
        repr(summary.deviation) if summary else "",
        entry.mark,
        LEVEL[entry.indistinguishable],
        "" if summary else entry.placeholder,
        entry.detection.verdict if entry.detection else "",
        str(entry.at_bound or ""),
    ]
