"""The leaderboards of runs, which `board` prints, and `run` at its end."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from distillation_bench.bench.cli.folders import check_folders


def board_text(
    folders: Sequence[Path],
    datasets: Sequence[str] = (),
    labels: Sequence[str] = (),
    markdown: bool = False,
    mixed: bool = False,
) -> str:
    """Return the leaderboards of runs together; failed, skipped and missing cells are noted.

    Raises:
        UsageError: a folder is not a run, the runs differ in what must be equal, or there is no
            such dataset or label.
    """
    from distillation_bench.bench.analysis.results import load
    from distillation_bench.bench.analysis.tables.leaderboard import leaderboards_text

    check_folders([*map(Path, folders)])
    results = load(*folders, mixed=mixed, unfinished=True)
    return leaderboards_text(results, datasets, labels, markdown)
