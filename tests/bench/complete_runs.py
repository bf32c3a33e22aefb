"""Complete runs, with every file that a cell leaves; tests damage them."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from distillation_bench.bench.common.paths import IMPORT_FOLDER
from distillation_bench.bench.metrics.registry import METRICS
from distillation_bench.bench.storage import tables as derived
from distillation_bench.bench.storage.formats.older_formats import FORMAT
from distillation_bench.bench.storage.run_folder import Run

Slot = tuple[str, str, int]
SLOTS = [
    (dataset, label, seed) for dataset in ("d", "e") for label in ("a", "b") for seed in (0, 1)
]


@pytest.fixture(scope="session")
def complete_run() -> Callable[..., Run]:
    """complete_run(folder, slots, **options): see `generate`."""
    return generate


def generate(
    folder: Path,
    slots: list[Slot] | None = None,
    *,
    figure: float = 0.25,
    failed: tuple[Slot, ...] = (),
    missing: tuple[Slot, ...] = (),
    epochs: int = 10,
    protocol: str = "protocol",
    ood: str = "far",
) -> Run:
    """Write a run whose done cells have values, a history and curves."""
    run = Run(folder)
    slots = SLOTS if slots is None else slots
    recipe = {"epochs": epochs, "members": 5}
    cells = {
        id_of(slot): {
            **dict(zip(("dataset", "label", "seed"), slot, strict=True)),
            "method": slot[1],
            "parameters": {"heads": 3, "lam": "linear(0, 1)"},
            "skip": "",
            "measured": f"outputs-{slot[0]}{slot[2]}",
            "protocol": protocol,
        }
        for slot in slots
    }
    metrics = {m.name: {"better": m.better, "headline": m.headline} for m in METRICS.values()}
    run.write_manifest(
        {
            "format": FORMAT,
            "command": f"python run_bench.py run --results {folder.name}",
            "cells": cells,
            "recipes": {dataset: recipe for dataset, _, _ in slots},
            "ood": {dataset: {"plane": ood} for dataset, _, _ in slots},
            "metrics": {name: {**metric, "task": "any"} for name, metric in metrics.items()},
            "methods": [{"name": name, "reference": name == "a"} for name in ("a", "b")],
        }
    )
    for slot in slots:
        if slot not in missing:
            write_cell(run, slot, cells[id_of(slot)], recipe, figure, slot in failed)
    derived.write_tables(run)
    return run


def write_cell(
    run: Run, slot: Slot, cell: dict[str, Any], recipe: dict[str, Any], figure: float, failed: bool
) -> None:
    figures = {"nll": figure, "accuracy": 0.5}
    entry = {"set": "test", "shift": "", "severity": 0}
    record = {
        "id": id_of(slot),
        **{name: cell[name] for name in ("dataset", "method", "seed", "parameters")},
        "status": "failed" if failed else "done",
        "reason": "ValueError: it broke" if failed else "",
        "details": 'Traceback (most recent call last):\n  File "x.py"' if failed else "",
        "recipe": recipe,
        "teacher": cell["measured"],
        "commit": "",
        "finished": "2026-01-01T00:00:00+00:00",
        "headline": {} if failed else figures,
        "sets": [] if failed else [{**entry, "values": {**figures, "temperature": float("nan")}}],
        "timings": {"seconds": 1.5, "attempts": 1},
        "environment": {"python": "3.11"},
    }
    if failed:
        run.write_record(record)
        return
    history = [{"stage": "train", "epoch": i, "loss": 1 / (i + 1)} for i in range(5)]
    run.write_record(record, history, {"x": np.arange(4, dtype=np.float32)})


def id_of(slot: Slot) -> str:
    return "{}.{}.s{}".format(*slot)


@contextmanager
def locked_elsewhere(folder: Path) -> Iterator[None]:
    """Hold the lock of the folder in another process, as a driver does."""
    code = f"""
from pathlib import Path
from distillation_bench.bench.storage.run_folder import Run
with Run(Path({str(folder)!r})).locked():
    print("held", flush=True)
    input()
"""
    environment = {**os.environ, "PYTHONPATH": str(IMPORT_FOLDER)}
    process = subprocess.Popen(
        [sys.executable, "-c", code],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env=environment,
        text=True,
    )
    assert process.stdout is not None and process.stdout.readline() == "held\n"
    try:
        yield
    finally:
        process.communicate("\n", timeout=30)


@pytest.fixture(scope="session")
def driver() -> Callable[[Path], Any]:
    """driver(folder): a context in which another process drives the run."""
    return locked_elsewhere
