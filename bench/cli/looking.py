"""Commands that look into a run: status, board."""

from __future__ import annotations

from typing import Annotated

import typer

from bench.cli.app import RunFolder, app, page


@app.command()
def status(folder: RunFolder) -> None:
    """Say what of a run is done, failed and missing."""
    from bench.overview import status_text
    from bench.store import Run

    page(status_text(Run(folder)))


@app.command()
def board(
    folder: RunFolder,
    markdown: Annotated[bool, typer.Option("--markdown", help="as Markdown")] = False,
) -> None:
    """Print a run's leaderboard."""
    from bench.overview import board_text
    from bench.store import Run

    page(board_text(Run(folder), markdown))
