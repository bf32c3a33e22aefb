"""What a user should know about the data of a run, in lines; without torch."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from distillation_bench import datasets
from distillation_bench.bench.planning.cache_keys import DataPlan
from distillation_bench.bench.planning.cells import Cell
from distillation_bench.bench.storage.cache import Cache


def data_plans(cells: Iterable[Cell]) -> list[DataPlan]:
    """Return the data that cells read, each once."""
    return list({cell.teacher.data.sets_key: cell.teacher.data for cell in cells}.values())


def remarks(plans: Iterable[DataPlan], cache: Cache, root: Path) -> dict[str, list[str]]:
    """Return the remarks on each dataset that has some, each once.

    They are what its files show without being read, and what was noted when they were read.
    """
    lines: dict[str, dict[str, None]] = {}
    for plan in plans:
        if plan.dataset not in lines:
            lines[plan.dataset] = dict.fromkeys(datasets.get(plan.dataset)(root).remarks())
        lines[plan.dataset].update(dict.fromkeys(cache.note(plan.splits_key).get("remarks", ())))
    return {dataset: list(texts) for dataset, texts in lines.items() if texts}
