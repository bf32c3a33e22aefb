"""The command `list`: methods, datasets, metrics, networks, presets and values of the recipe."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Annotated, Any

import typer

from distillation_bench.bench.cli.options import Plugins
from distillation_bench.bench.cli.terminal import page
from distillation_bench.bench.common.errors import UsageError, nearest
from distillation_bench.bench.common.terminal_tables import terminal_width, text_table
from distillation_bench.bench.common.text import terminal_safe

if TYPE_CHECKING:
    from pydantic import BaseModel
    from pydantic.fields import FieldInfo

    from distillation_bench.datasets import Dataset
    from distillation_bench.methods import Method
    from distillation_bench.methods.networks import NetworkOptions


def list_(
    what: Annotated[
        str, typer.Argument(help="methods, datasets, networks, metrics, presets or recipe")
    ] = "",
    plugin: Plugins = None,
) -> None:
    """List what can be run, with parameters and defaults."""
    if not what:
        page("\n".join(f"list {name}" for name in LISTINGS))
        return
    if what not in LISTINGS:
        raise UsageError(f"list {what}: unknown{nearest(what, LISTINGS)}")
    from distillation_bench.bench.planning.plugins.loading import load_all

    load_all(plugin or ())
    page(LISTINGS[what]())


def list_methods() -> str:
    """Return each method with its tasks, paper and parameters."""
    from distillation_bench.methods import METHODS

    note = "* a dataset may give its own default (list datasets)"
    return "\n\n".join([*map(_method_text, METHODS.values()), note])


def _method_text(method: type[Method]) -> str:
    tasks = [task for task in ("classification", "regression") if task not in method.refuses]
    lines = [
        f"{method.name}: {method.summary}",
        f"  paper: {method.paper}",
        f"  tasks: {', '.join(tasks)}",
        *(f"  not {task}: {reason}" for task, reason in method.refuses.items()),
        *_field_lines(method.Parameters),
    ]
    return "\n".join(map(terminal_safe, lines))


def list_datasets() -> str:
    """Return each dataset with its task, recipe, defaults, shifts and OOD sets."""
    from distillation_bench.datasets import DATASETS

    return "\n\n".join(map(_dataset_text, DATASETS.values()))


def _dataset_text(dataset: type[Dataset]) -> str:
    ood = ", ".join(f"{name} ({group})" for name, group in dataset.ood_groups.items())
    shape = " x ".join(map(str, dataset.shape))
    lines = [
        f"{dataset.name}: {dataset.summary}",
        f"  source: {dataset.source}",
        f"  task: {dataset.task}, inputs {shape}, {dataset.outputs} outputs",
        f"  network: {_pairs(dataset.network)}",
        f"  recipe: {_pairs(dataset.recipe)}",
        f"  parameters: {_pairs(dataset.defaults)}",
        f"  shifts: {', '.join(dataset.shifts) or 'none'}",
        f"  OOD sets: {ood or 'none'}",
    ]
    return "\n".join(map(terminal_safe, lines))


def _pairs(values: Mapping[str, Any]) -> str:
    return ", ".join(f"{name} {value}" for name, value in values.items())


def list_metrics() -> str:
    """Return each metric with its task, direction and meaning."""
    from distillation_bench.bench.metrics.registry import METRICS

    rows = [
        [
            f"{metric.name} *" if metric.headline else metric.name,
            metric.task,
            metric.better or "–",
            terminal_safe(metric.summary),
        ]
        for metric in METRICS.values()
    ]
    table = text_table(rows, ["metric", "task", "better", "meaning"])
    return f"{table}\n\n* on the leaderboard"


def list_presets() -> str:
    """Return each preset with the comment in its first line."""
    from distillation_bench.bench.planning.configuration.preset_files import PRESETS, preset_names

    rows = []
    for name in preset_names():
        text = (PRESETS / f"{name}.yaml").read_text(encoding="utf-8")
        rows.append([name, text.split("\n", 1)[0].removeprefix("#").strip()])
    return text_table(rows, ["preset", "what it runs"])


def list_networks() -> str:
    """Return each family of networks with its options."""
    from distillation_bench.methods.networks.families import FAMILIES

    note = "--set network.family=NAME chooses another, --set network.OPTION=VALUE changes it"
    parts = [_network_text(family.options) for family in FAMILIES.values()]
    return "\n\n".join([*parts, note])


def _network_text(options: type[NetworkOptions]) -> str:
    summary = (options.__doc__ or "").strip().partition("\n")[0]
    name = f"{options.family}: {summary}" if summary else options.family
    return "\n".join([terminal_safe(name), *_field_lines(options)])


def list_recipe() -> str:
    """Return the values that `--set` takes."""
    from distillation_bench.bench.planning.recipe import Recipe

    title = "values for --set; a dataset may give its own default"
    return "\n".join([title, *_field_lines(Recipe)])


def _field_lines(model: type[BaseModel]) -> list[str]:
    """Return a line or more for each field of a model: name, default and description."""
    rows = []
    for name, field in model.model_fields.items():
        extra = field.json_schema_extra
        star = "*" if isinstance(extra, dict) and extra.get("dataset") else ""
        description = terminal_safe(field.description or "")
        rows.append([name, terminal_safe(f"{_default(field)}{star}"), description])
    table = text_table(rows, style="plain", width=terminal_width() - 4)
    return [f"    {line}" for line in table.splitlines()]


def _default(field: FieldInfo) -> str:
    if field.is_required():
        return "the dataset's"
    default = field.get_default(call_default_factory=True)
    if default is None:
        return "none"
    return str(default).lower() if isinstance(default, bool) else str(default)


LISTINGS: dict[str, Callable[[], str]] = {
    "methods": list_methods,
    "datasets": list_datasets,
    "metrics": list_metrics,
    "networks": list_networks,
    "presets": list_presets,
    "recipe": list_recipe,
}
