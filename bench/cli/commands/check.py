"""The command `check`."""

from __future__ import annotations

from typing import Annotated

import typer


def check(
    plugin: Annotated[
        str,
        typer.Argument(help="a Python file or folder with methods, datasets, networks, metrics"),
    ],
) -> None:
    """Check a plugin; exit status 1 if it breaks the contract."""
    from distillation_bench.bench.check.plugin_check import check_isolated
    from distillation_bench.bench.planning.plugins.plugin_files import plugin_path

    if not check_isolated(plugin_path(plugin, option="check")):
        raise typer.Exit(1)
