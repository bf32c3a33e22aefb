"""Find the cell that a user means."""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from distillation_bench.bench.common.errors import UsageError
from distillation_bench.bench.storage.run_folder import Run

MAX_EXAMPLES = 5
"""Number of cells that an error message lists."""


def run_and_cell(arguments: Sequence[str]) -> tuple[Run, str]:
    """Return the run and what the user wrote for the cell.

    Args:
        arguments: the path of a record or of a cell's folder; or a run's folder and a cell.

    Raises:
        UsageError: no cell is given, or there is no such run.
    """
    first, *rest = arguments
    path = Path(first)
    is_in_run = path.parent.name == "cells" and (path.parent.parent / "run.json").exists()
    if not rest and is_in_run:
        return Run(path.parent.parent), path.name.removesuffix(".json")
    if not rest:
        Run(path).existing_manifest()
        raise UsageError(
            f"{first}: which cell? Give its id, or dataset, label and seed: "
            f"why {first} DATASET LABEL SEED"
        )
    return Run(path), " ".join(rest).strip()


def find_cell(run: Run, cells: Mapping[str, Any], text: str) -> str:
    """Return the id of a cell.

    Args:
        run: the run.
        cells: planned cells by id.
        text: an id, the beginning of one, or dataset, label and seed.

    Raises:
        UsageError: no cell or several are meant; the message has the nearest, or some of them.
    """
    names = {f"{c['dataset']} {c['label']} {c['seed']}": cell_id for cell_id, c in cells.items()}
    # `status` names a cell with the word seed.
    wanted = text.replace(" seed ", " ").removesuffix(".json")
    if wanted in cells or wanted in names:
        return names.get(wanted, wanted)
    cell_ids = {*run.record_ids(), *cells}
    if wanted in cell_ids:
        return wanted
    matches = sorted(cell_id for cell_id in cell_ids if wanted and cell_id.startswith(wanted))
    matches += [cell_id for name, cell_id in names.items() if name.startswith(f"{wanted} ")]
    if len(matches) == 1:
        return matches[0]
    if matches:
        examples = ", ".join([*matches[:MAX_EXAMPLES], *["…"] * (len(matches) > MAX_EXAMPLES)])
        raise UsageError(f"{text}: {len(matches)} cells begin so: {examples}")
    close = difflib.get_close_matches(wanted, [*names, *cell_ids], n=1, cutoff=0.5)
    hint = f"did you mean {close[0]!r}?" if close else f"{run.folder} has {len(cells)} cells"
    raise UsageError(f"{text}: no such cell; {hint}")
