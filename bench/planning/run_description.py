"""The description of a run that its folder holds, and whether more cells may be added to it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from distillation_bench.bench.common.errors import UsageError
from distillation_bench.bench.common.hashing import canonical_json
from distillation_bench.bench.metrics.registry import METRICS
from distillation_bench.bench.planning.cells import Cell
from distillation_bench.bench.storage.formats.older_formats import FORMAT
from distillation_bench.bench.storage.ownership import require_room
from distillation_bench.bench.storage.protocol import label_clashes, seeds_text
from distillation_bench.bench.storage.run_folder import Run
from distillation_bench.methods import METHODS

Description = Mapping[str, Any]
"""Of a run or of a cell, as run.json holds it."""


def check_run(run: Run, cells: Sequence[Cell], command: str) -> None:
    """Check, before anything is written, that cells may be run in a folder.

    Raises:
        UsageError: as `describe_run`, or the description could not be read again.
    """
    run.encode_manifest(describe_run(run, cells, command))


def describe_run(run: Run, cells: Sequence[Cell], command: str) -> dict[str, Any]:
    """Return the description of a run with cells added; they replace those of the same row.

    Raises:
        UsageError: the folder is neither empty nor a run, or it holds cells that the new ones
            cannot be compared with: of another recipe, teacher or evaluation set, measured by
            other code, or of the same label with another method, parameters or code.
    """
    require_room(run.folder, f"--results {run.folder}")
    manifest = run.manifest()
    remaining = _remaining(manifest, cells)
    _check_recipes(run.folder, manifest, cells)
    _check_ood_groups(run.folder, manifest, remaining.values(), cells)
    _check_teachers(run.folder, remaining.values(), cells)
    _check_protocols(run.folder, remaining.values(), cells)
    _check_labels(run.folder, remaining.values(), cells)
    return _description(manifest, remaining, cells, command)


def _remaining(manifest: Description, cells: Sequence[Cell]) -> dict[str, Description]:
    """Return the cells of a run, by id, that the given ones do not replace."""
    replaced = {_row_key(cell.description()) for cell in cells}
    earlier = manifest.get("cells", {})
    return {name: cell for name, cell in earlier.items() if _row_key(cell) not in replaced}


def _row_key(cell: Description) -> tuple[Any, ...]:
    """Return what identifies a cell's row in tables, also after its code has changed."""
    return cell["dataset"], cell["label"], cell["seed"]


# What cells of one folder have in common


def _check_recipes(folder: Path, manifest: Description, cells: Sequence[Cell]) -> None:
    """Raise UsageError if a dataset was run with another recipe."""
    for dataset, cell in {cell.dataset: cell for cell in cells}.items():
        recipe = cell.recipe.training()
        earlier = manifest.get("recipes", {}).get(dataset, recipe)
        if canonical_json(earlier) != canonical_json(recipe):
            names = sorted(name for name in recipe if earlier.get(name) != recipe[name])
            values = ", ".join(f"{name}={earlier.get(name)}, now {recipe[name]}" for name in names)
            raise UsageError(
                f"{folder}: {dataset} was run with {values}; give another folder with --results"
            )


def _check_ood_groups(
    folder: Path,
    manifest: Description,
    remaining: Iterable[Description],
    cells: Sequence[Cell],
) -> None:
    """Raise UsageError if a dataset was evaluated on other OOD sets, or with other groups.

    Headline values are means over them.
    """
    now = _ood_sets({cell.dataset: cell for cell in cells}.values())
    for cell in remaining:
        name = cell["dataset"]
        if name in now and _groups(now[name]) != _groups(manifest["ood"].get(name, {})):
            raise UsageError(
                f"{folder}: {name} {cell['label']} was evaluated on other OOD sets or in other "
                "groups; include it too, or give another folder with --results"
            )


def _check_teachers(folder: Path, remaining: Iterable[Description], cells: Sequence[Cell]) -> None:
    """Raise UsageError if a dataset and seed has another teacher or other sets.

    Differences between methods are paired by teacher.
    """
    now = {(cell.dataset, cell.seed): cell.measured for cell in cells}
    for cell in remaining:
        key = now.get((cell["dataset"], cell["seed"]))
        if key not in (None, cell.get("measured")):
            raise UsageError(
                f"{folder}: {cell['dataset']} {cell['label']} was evaluated with another teacher "
                "or on other sets; include it too, or give another folder with --results"
            )


def _check_protocols(folder: Path, remaining: Iterable[Description], cells: Sequence[Cell]) -> None:
    """Raise UsageError if a dataset would be measured by two versions of the code, or of plugins.

    No table could show both.
    """
    now = {cell.dataset: cell.protocol for cell in cells}
    for cell in remaining:
        if now.get(cell["dataset"], cell["protocol"]) != cell["protocol"]:
            raise UsageError(
                f"{folder}: {cell['dataset']} {cell['label']} was measured by other code, or with "
                "other plugins of metrics; run it again too, or give another folder with --results"
            )


def _check_labels(folder: Path, remaining: Iterable[Description], cells: Sequence[Cell]) -> None:
    """Raise UsageError if a label would stand for two methods, parameters or versions of code."""
    added = [cell.description() for cell in cells]
    labels = {cell["label"] for cell in added}
    for clash in label_clashes([*added, *(cell for cell in remaining if cell["label"] in labels)]):
        raise UsageError(
            f"{folder}: {clash} of this run; include {seeds_text(clash.cells)} too, or give "
            "another label, or another folder with --results"
        )


# The description


def _description(
    manifest: Description,
    remaining: Mapping[str, Description],
    cells: Sequence[Cell],
    command: str,
) -> dict[str, Any]:
    """Return the description of the remaining cells and the new ones.

    What remaining cells were made with, such as a plugin's methods and metrics, stays in it.
    """
    by_dataset = {cell.dataset: cell for cell in cells}
    recipes = {name: cell.recipe.training() for name, cell in by_dataset.items()}
    metrics = {
        m.name: {"better": m.better, "headline": m.headline, "task": m.task, "summary": m.summary}
        for m in METRICS.values()
    }
    methods = {m["name"]: m for m in manifest.get("methods", [])}
    methods |= {m.name: {"name": m.name, "reference": m.reference} for m in METHODS.values()}
    return {
        "format": FORMAT,
        "command": command,
        "cells": {**remaining, **{cell.id: cell.description() for cell in cells}},
        "recipes": manifest.get("recipes", {}) | recipes,
        "ood": manifest.get("ood", {}) | _ood_sets(by_dataset.values()),
        "remarks": manifest.get("remarks", {}),
        "metrics": manifest.get("metrics", {}) | metrics,
        "methods": list(methods.values()),
    }


def _ood_sets(cells: Iterable[Cell]) -> dict[str, dict[str, str]]:
    """Return, by dataset, each OOD set's group, or why it is absent."""
    return {
        cell.dataset: {
            ood.name: f"absent: {ood.absent}" if ood.absent else ood.group
            for ood in cell.teacher.data.sources.ood
        }
        for cell in cells
    }


def _groups(sets: Mapping[str, str]) -> dict[str, str]:
    """Return the group of each OOD set; all reasons for absence are one group."""
    return {name: group.partition(":")[0] for name, group in sets.items()}
