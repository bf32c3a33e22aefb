"""The leaderboard: for each dataset, every headline metric over seeds, and ranks over datasets."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from distillation_bench.bench.analysis.overview import describe_runs
from distillation_bench.bench.analysis.results import Results
from distillation_bench.bench.analysis.statistics import mean_ranks
from distillation_bench.bench.analysis.tables.entries import UNMARKED, make_entries
from distillation_bench.bench.analysis.tables.paper_tables import (
    build_table,
    metric_formats,
    shown_cells,
    shown_headline_metrics,
)
from distillation_bench.bench.analysis.tables.table import Table, tables_markdown, tables_text


def leaderboards(
    results: Results, datasets: Sequence[str] = (), labels: Sequence[str] = ()
) -> list[Table]:
    """Return the leaderboard of each dataset that has any of the labels; by default all.

    It has a row for each label, a column for each headline metric, and n.

    Raises:
        UsageError: there is no such dataset or label, or no such cell.
    """
    planned = shown_cells(results, datasets, labels)
    formats = metric_formats(results, planned, shown_headline_metrics(results, planned))
    entries = make_entries(results, planned, formats, tested=False)
    return [
        build_table(results, cells, entries[entries["dataset"].eq(name)], (name, name), with_n=True)
        for name, cells in planned.groupby("dataset", observed=True)
    ]


def leaderboards_text(
    results: Results,
    datasets: Sequence[str] = (),
    labels: Sequence[str] = (),
    markdown: bool = False,
) -> str:
    """Return leaderboards, and the average ranks over their datasets, for a terminal.

    Args:
        results: the results.
        datasets, labels: by default all.
        markdown: return Markdown instead.

    Raises:
        UsageError: there is no such dataset or label, or no such cell.
    """
    boards = leaderboards(results, datasets, labels)
    notes = [*filter(None, [describe_runs(results)])]
    return (tables_markdown if markdown else tables_text)(boards, _ranks_table(boards), notes)


def average_ranks(entries: pd.DataFrame) -> pd.DataFrame:
    """Return average ranks by label (1 is best) in the metrics that rank at least two datasets.

    Ranks are those of means; ties share ranks. A label has one if it is ranked on every dataset on
    which the metric ranks students, else it is nan.
    """
    ranked = entries[entries["rank"].notna()]
    ranked = ranked.assign(metric=[format.name for format in ranked["format"]])
    # As recorded: 100 − 100 · accuracy rounds equal accuracies apart.
    recorded = [(mean - f.offset) / f.factor for mean, f in ranked[["mean", "format"]].to_numpy()]
    sign = [-1 if format.metric.better == "higher" else 1 for format in ranked["format"]]
    signed = pd.Series(np.multiply(sign, recorded), ranked.index)
    ranked["place"] = signed.groupby([ranked["metric"], ranked["dataset"]]).transform(mean_ranks)
    datasets = ranked.groupby("metric")["dataset"].nunique()
    means = ranked.groupby(["label", "metric"])["place"].agg(["mean", "size"]).reset_index()
    complete = means["size"].eq(means["metric"].map(datasets)) & means["metric"].map(datasets).gt(1)
    table = means[complete].pivot(index="label", columns="metric", values="mean")
    in_order = table.reindex(index=entries["label"].unique(), columns=ranked["metric"].unique())
    return in_order.dropna(how="all").dropna(axis=1, how="all")


def _ranks_table(boards: Sequence[Table]) -> list[Table]:
    """Return the table of average ranks; none where no metric ranks two datasets."""
    ranks = average_ranks(pd.concat([board.entries for board in boards]))
    is_below = any(board.entries["chance"].eq("worse").any() for board in boards)
    condition = " and the teacher not below chance" if is_below else ""
    title = (
        f"average rank over datasets with the metric{condition} (1 is best; methods that have it "
        "on all, with all seeds)"
    )
    texts = ranks.map("{:.2f}".format, na_action="ignore").fillna("–").to_numpy()
    entries = pd.DataFrame(
        {"row": i, "column": j, "text": text, "n": 0, "usual": 0, **UNMARKED}
        for (i, j), text in np.ndenumerate(texts)
    )
    return [Table("ranks", title, "method", [*ranks.index], [*ranks], entries)] * (len(ranks) > 0)
