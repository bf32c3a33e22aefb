"""The command `status`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from distillation_bench.bench.cli.options import RunFolder
from distillation_bench.bench.cli.terminal import page
from distillation_bench.bench.common.errors import UsageError

if TYPE_CHECKING:
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
        records = f"{older} records of cells" if older > 1 else "1 record of a cell"
        verb = "are" if older > 1 else "is"
        remarks.append(f"{records} no longer asked for, or of older code, {verb} kept")
    return remarks
