"""What a run's folder says was asked for, and whether more may be asked for in it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from distillation_bench.bench.common.errors import UsageError
from distillation_bench.bench.common.hashing import canonical_json
from distillation_bench.bench.metrics.registry import METRICS
from distillation_bench.bench.planning.cells import Cell
from distillation_bench.bench.storage.formats.older_formats import FORMAT
from distillation_bench.bench.storage.labels import clashes, seeds_of
from distillation_bench.bench.storage.ownership import require_room
from distillation_bench.bench.storage.run_folder import Run
from distillation_bench.methods import METHODS


def check_run(run: Run, cells: Sequence[Cell], command: str) -> None:
    """Whether cells may be run in a folder, before anything is written.

    Raises:
        UsageError: as `describe_run`, or what would be written could not be read again.
    """
    run.sealed(describe_run(run, cells, command))


def describe_run(run: Run, cells: Sequence[Cell], command: str) -> dict[str, Any]:
    """What a run's folder is to say, with these cells in the places of earlier ones.

    Raises:
        UsageError: the folder is neither empty nor a run; it holds cells of another recipe or
            teacher, or under a label that is asked for others than those asked for.
    """
    require_room(run.folder, f"--results {run.folder}")
    manifest = run.manifest()
    _check_recipes(run, manifest, cells)
    return _described(manifest, cells, command)


def _check_recipes(run: Run, manifest: Mapping[str, Any], cells: Sequence[Cell]) -> None:
    """One folder, one recipe a dataset, one thing a label: tables compare what is alike.

    Raises:
        UsageError: the folder holds cells of another recipe or teacher, or under a label that is
            asked for others than those asked for.
    """
    for dataset, cell in {cell.dataset: cell for cell in cells}.items():
        recipe = cell.recipe.training()
        old = manifest.get("recipes", {}).get(dataset, recipe)
        if canonical_json(old) != canonical_json(recipe):
            names = sorted(name for name in recipe if old.get(name) != recipe[name])
            values = ", ".join(f"{name}={old.get(name)}, now {recipe[name]}" for name in names)
            raise UsageError(
                f"{run.folder}: {dataset} was run with {values}; give another folder with --results"
            )
    earlier = _staying(manifest, cells)
    _check_groups(run.folder, manifest, earlier, cells)
    _check_teachers(run.folder, earlier, cells)
    _check_labels(run.folder, earlier, cells)


def _staying(manifest: Mapping[str, Any], cells: Sequence[Cell]) -> list[Mapping[str, Any]]:
    """What a run's description keeps: all but the cells whose places are taken."""
    taken = {_slot(cell.description()) for cell in cells}
    return [each for each in manifest.get("cells", {}).values() if _slot(each) not in taken]


def _check_groups(
    folder: Path,
    manifest: Mapping[str, Any],
    earlier: Iterable[Mapping[str, Any]],
    cells: Sequence[Cell],
) -> None:
    """One folder, the same OOD sets in the same groups: headline values are means over them."""
    now = _ood_sets({cell.dataset: cell for cell in cells}.values())
    for old in earlier:
        name = old["dataset"]
        if name in now and _groups(now[name]) != _groups(manifest["ood"].get(name, {})):
            raise UsageError(
                f"{folder}: {name} {old['label']} was measured on other OOD sets, or on these in "
                "other groups; run it again too, or give another folder with --results"
            )


def _check_teachers(
    folder: Path, earlier: Iterable[Mapping[str, Any]], cells: Sequence[Cell]
) -> None:
    """One folder, one teacher a dataset and seed, and the same sets: differences are paired."""
    now = {(cell.dataset, cell.seed): cell.measured for cell in cells}
    for old in earlier:
        key = now.get((old["dataset"], old["seed"]))
        if key not in (None, old.get("measured")):
            raise UsageError(
                f"{folder}: {old['dataset']} {old['label']} was measured with another teacher, "
                "or on other sets; run it again too, or give another folder with --results"
            )


def _check_labels(
    folder: Path, earlier: Iterable[Mapping[str, Any]], cells: Sequence[Cell]
) -> None:
    """One folder, one method, one set of parameters and one version of the code a label."""
    asked = [cell.description() for cell in cells]
    labels = {cell["label"] for cell in asked}
    for clash in clashes([*asked, *(old for old in earlier if old["label"] in labels)]):
        raise UsageError(
            f"{folder}: {clash}, which is asked for now: run {seeds_of(clash.cells)} again too, "
            "or give another folder with --results or another label"
        )


def _described(manifest: Mapping[str, Any], cells: Sequence[Cell], command: str) -> dict[str, Any]:
    """The description with the cells that are asked for, in the places of earlier ones."""
    asked = {cell.id: cell.description() for cell in cells}
    slots = {_slot(cell) for cell in asked.values()}
    kept = {k: v for k, v in manifest.get("cells", {}).items() if _slot(v) not in slots}
    of_datasets = {cell.dataset: cell for cell in cells}
    recipes = {name: cell.recipe.training() for name, cell in of_datasets.items()}
    # What cells that stay were made with, plugins too, is kept.
    metrics = manifest.get("metrics", {}) | {
        m.name: {"better": m.better, "headline": m.headline, "task": m.task, "summary": m.summary}
        for m in METRICS.values()
    }
    methods = {m["name"]: m for m in manifest.get("methods", [])}
    methods |= {m.name: {"name": m.name, "reference": m.reference} for m in METHODS.values()}
    return {
        "format": FORMAT,
        "command": command,
        "cells": kept | asked,
        "recipes": manifest.get("recipes", {}) | recipes,
        "ood": manifest.get("ood", {}) | _ood_sets(of_datasets.values()),
        "remarks": manifest.get("remarks", {}),
        "metrics": metrics,
        "methods": list(methods.values()),
    }


def _ood_sets(cells: Iterable[Cell]) -> dict[str, dict[str, str]]:
    """By dataset, each OOD set's group, or why it is absent."""
    return {
        cell.dataset: {
            each.name: f"absent: {each.absent}" if each.absent else each.group
            for each in cell.teacher.data.sources.ood
        }
        for cell in cells
    }


def _groups(sets: Mapping[str, str]) -> dict[str, str]:
    """By OOD set its group; why one is absent makes no difference."""
    return {name: group.partition(":")[0] for name, group in sets.items()}


def _slot(cell: Mapping[str, Any]) -> tuple[Any, ...]:
    """A place in the table: a cell of changed code takes the place of its older self."""
    return cell["dataset"], cell["label"], cell["seed"]
