"""Records and runs as the storage room writes them."""

from __future__ import annotations

import csv
import math
import random
from pathlib import Path
from typing import Any

from distillation_bench.bench.storage.formats.older_formats import FORMAT
from distillation_bench.bench.storage.run_folder import (
    Run,
)

CELL = {
    **{"dataset": "d", "method": "m", "measured": "teacher", "protocol": "code"},
    "parameters": {},
}


def record(cell_id: str, **changes: Any) -> dict[str, Any]:
    figures = {"nll": 0.25, "ece": math.nan, "kl": math.inf}
    return {
        "id": cell_id,
        **{"dataset": "d", "method": "m", "seed": 0, "parameters": {}, "recipe": {}},
        **{"teacher": "teacher", "commit": "", "finished": "2026-01-01T00:00:00+00:00"},
        **{"status": "done", "reason": "", "environment": {}},
        "headline": figures,
        "sets": [{"set": "test", "shift": "", "severity": 0, "values": figures}],
        "timings": {"seconds": 1.5},
        **changes,
    }


def make_run(folder: Path, labels: list[str], shuffler: random.Random | None = None) -> Run:
    run = Run(folder)
    cells = {
        f"c{index}": {**CELL, "label": label, "seed": seed}
        for index, (label, seed) in enumerate((label, s) for label in labels for s in (10, 9))
    }
    description = {"cells": cells, "methods": [], "metrics": {}, "recipes": {"d": {}}, "ood": {}}
    run.write_manifest({"format": FORMAT, **description})
    ids = list(cells)
    if shuffler is not None:
        shuffler.shuffle(ids)
    for cell_id in ids:
        run.write_record(record(cell_id))
    return run


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))
