"""What results show of themselves, in a console and in a notebook: which cells are done."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pandas as pd
from markupsafe import Markup

from distillation_bench.bench.common.terminal_tables import text_table
from distillation_bench.bench.common.text import counted, terminal_safe, truncated
from distillation_bench.bench.storage.formats.schema import STATUSES

if TYPE_CHECKING:
    from distillation_bench.bench.analysis.results import Results

MAX_ROWS, MAX_NAME = 30, 60
"""Labels that are listed, and characters of a name."""


def overview(results: Results) -> str:
    """Return a line on all cells, then the number of those done by label and dataset."""
    table, hidden = _listed(results)
    return "\n".join([_headline(results), text_table(table.itertuples(), ["", *table]), *hidden])


def overview_html(results: Results) -> str:
    """Return the same as HTML."""
    table, hidden = _listed(results)
    rows = Markup(table.to_html(border=0))
    return Markup("<div><p>{}</p>{}{}</div>").format(_headline(results), rows, *hidden or [""])


def describe_runs(results: Results) -> str:
    """Return which runs these are and, if that differs, which datasets they have; empty for one.

    One sentence: `Runs: a (digits), b (digits, sine).`
    """
    if len(results.runs) < 2:
        return ""
    cells = results.planned
    holders = cells["id"].map(lambda cell_id: str(results.holders[cell_id].folder))
    names = cells.groupby(holders)["dataset"].agg(lambda x: ", ".join(map(str, x.unique())))
    folders = [str(run.folder) for run in results.runs]
    if names.nunique() > 1:
        folders = [f"{x} ({names[x]})" if x in names else f"{x} (no other cells)" for x in folders]
    return f"Runs: {', '.join(folders)}."


def done_of_planned(results: Results) -> pd.DataFrame:
    """Return the cells that are done of those planned, as text, by label and dataset."""
    cells = results.planned.assign(done=results.planned["status"] == "done")
    counts = cells.groupby(["label", "dataset"], observed=True)["done"].agg(["sum", "size"])
    texts = counts["sum"].astype(str) + " of " + counts["size"].astype(str)
    return texts.unstack(fill_value="")


def _listed(results: Results) -> tuple[pd.DataFrame, list[str]]:
    """Return the first labels, and a line on the others if there are any."""
    table = done_of_planned(results)
    table.index, table.columns = ([truncated(x, MAX_NAME) for x in names] for names in table.axes)
    hidden = len(table) - MAX_ROWS
    return table[:MAX_ROWS], [f"and {hidden} more labels"] if hidden > 0 else []


def _headline(results: Results) -> str:
    """Return the folders and the number of cells by status."""
    folders = ", ".join(terminal_safe(str(run.folder)) for run in results.runs)
    counts = results.planned["status"].value_counts()
    parts = (f"{counts[status]} {status}" for status in STATUSES if counts.get(status, 0))
    return f"Results of {folders}: {counted(len(results.planned), 'cell')}, {', '.join(parts)}"
