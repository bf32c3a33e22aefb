"""The Typer application with all commands, in the order that help shows them in."""

from __future__ import annotations

from collections.abc import Callable

import typer

from distillation_bench.bench.cli.commands import (
    check,
    comparison,
    inspection,
    listings,
    plan,
    plot,
    report,
    run,
    table,
    upkeep,
)
from distillation_bench.bench.cli.options import flattened

COMMANDS: dict[str, Callable[..., None]] = {
    "run": run.run,
    "plan": plan.plan,
    "list": listings.list_,
    "check": check.check,
    "status": inspection.status,
    "board": inspection.board,
    "why": inspection.why,
    "compare": comparison.compare,
    "table": table.table,
    "plot": plot.plot,
    "report": report.report,
    "verify": upkeep.verify,
    "merge": upkeep.merge,
    "clean": upkeep.clean,
    "export": upkeep.export,
}

app = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    help="Compare methods that distil a deep ensemble into one network.",
)
for name, command in COMMANDS.items():
    app.command(name)(flattened(command))
