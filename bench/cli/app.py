"""The Typer application with all commands, in the order that help shows them in."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated

import typer

from distillation_bench import __version__
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
from distillation_bench.bench.common.program import SCRIPT

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

app = typer.Typer(add_completion=False, rich_markup_mode=None, pretty_exceptions_enable=False)
for name, command in COMMANDS.items():
    app.command(name)(flattened(command))


@app.callback(invoke_without_command=True)
def program(
    context: typer.Context,
    version: Annotated[bool, typer.Option("--version", help="Show the version and exit.")] = False,
) -> None:
    """Compare methods that distil a deep ensemble into one network."""
    if version:
        typer.echo(f"{SCRIPT} {__version__}")
        raise typer.Exit
    if context.invoked_subcommand is None:
        typer.echo(context.get_help())
        raise typer.Exit(2)
