"""Generated runs: the files of a real run, written from a table of values without training."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Collection, Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from distillation_bench.bench.analysis.results import Results, load
from distillation_bench.bench.metrics.registry import METRICS
from distillation_bench.bench.storage import tables as derived
from distillation_bench.bench.storage.formats.older_formats import FORMAT
from distillation_bench.bench.storage.run_folder import Run
from distillation_bench.bench.storage.tables import CellKey

Figures = Mapping[CellKey, Mapping[str, float]]
HOSTILE = ("a_b & 100% #1", "<script>alert(1)</script>", "../x", "[kd] | **b**", "~^\\{}$")
"""Labels, dataset names and reasons that a table or a page may trip over."""


@pytest.fixture(scope="session")
def make_run() -> Callable[..., Run]:
    """make_run(folder, figures, **options): a run's folder; see `generate`."""
    return generate


@pytest.fixture
def results_of(tmp_path: Path) -> Callable[..., Results]:
    """results_of(values, **options): the results of a generated run; see `generate`."""

    def make(figures: Figures, **options: Any) -> Results:
        return load(generate(tmp_path / "run", figures, **options).folder, unfinished=True)

    return make


def generate(
    folder: Path,
    figures: Figures,
    *,
    failed: Mapping[CellKey, str] | None = None,
    skipped: Mapping[CellKey, str] | None = None,
    missing: Iterable[CellKey] = (),
    methods: Mapping[str, str] | None = None,
    references: Collection[str] = ("ensemble",),
    metrics: Mapping[str, Mapping[str, Any]] | None = None,
    measured: Mapping[CellKey, str] | None = None,
    recipe: Mapping[str, Any] | None = None,
    ood: Mapping[str, Mapping[str, str]] | None = None,
    protocol: str = "protocol",
    versions: Mapping[str, str] | None = None,
    parameters: Mapping[str, Mapping[str, Any]] | None = None,
    timings: Mapping[str, float] | None = None,
    curves: Mapping[CellKey, Mapping[str, np.ndarray]] | None = None,
    histories: Mapping[CellKey, list[dict[str, Any]]] | None = None,
    command: str = "python run_bench.py run --preset generated",
) -> Run:
    """Write a run.

    Args:
        folder: of the run.
        figures: by (dataset, label, seed), the values of a `done` cell. A plain name is a headline
            value and one of the test set; `NAME[:SCORE]@SET` is only in metrics.csv.
        failed, skipped: reasons of the cells that are so; missing: cells without a record.
        methods: of labels; else the label is its method's name.
        references: methods that are no students.
        metrics: descriptions beside or instead of the registry's; a name that neither knows
            is better lower, and a headline.
        measured: the teacher-and-sets key of cells; else one a dataset and seed.
        recipe, ood, protocol, parameters (by label), timings: as in the records.
        versions: of code and data; else the run says none, as one of an earlier version.
        curves, histories: of `done` cells.
        command: that the run was made with.
    """
    failed, skipped = failed or {}, skipped or {}
    slots = dict.fromkeys([*figures, *failed, *skipped, *missing])
    methods = {label: label for _, label, _ in slots} | dict(methods or {})
    recipe = dict(recipe or {"members": 5, "epochs": 10})
    outputs = {slot: f"outputs-{_hash((slot[0], slot[2]))}" for slot in slots}
    outputs |= measured or {}

    def cell_id(slot: CellKey) -> str:
        """Return an id that, like a real one, changes with everything that values depend on."""
        slug = "-".join(re.findall(r"[a-z0-9]+", f"{slot[0]} {slot[1]}".lower()))
        made_with = (slot, protocol, sorted(recipe.items()), outputs[slot])
        return f"{slug[:60]}.s{slot[2]}.{_hash(made_with)}"

    cells = {
        cell_id(slot): {
            "dataset": slot[0],
            "label": slot[1],
            "seed": slot[2],
            "method": methods[slot[1]],
            "parameters": dict((parameters or {}).get(slot[1], {})),
            "skip": skipped.get(slot, ""),
            "measured": outputs[slot],
            "protocol": protocol,
            **(versions or {}),
        }
        for slot in slots
    }
    names = {name for row in figures.values() for name in row if "@" not in name}
    unknown = {"better": "lower", "headline": True, "summary": "", "task": "any"}
    described: dict[str, Any] = dict.fromkeys(sorted(names - set(METRICS) - _COSTS), unknown)
    described |= {
        m.name: {"better": m.better, "headline": m.headline, "task": m.task, "summary": m.summary}
        for m in METRICS.values()
    }
    run = Run(folder)
    run.write_manifest(
        {
            "format": FORMAT,
            "command": command,
            "cells": cells,
            "recipes": {dataset: recipe for dataset, _, _ in slots},
            "ood": {dataset: dict((ood or {}).get(dataset, {})) for dataset, _, _ in slots},
            "metrics": described | dict(metrics or {}),
            "methods": [
                {"name": name, "reference": name in references}
                for name in dict.fromkeys(methods.values())
            ],
        }
    )
    for slot in slots:
        status = "done" if slot in figures else "failed" if slot in failed else "skipped"
        if status == "skipped" and slot not in skipped:
            continue
        row = figures.get(slot, {})
        cell = cells[cell_id(slot)]
        record = {
            "id": cell_id(slot),
            **{name: cell[name] for name in ("dataset", "method", "seed", "parameters")},
            "status": status,
            "reason": failed.get(slot, skipped.get(slot, "")),
            "details": "Traceback (most recent call last):" if slot in failed else "",
            "recipe": recipe,
            "teacher": cell["measured"],
            "commit": "0" * 40,
            "finished": "2026-01-01T00:00:00+00:00",
            "headline": {name: value for name, value in row.items() if "@" not in name},
            "sets": _sets(row),
            "timings": {"seconds": 1.0, "train_seconds": 0.5, **(timings or {})},
            "environment": {"device": "cpu", "python": "3.11", "torch": "2.13"},
        }
        run.write_record(record, (histories or {}).get(slot, ()), (curves or {}).get(slot))
    derived.write_tables(run)
    return run


_COSTS = {"parameters", "flops"}


def _sets(row: Mapping[str, float]) -> list[dict[str, Any]]:
    """Return the sets of a record from values by selector."""
    sets: dict[tuple[str, str, int], dict[str, float]] = {}
    for selector, value in row.items():
        name, _, where = selector.partition("@")
        if not where:
            where = "cost" if name in _COSTS else "ood" if name.startswith("ood_") else "test"
        evaluation_set, _, severity = where.partition("/")
        key = ("test", evaluation_set, int(severity)) if severity else (evaluation_set, "", 0)
        if name.startswith("ood_") and ":" not in name:
            name = f"{name}:total"
        sets.setdefault(key, {})[name] = value
    return [
        {"set": name, "shift": shift, "severity": severity, "values": figures}
        for (name, shift, severity), figures in sets.items()
    ]


def _hash(value: object) -> str:
    return hashlib.sha256(repr(value).encode()).hexdigest()[:12]
