"""What commands say: plans, statuses, leaderboards, listings. From files alone, without torch."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

from pydantic import BaseModel
from pydantic.fields import FieldInfo
from tabulate import tabulate

from distillation_bench.bench.analysis.tables.leaderboard import make_boards, render
from distillation_bench.bench.common.text import duration, terminal_safe, truncated
from distillation_bench.bench.metrics.registry import METRICS
from distillation_bench.bench.planning.cells import Cell
from distillation_bench.bench.planning.configuration.preset_files import PRESETS, preset_names
from distillation_bench.bench.planning.data_remarks import data_plans, remarks
from distillation_bench.bench.planning.estimates.job_durations import DurationEstimator
from distillation_bench.bench.planning.recipe import Recipe
from distillation_bench.bench.storage import tables as derived
from distillation_bench.bench.storage.cache import Cache
from distillation_bench.bench.storage.run_folder import CellStatus, Run, name_of
from distillation_bench.bench.storage.schema import STATUSES
from distillation_bench.datasets import DATASETS, get
from distillation_bench.methods import METHODS
from distillation_bench.methods.networks.options import OPTIONS


def plan_text(run: Run, cells: Sequence[Cell], cache: Cache, jobs: int, root: Path) -> str:
    """Each cell's status, the teachers, what is absent, and the time that the rest will take."""
    estimate = DurationEstimator()
    counts, rows = Counter[str](), []
    waiting = []
    known = derived.outcomes(run)
    for cell in cells:
        outcome = known(cell.id) or CellStatus("skipped" if cell.skip else "missing")
        status = outcome.status
        counts[status] += 1
        reason = cell.skip or outcome.reason
        rows.append([cell.dataset, cell.label, cell.seed, status, truncated(reason)])
        if status == "done":
            estimate.learn(cell.job_kind, outcome.seconds)
        if status == "missing":
            waiting.append(cell)
    lines = [_table(rows, ["dataset", "method", "seed", "status", "reason"]), ""]
    lines += [*_teacher_lines(cells, waiting, cache), *_source_lines(cells, cache, root)]
    summary = ", ".join(f"{count} {status}" for status, count in counts.items())
    lines += ["", f"{len(cells)} cells: {summary}"]
    if waiting:
        lines.append(_time_line(estimate, waiting, jobs))
    return "\n".join(lines)


def _teacher_lines(cells: Sequence[Cell], waiting: Sequence[Cell], cache: Cache) -> list[str]:
    users = Counter(cell.teacher.outputs_key for cell in cells if not cell.skip)
    needed = {cell.teacher.outputs_key for cell in waiting}
    rows = []
    for key, plan in {cell.teacher.outputs_key: cell.teacher for cell in cells}.items():
        weights = all(cache.has(each) for each in plan.member_keys)
        known = "cached" if cache.has(key) else "trained, new sets to see" if weights else ""
        state = known or ("to train" if key in needed else "not needed")
        rows.append([plan.dataset, plan.seed, plan.recipe.members, users[key], state])
    return [_table(rows, ["teacher of", "seed", "members", "shared by cells", "state"])]


def _source_lines(cells: Sequence[Cell], cache: Cache, root: Path) -> list[str]:
    """Data that is not there, remarks on what is, absent OOD sets, and what augmentation costs."""
    lines = []
    said = remarks(data_plans(cells), cache, root)
    for name, plan in {cell.dataset: cell.teacher for cell in cells}.items():
        if reason := get(name)(root).missing():
            lines.append(f"{name}: {reason}; give --data-root, or run --download to fetch it")
        for each in plan.data.sources.ood:
            if each.absent:
                lines.append(f"{name}: OOD set {each.name} is absent: {each.absent}")
        lines += [f"{name}: {each}" for each in said.get(name, ())]
        if plan.recipe.views:
            lines.append(
                f"{name}: augment={plan.recipe.augment}: instead of stored outputs, the teacher's "
                f"{plan.recipe.members} members are run on every batch of every student"
            )
    return ["", *lines] if lines else []


def _time_line(estimate: DurationEstimator, waiting: Sequence[Cell], jobs: int) -> str:
    if estimate.mean(("cell",)) is None:
        return "time: not known before something has run in this folder"
    seconds = estimate.total(Counter(cell.job_kind for cell in waiting)) / jobs
    return f"time: about {duration(seconds)} with {jobs} jobs, teachers not counted"


def status_text(run: Run) -> str:
    """Counts by dataset and method, and the reason of each failure."""
    manifest = run.existing_manifest()
    counts: dict[tuple[str, str], Counter[str]] = {}
    failures = []
    known = derived.outcomes(run)
    for cell_id, cell in manifest["cells"].items():
        outcome = known(cell_id) or CellStatus("missing")
        counts.setdefault((cell["dataset"], cell["label"]), Counter())[outcome.status] += 1
        if outcome.status == "failed":
            failures.append(f"FAILED {name_of(cell)}: {truncated(outcome.reason, 300)}")
    rows = [
        [*map(terminal_safe, name), *(count[status] or "" for status in STATUSES)]
        for name, count in sorted(counts.items())
    ]
    total = sum(counts.values(), Counter[str]())
    summary = ", ".join(f"{total[status]} {status}" for status in STATUSES if total[status])
    holder = run.holder()
    running = [f"running now: {holder}"] if holder else []
    older = len(run.kept()) - (total.total() - total["missing"])
    if older:
        running.append(f"{older} records of cells no longer asked for, or of older code, are kept")
    lines = [_table(rows, ["dataset", "method", *STATUSES]), "", *sorted(failures), *running]
    return "\n".join([*lines, f"{len(manifest['cells'])} cells: {summary}"])


