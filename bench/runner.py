"""A run from cells to tables: what is done already, the graph of the rest, records as they come."""

from __future__ import annotations

import contextlib
import datetime
import shlex
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import datasets
from bench import derived
from bench.cache import Cache
from bench.devices import cores
from bench.errors import UsageError
from bench.estimate import Estimate
from bench.executors import (
    Engine,
    Parcel,
    ProcessPerTask,
    TaskFailed,
    WorkerDied,
    WorkerLost,
    cluster_named,
)
from bench.fingerprint import canonical
from bench.folders import require_room
from bench.graph import cell_task, data_tasks, make_tasks
from bench.identity import clashes, seeds_of
from bench.latencies import Latencies
from bench.metrics.registry import METRICS
from bench.places import DATA_ROOT, ROOT
from bench.plan import Cell
from bench.plugins import Plugin
from bench.progress import Progress
from bench.remarks import data_plans, remarks
from bench.scheduler import Ended, Observer, Scheduler
from bench.store import FORMAT, Run, state_of
from bench.task import Task
from bench.usage import Usage
from bench.workplace import Workplace, in_worker
from methods import METHODS


@dataclass(frozen=True)
class Options:
    """How to run; none of it changes a figure."""

    jobs: int
    cache: Path
    data_root: Path = DATA_ROOT
    devices: tuple[str, ...] = ("cpu",)
    checkpoint: float = 120.0
    plugins: tuple[Plugin, ...] = ()
    timeout: float | None = None
    fail_fast: bool = False
    retry_failed: bool = False
    force: bool = False
    executor: str = "local"
    scheduler: str = ""
    command: str = ""


def run_cells(run: Run, cells: Sequence[Cell], options: Options) -> bool:
    """Run what is not done yet; returns whether every cell asked for is well.

    Raises:
        UsageError: the folder can't be written, is in use, or holds another recipe's cells or
            anything but a run.
        KeyboardInterrupt: interrupted; what was finished is on disk and in the tables.
    """
    require_data(cells, options)
    require_room(run.folder, f"--results {run.folder}")
    _require_writable(options.cache)
    with run.locked():
        check_recipes(run, cells)
        _describe(run, cells, options)
        left = _left(run, cells, options)
        try:
            # Skipped cells are recorded at once.
            _skip(run, [cell for cell in left.cells if cell.skip])
            _run_left(run, [cell for cell in left.cells if not cell.skip], options, left)
        except BaseException:
            # The tables can be derived again at any time; what went wrong is the news.
            with contextlib.suppress(OSError):
                derived.write(run)
            raise
        derived.write(run)
    return not left.failed and all(
        state_of(run.record(cell.id)) in ("done", "skipped") for cell in left.cells
    )


class _Left(NamedTuple):
    """What is to be run, what failed and is not, and what is known from what was run before."""

    cells: list[Cell]
    estimate: Estimate
    latencies: Latencies
    failed: list[Cell]


def _left(run: Run, cells: Sequence[Cell], options: Options) -> _Left:
    """What is not done yet, failed cells only where told to."""
    left = _Left([], Estimate(), Latencies(), [])
    for cell in cells:
        record = run.record(cell.id)
        state = state_of(record)
        again = state == "to run" or options.force or (options.retry_failed and state == "failed")
        if again:
            left.cells.append(cell)
        elif state == "failed":
            left.failed.append(cell)
        if record is not None and state == "done":
            left.estimate.learn(cell.kind, record["timings"]["seconds"])
            if not again:
                left.latencies.learn(cell.kind, record["timings"])
    return left


def require_data(cells: Sequence[Cell], options: Options) -> None:
    """Find every dataset's files.

    Raises:
        UsageError: which dataset's files are not there, where they were looked for, what to do.
    """
    for name in dict.fromkeys(cell.dataset for cell in cells):
        if reason := datasets.get(name)(options.data_root).missing():
            raise UsageError(f"{name}: {reason}; give --data-root, or --download to fetch it")


