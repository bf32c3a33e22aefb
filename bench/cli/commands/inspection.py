"""The commands that show what a run holds: status, board, why."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from distillation_bench.bench.cli.options import CacheFolder, RunFolder
from distillation_bench.bench.cli.terminal import page
from distillation_bench.bench.common.errors import UsageError
from distillation_bench.bench.common.paths import CACHE
from distillation_bench.bench.common.text import truncated

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from distillation_bench.bench.storage.run_folder import Run


def status(
    folder: RunFolder,
    watch: Annotated[
        bool, typer.Option("--watch", help="update until nothing runs any more, or Ctrl-C")
    ] = False,
    every: Annotated[
        float | None,
        typer.Option(
            "--every",
            metavar="SECONDS",
            min=0.1,
            max=3600,
            help="time between updates of --watch",
            show_default="2",
        ),
    ] = None,
) -> None:
    """Count a run's cells by status, with the reason of each failure."""
    from distillation_bench.bench.storage.run_folder import Run

    if watch:
        from distillation_bench.bench.execution.progress.watch import watch as watch_run

        watch_run(Run(folder), every or 2.0)
        return
    if every is not None:
        raise UsageError("--every: needs --watch")
    page(status_text(Run(folder)))


def status_text(run: Run) -> str:
    """Return counts by dataset and method, and the reason of each failure."""
    from distillation_bench.bench.execution.progress import status_counts
    from distillation_bench.bench.storage.tables import cell_statuses

    cells = run.existing_manifest()["cells"]
    find_status = cell_statuses(run)
    outcomes = {cell_id: find_status(cell_id) for cell_id in cells}
    statuses = {cell_id: outcome.status for cell_id, outcome in outcomes.items()}
    failures = [
        status_counts.failure_line(cells[cell_id], outcome.reason)
        for cell_id, outcome in outcomes.items()
        if outcome.status == "failed"
    ]
    recorded = sum(status != "missing" for status in statuses.values())
    return "\n".join(
        [
            status_counts.status_table(cells, statuses.__getitem__),
            "",
            *sorted(failures),
            *_remarks(run, recorded),
            status_counts.status_summary(cells, statuses.__getitem__),
        ]
    )


def _remarks(run: Run, recorded: int) -> list[str]:
    """Return lines on a running process, and on records of cells that are not in the manifest."""
    driver = run.driver()
    remarks = [f"driven by {driver}"] if driver else []
    if older := len(run.record_ids()) - recorded:
        remarks.append(f"{older} records of cells no longer asked for, or of older code, are kept")
    return remarks


def board(
    folder: RunFolder,
    markdown: Annotated[bool, typer.Option("--markdown", help="print Markdown")] = False,
) -> None:
    """Print the leaderboard of a run."""
    from distillation_bench.bench.storage.run_folder import Run

    page(board_text(Run(folder), markdown))


def board_text(run: Run, markdown: bool) -> str:
    """Return the leaderboard; failed, skipped and missing cells are noted with their method."""
    from distillation_bench.bench.analysis.tables.leaderboard import make_leaderboards
    from distillation_bench.bench.analysis.tables.leaderboard_text import (
        leaderboard_markdown,
        leaderboard_text,
    )
    from distillation_bench.bench.storage import tables

    manifest = run.existing_manifest()
    results = tables.results(run)
    leaderboards = make_leaderboards(manifest, results, _reasons(run, manifest, results))
    return leaderboard_markdown(leaderboards) if markdown else leaderboard_text(leaderboards)


def _reasons(
    run: Run, manifest: Mapping[str, Any], results: Sequence[Mapping[str, str]]
) -> dict[tuple[str, str], str]:
    """Return a reason of the failed and skipped cells of each dataset and label."""
    without_values = {
        (row["dataset"], row["label"], int(row["seed"]))
        for row in results
        if row["status"] in ("failed", "skipped")
    }
    reasons: dict[tuple[str, str], str] = {}
    for cell_id, cell in manifest["cells"].items():
        if (cell["dataset"], cell["label"], cell["seed"]) in without_values:
            record = run.record(cell_id)
            reason = record["reason"] if record else ""
            reasons.setdefault((cell["dataset"], cell["label"]), truncated(reason))
    return reasons


def why(
    cell: Annotated[
        list[str],
        typer.Argument(
            metavar="RUN CELL",
            help="a run's folder and a cell's id, its beginning, or dataset, label and seed; "
            "or the path of a record",
        ),
    ],
    cache: CacheFolder = CACHE,
) -> None:
    """Explain a cell: reason, traceback, parameters, values, training."""
    from distillation_bench.bench.analysis.one_cell.description import describe_cell
    from distillation_bench.bench.cli.rerun_command import rerun_command

    page(describe_cell(cell, cache, rerun_command))
