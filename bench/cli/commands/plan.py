"""The command `plan`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from distillation_bench.bench.cli.run_setup import SetupOptions
from distillation_bench.bench.cli.terminal import page
from distillation_bench.bench.common.program import recorded_command
from distillation_bench.bench.common.terminal_tables import text_table
from distillation_bench.bench.common.text import counted, duration, truncated

if TYPE_CHECKING:
    from distillation_bench.bench.planning.cache_keys import TeacherPlan
    from distillation_bench.bench.planning.cells import Cell
    from distillation_bench.bench.storage.cache import Cache
    from distillation_bench.bench.storage.run_folder import CellStatus, Run


def plan(
    setup: SetupOptions,
    estimate: Annotated[
        bool,
        typer.Option("--estimate", help="time some steps of each kind of cell here"),
    ] = False,
) -> None:
    """Show what `run` with the same options would do, cell by cell."""
    from distillation_bench.bench.common.devices import device_kind, parse_devices
    from distillation_bench.bench.planning.cells import make_cells
    from distillation_bench.bench.planning.run_description import check_run
    from distillation_bench.bench.storage.cache import Cache
    from distillation_bench.bench.storage.run_folder import Run

    config, _ = setup.configure()
    devices = parse_devices(setup.device)
    cells = make_cells(config, setup.data_root, device_kind(devices))
    run = Run(setup.folder)
    check_run(run, cells, recorded_command())
    jobs = setup.jobs_at_a_time(devices)
    cache = Cache(setup.cache.absolute())
    page(plan_text(run, cells, cache, jobs, setup.data_root, with_time=not estimate))
    if estimate:
        from distillation_bench.bench.training.forecast import forecast_text

        page(forecast_text(cells, devices, jobs, cache.has))


def plan_text(
    run: Run,
    cells: Sequence[Cell],
    cache: Cache,
    jobs: int,
    data_root: Path,
    with_time: bool = True,
) -> str:
    """Return the status of each cell and teacher, remarks on the data, and the estimated time."""
    from distillation_bench.bench.execution.progress.status_counts import status_summary

    statuses = _statuses(run, cells)
    waiting = [cell for cell in cells if statuses[cell.id].status == "missing"]
    lines = [
        _cells_table(cells, statuses),
        "",
        _teachers_table(cells, waiting, cache),
        *_data_remarks(cells, cache, data_root),
        "",
        status_summary({cell.id: cell for cell in cells}, lambda name: statuses[name].status),
    ]
    if waiting and with_time:
        lines.append(_time_line(cells, statuses, waiting, jobs))
    return "\n".join(lines)


def _statuses(run: Run, cells: Sequence[Cell]) -> dict[str, CellStatus]:
    """Return the status of each cell by its id: recorded, or what `run` would find."""
    from distillation_bench.bench.storage.run_folder import CellStatus
    from distillation_bench.bench.storage.tables import cell_statuses

    find_status = cell_statuses(run)
    statuses = {cell.id: find_status(cell.id) for cell in cells}
    skipped = (cell.id for cell in cells if cell.skip and statuses[cell.id].status == "missing")
    return statuses | dict.fromkeys(skipped, CellStatus("skipped"))


def _cells_table(cells: Sequence[Cell], statuses: Mapping[str, CellStatus]) -> str:
    rows = []
    for cell in cells:
        status, reason, _ = statuses[cell.id]
        rows.append([cell.dataset, cell.label, cell.seed, status, truncated(cell.skip or reason)])
    return text_table(rows, ["dataset", "method", "seed", "status", "reason"])


def _teachers_table(cells: Sequence[Cell], waiting: Sequence[Cell], cache: Cache) -> str:
    """Return a table of the teachers: which are cached, to be trained or not needed."""
    users = Counter(cell.teacher.outputs_key for cell in cells if not cell.skip)
    needed = {cell.teacher.outputs_key for cell in waiting}
    rows = []
    for key, teacher in {cell.teacher.outputs_key: cell.teacher for cell in cells}.items():
        state = _teacher_state(teacher, cache) or ("to train" if key in needed else "not needed")
        rows.append([teacher.dataset, teacher.seed, teacher.recipe.members, users[key], state])
    return text_table(rows, ["teacher of", "seed", "members", "shared by cells", "state"])


def _teacher_state(teacher: TeacherPlan, cache: Cache) -> str:
    """Return what the cache holds of a teacher: its outputs, its members alone, or nothing."""
    if cache.has(teacher.outputs_key):
        return "cached"
    has_members = all(cache.has(key) for key in teacher.member_keys)
    return "trained, new sets to evaluate" if has_members else ""


def _data_remarks(cells: Sequence[Cell], cache: Cache, data_root: Path) -> list[str]:
    """Return lines on missing files, unusual data, absent OOD sets and costly augmentation."""
    from distillation_bench.bench.planning.data_remarks import data_plans, remarks
    from distillation_bench.datasets import get

    lines = []
    remarks_by_dataset = remarks(data_plans(cells), cache, data_root)
    for name, teacher in {cell.dataset: cell.teacher for cell in cells}.items():
        if reason := get(name)(data_root).missing():
            lines.append(f"{name}: {reason}; give --data-root, or run --download to fetch it")
        for ood_set in teacher.data.sources.ood:
            if ood_set.absent:
                lines.append(f"{name}: OOD set {ood_set.name} is absent: {ood_set.absent}")
        lines += [f"{name}: {remark}" for remark in remarks_by_dataset.get(name, ())]
        if teacher.recipe.views:
            lines.append(
                f"{name}: augment={teacher.recipe.augment}: instead of stored outputs, the "
                f"teacher's {teacher.recipe.members} members are run on every batch of every "
                "student"
            )
    return ["", *lines] if lines else []


def _time_line(
    cells: Sequence[Cell], statuses: Mapping[str, CellStatus], waiting: Sequence[Cell], jobs: int
) -> str:
    """Estimate the time of the waiting cells from that of the cells that are done."""
    from distillation_bench.bench.planning.estimates.job_durations import DurationEstimator

    estimate = DurationEstimator()
    for cell in cells:
        if statuses[cell.id].status == "done":
            estimate.learn(cell.job_kind, statuses[cell.id].seconds)
    if estimate.mean(("cell",)) is None:
        return "time: not known before something has run in this folder"
    seconds = estimate.total(Counter(cell.job_kind for cell in waiting)) / jobs
    return f"time: about {duration(seconds)} with {counted(jobs, 'job')}, teachers not counted"