def board_text(run: Run, markdown: bool) -> str:
    """The leaderboard; failed, skipped and missing cells are noted beside their method."""
    manifest = run.existing_manifest()
    results = derived.results(run)
    reasons: dict[tuple[str, str], str] = {}
    bad = {
        (row["dataset"], row["label"], int(row["seed"]))
        for row in results
        if row["status"] in ("failed", "skipped")
    }
    for cell_id, cell in manifest["cells"].items():
        if bad and (cell["dataset"], cell["label"], cell["seed"]) in bad:
            record = run.record(cell_id)
            reason = record["reason"] if record else ""
            reasons.setdefault((cell["dataset"], cell["label"]), truncated(reason))
    return render(make_boards(manifest, results, reasons), markdown)


def _table(rows: Iterable[Sequence[Any]], headers: Sequence[str]) -> str:
    return tabulate(list(rows), headers, tablefmt="simple", disable_numparse=True)


def list_methods() -> str:
    """Each method with its tasks, paper and parameters."""
    parts = []
    for method in METHODS.values():
        tasks = [task for task in ("classification", "regression") if task not in method.refuses]
        lines = [f"{method.name}: {method.summary}", f"  paper: {method.paper}"]
        lines.append(f"  tasks: {', '.join(tasks)}")
        lines += [f"  not {task}: {reason}" for task, reason in method.refuses.items()]
        lines += _field_lines(method.Parameters)
        parts.append("\n".join(map(terminal_safe, lines)))
    note = "* a dataset may give its own default (list datasets)"
    return "\n\n".join([*parts, note])


def _field_lines(model: type[BaseModel]) -> list[str]:
    rows = []
    for name, field in model.model_fields.items():
        extra = field.json_schema_extra
        star = "*" if isinstance(extra, dict) and extra.get("dataset") else ""
        rows.append(
            [
                name,
                terminal_safe(f"{_default(field)}{star}"),
                terminal_safe(field.description or ""),
            ]
        )
    table = tabulate(rows, tablefmt="plain", disable_numparse=True, maxcolwidths=[None, None, 70])
    return [f"    {line}" for line in table.splitlines()]


def _default(field: FieldInfo) -> str:
    if field.is_required():
        return "the dataset's"
    default = field.get_default(call_default_factory=True)
    if default is None:
        return "none"
    return str(default).lower() if isinstance(default, bool) else str(default)


def list_datasets() -> str:
    """Each dataset with its task, recipe, defaults, shifts and OOD sets."""
    parts = []
    for dataset in DATASETS.values():
        ood = ", ".join(f"{name} ({group})" for name, group in dataset.ood_groups.items())
        lines = [
            f"{dataset.name}: {dataset.summary}",
            f"  source: {dataset.source}",
            f"  task: {dataset.task}, inputs {_shape(dataset.shape)}, {dataset.outputs} outputs",
            f"  network: {_pairs(dataset.network)}",
            f"  recipe: {_pairs(dataset.recipe)}",
            f"  parameters: {_pairs(dataset.defaults)}",
            f"  shifts: {', '.join(dataset.shifts) or 'none'}",
            f"  OOD sets: {ood or 'none'}",
        ]
        parts.append("\n".join(map(terminal_safe, lines)))
    return "\n\n".join(parts)


def _shape(shape: Sequence[int]) -> str:
    return " x ".join(map(str, shape))


def _pairs(values: Any) -> str:
    return ", ".join(f"{name} {value}" for name, value in values.items())


def list_metrics() -> str:
    """Each metric with its task, direction and meaning."""
    rows = [
        [m.name + (" *" if m.headline else ""), m.task, m.better or "–", terminal_safe(m.summary)]
        for m in METRICS.values()
    ]
    return _table(rows, ["metric", "task", "better", "meaning"]) + "\n\n* on the leaderboard"


def list_presets() -> str:
    """Each preset with the comment that it begins with."""
    rows = []
    for name in preset_names():
        first = (PRESETS / f"{name}.yaml").read_text(encoding="utf-8").split("\n", 1)[0]
        rows.append([name, first.removeprefix("#").strip()])
    return _table(rows, ["preset", "what it runs"])


def list_networks() -> str:
    """Each family of networks with its options."""
    note = "--set network.family=NAME chooses another, --set network.OPTION=VALUE changes it"
    parts = ["\n".join([name, *_field_lines(model)]) for name, model in OPTIONS.items()]
    return "\n\n".join([*parts, note])


def list_recipe() -> str:
    """The values that `--set` takes."""
    return "\n".join(
        ["values for --set; a dataset may give its own default", *_field_lines(Recipe)]
    )


LISTINGS: dict[str, Callable[[], str]] = {
    "methods": list_methods,
    "datasets": list_datasets,
    "metrics": list_metrics,
    "networks": list_networks,
    "presets": list_presets,
    "recipe": list_recipe,
}
