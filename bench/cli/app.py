"""The Typer application with all commands, in the order that help shows them in."""

from __future__ import annotations

from collections.abc import Callable

import typer

from distillation_bench.bench.cli.commands import (
    board,
    check,
    clean,
    compare,
    export,
    list_,
    merge,
    plan,
    plot,
    report,
    run,
    status,
    table,
    verify,
    why,
)
from distillation_bench.bench.cli.options import flattened

COMMANDS: dict[str, Callable[..., None]] = {
    "run": run.run,
    "plan": plan.plan,
    "list": list_.list_,
    "check": check.check,
    "status": status.status,
    "board": board.board,
    "why": why.why,
    "compare": compare.compare,
    "table": table.table,
    "plot": plot.plot,
    "report": report.report,
    "verify": verify.verify,
    "merge": merge.merge,
    "clean": clean.clean,
    "export": export.export,
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