def _require_writable(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise UsageError(f"{folder}: can't be written ({error.strerror})") from None


def _run_left(run: Run, cells: Sequence[Cell], options: Options, left: _Left) -> None:
    if not cells:
        return
    by_task = {cell_task(cell): cell for cell in cells}
    places = str(options.cache), options.plugins, str(options.data_root)
    workplace = Workplace(*places, options.checkpoint)
    cache = Cache(options.cache)
    with contextlib.ExitStack() as ending:
        engine = _engine(options, workplace)
        ending.callback(engine.stop)
        if data := data_tasks(cells, cache, workplace):
            # Before anything trains, a broken file is the user's to mend; here, where files are.
            local = engine if options.executor == "local" else ProcessPerTask(1)
            ending.callback(local.stop)
            _prepare(data, local)
        _warn_of_precision(cells, engine)
        _note_remarks(run, cells, cache, options.data_root)
        tasks = make_tasks(cells, cache, workplace, left.latencies)
        estimate = left.estimate
        usage = Usage(engine.slots, None if options.scheduler else cores())
        with Progress(by_task, engine.slots, estimate) as progress:
            recorder = _Recorder(run, by_task, left.latencies, (usage, progress))
            Scheduler(tasks, engine, recorder, fail_fast=options.fail_fast, estimate=estimate).run()
        print(usage.report(), file=sys.stderr)


def _warn_of_precision(cells: Sequence[Cell], engine: Engine) -> None:
    """Say, before anything trains, where bfloat16 is slower than float32."""
    if all(cell.recipe.precision == "float32" for cell in cells):
        return
    answer = engine.submit(in_worker, "precision_warning", parcel=Parcel(timed=False))
    # What ends its process would end the tasks', and is told of them.
    with contextlib.suppress(TaskFailed, WorkerDied, WorkerLost):
        if warning := answer.result():
            print(warning, file=sys.stderr, flush=True)


def _note_remarks(run: Run, cells: Sequence[Cell], cache: Cache, root: Path) -> None:
    """Say what a user should know of the data, and keep it for the report."""
    lines = remarks(data_plans(cells), cache, root)
    for dataset, each in lines.items():
        for line in each:
            print(f"{dataset}: {line}", file=sys.stderr)
    manifest = run.manifest()
    run.write_manifest({**manifest, "remarks": manifest.get("remarks", {}) | lines})


def _prepare(tasks: list[Task], engine: Engine) -> None:
    failures: list[Ended] = []

    class Watch:
        def started(self, task: Task) -> None:
            print(f"preparing {task.name}", file=sys.stderr, flush=True)

        def ended(self, ended: Ended) -> None:
            if ended.failed:
                failures.append(ended)

    Scheduler(tasks, engine, Watch(), fail_fast=True).run()
    if failures:
        raise UsageError(f"{failures[0].task.name}: {failures[0].reason}")


def _engine(options: Options, workplace: Workplace) -> Engine:
    if options.executor != "local":
        return _cluster(options, workplace)
    return ProcessPerTask(options.jobs, options.timeout, options.devices)


def _cluster(options: Options, workplace: Workplace) -> Engine:
    device = options.devices[0].partition(":")[0]
    kind = cluster_named(options.executor)
    cluster = kind(options.scheduler, options.jobs, workplace, options.timeout, device)
    if cluster.dashboard:
        print(f"dashboard: {cluster.dashboard}", file=sys.stderr)
    return cluster


class _Recorder:
    """Writes the record of each cell that ends, then tells others."""

    def __init__(
        self,
        run: Run,
        cells: dict[str, Cell],
        latencies: Latencies,
        others: Sequence[Observer],
    ) -> None:
        self.run = run
        self.cells = cells
        self.latencies = latencies
        self.others = others
        self.commit = _commit()

    def started(self, task: Task) -> None:
        for other in self.others:
            other.started(task)

    def ended(self, ended: Ended) -> None:
        cell = self.cells.get(ended.task.name)
        if cell is not None:
            body, history, curves = ended.value if ended.value is not None else ({}, [], {})
            record = _record(cell, "failed" if ended.failed else "ok", ended.reason, self.commit)
            record |= body
            record["details"] = ended.details
            record["timings"] = {**record["timings"], "attempts": ended.attempts}
            self.run.write_record(record, history, curves)
            self.latencies.learn(cell.kind, record["timings"])
        for other in self.others:
            other.ended(ended)


def _record(cell: Cell, status: str, reason: str, commit: str) -> dict[str, Any]:
    return {
        "id": cell.id,
        "dataset": cell.dataset,
        "method": cell.method,
        "seed": cell.seed,
        "status": status,
        "reason": reason,
        "parameters": dict(cell.parameters),
        "recipe": cell.recipe.model_dump(),
        "teacher": cell.teacher.outputs_key,
        "commit": commit,
        "finished": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "headline": {},
        "sets": [],
        "timings": {},
        "environment": {},
    }


def _skip(run: Run, cells: Sequence[Cell]) -> None:
    for cell in cells:
        run.write_record(_record(cell, "skipped", cell.skip, ""))


def check_recipes(run: Run, cells: Sequence[Cell]) -> None:
    """One folder, one recipe a dataset, one thing a label: tables compare what is alike.

    Raises:
        UsageError: the folder holds cells of another recipe or teacher, or under a label that is
            asked for others than those asked for.
    """
    manifest = run.manifest()
    for dataset, cell in {cell.dataset: cell for cell in cells}.items():
        recipe = cell.recipe.training()
        old = manifest.get("recipes", {}).get(dataset, recipe)
        if canonical(old) != canonical(recipe):
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
    taken = {_slot(cell.described()) for cell in cells}
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
    asked = [cell.described() for cell in cells]
    labels = {cell["label"] for cell in asked}
    for clash in clashes([*asked, *(old for old in earlier if old["label"] in labels)]):
        raise UsageError(
            f"{folder}: {clash}, which is asked for now: run {seeds_of(clash.cells)} again too, "
            "or give another folder with --results or another label"
        )


def _describe(run: Run, cells: Sequence[Cell], options: Options) -> None:
    manifest = run.manifest()
    asked = {cell.id: cell.described() for cell in cells}
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
    run.write_manifest(
        {
            "format": FORMAT,
            "command": options.command,
            "cells": kept | asked,
            "recipes": manifest.get("recipes", {}) | recipes,
            "ood": manifest.get("ood", {}) | _ood_sets(of_datasets.values()),
            "remarks": manifest.get("remarks", {}),
            "metrics": metrics,
            "methods": list(methods.values()),
        }
    )


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


def _commit() -> str:
    """The repository's commit, with a + if files differ from it; empty outside git."""
    try:
        command = ["git", "-C", str(ROOT), "describe", "--always", "--abbrev=40", "--dirty=+"]
        done = subprocess.run(command, capture_output=True, check=True)
        return done.stdout.decode(errors="replace").strip()
    except (OSError, subprocess.CalledProcessError):
        return ""


def command_line() -> str:
    """The command as it was typed, less the folders of Python and of the program."""
    return shlex.join(["python", Path(sys.argv[0]).name, *sys.argv[1:]])


def this_program(*arguments: str) -> str:
    """A command that works where this one was typed."""
    python = sys.executable
    with contextlib.suppress(ValueError):
        python = str(Path(python).relative_to(Path.cwd()))
    return shlex.join([python, sys.argv[0], *arguments])


def resume_command() -> str:
    """The same command, less what would run finished cells again."""
    return this_program(*(each for each in sys.argv[1:] if each != "--force"))
