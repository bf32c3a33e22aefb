"""The leaderboard of a run, which `board` prints, and `run` at its end."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from distillation_bench.bench.common.text import truncated

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from distillation_bench.bench.storage.run_folder import Run


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
