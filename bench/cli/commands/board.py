"""The command `board`."""

from __future__ import annotations

from typing import Annotated

import typer

from distillation_bench.bench.cli.leaderboard import board_text
from distillation_bench.bench.cli.options import Datasets, Labels, Mixed, RunFolders
from distillation_bench.bench.cli.terminal import page


def board(
    runs: RunFolders,
    dataset: Datasets = None,
    method: Labels = None,
    markdown: Annotated[bool, typer.Option("--markdown", help="print Markdown")] = False,
    mixed: Mixed = False,
) -> None:
    """Print the leaderboards of one run or several together."""
    page(board_text(runs, dataset or (), method or (), markdown, mixed))
