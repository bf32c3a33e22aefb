"""What a user should know of the data of a run, in lines; without torch."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from distillation_bench import datasets
from distillation_bench.bench.planning.cache_keys import DataPlan
from distillation_bench.bench.planning.cells import Cell
from distillation_bench.bench.storage.cache import Cache


def data_plans(cells: Iterable[Cell]) -> list[DataPlan]:
    """The data that cells read, each once."""
    return list({cell.teacher.data.sets_key: cell.teacher.data for cell in cells}.values())


def remarks(plans: Iterable[DataPlan], cache: Cache, root: Path) -> dict[str, list[str]]:
    """By dataset: what its files show unread, now, and what was noted when it was prepared."""
    lines: dict[str, dict[str, None]] = {}
    for plan in plans:
        if plan.dataset not in lines:
            unread = datasets.get(plan.dataset)(root).remarks()
            lines[plan.dataset] = dict.fromkeys(unread)
        lines[plan.dataset].update(dict.fromkeys(cache.note(plan.splits_key).get("remarks", ())))
    return {dataset: list(each) for dataset, each in lines.items() if each}
