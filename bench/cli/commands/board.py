"""The command `board`."""

from __future__ import annotations

from typing import Annotated

import typer

from distillation_bench.bench.cli.leaderboard import board_text
from distillation_bench.bench.cli.options import RunFolder
from distillation_bench.bench.cli.terminal import page


def board(
    folder: RunFolder,
    markdown: Annotated[bool, typer.Option("--markdown", help="print Markdown")] = False,
) -> None:
    """Print the leaderboard of a run."""
    from distillation_bench.bench.storage.run_folder import Run

    page(board_text(Run(folder), markdown))
