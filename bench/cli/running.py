"""Commands that run: run, plan, list, check."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple

import typer

from distillation_bench.bench.cli.app import Datasets, app, page
from distillation_bench.bench.common.devices import (
    MAX_CLUSTER_JOBS,
    MAX_JOBS_PER_GPU,
    MAX_LOCAL_JOBS,
)
from distillation_bench.bench.common.errors import UsageError, nearest
from distillation_bench.bench.common.paths import CACHE, DATA_ROOT
from distillation_bench.bench.common.program import command_here, recorded_command, resume_command
from distillation_bench.bench.common.signals import EXIT_STATUS
from distillation_bench.bench.common.text import terminal_safe

if TYPE_CHECKING:
    from distillation_bench.bench.planning.configuration.config import Config
    from distillation_bench.bench.planning.plugins.loading import Plugin

Methods = Annotated[
    list[str] | None,
    typer.Option("-m", "--method", help="name or name[parameter=value,value]; repeatable"),
]
Seeds = Annotated[
    list[str] | None, typer.Option("-s", "--seeds", help="0-2 is 0, 1, 2; repeatable")
]
Preset = Annotated[
    str | None, typer.Option("--preset", help="a name (list presets) or a YAML file; else quick")
]
Settings = Annotated[
    list[str] | None,
    typer.Option("--set", help="name=value of the recipe (list recipe); repeatable"),
]
Results = Annotated[
    Path | None, typer.Option("--results", help="the run's folder; else results/PRESET")
]
Plugins = Annotated[
    list[str] | None,
    typer.Option("--plugin", help="a Python file, folder or package to load; repeatable"),
]
CacheFolder = Annotated[
    Path, typer.Option("--cache", help="data and teachers, shared by runs", envvar="BENCH_CACHE")
]
DataRoot = Annotated[
    Path, typer.Option("--data-root", help="where datasets find their files", envvar="BENCH_DATA")
]
OODSets = Annotated[
    list[str] | None,
    typer.Option("--ood", help="OOD set instead of a dataset's own, or near:SET; repeatable"),
]
Corruptions = Annotated[
    str | None, typer.Option("--corruptions", help="folder of CIFAR-10-C or CIFAR-100-C")
]
Device = Annotated[str, typer.Option("--device", help="auto, cpu, cuda or cuda:0,1")]
CellsPerGPU = Annotated[
    int,
    typer.Option("--cells-per-gpu", min=1, max=MAX_JOBS_PER_GPU, help="tasks that share a GPU"),
]
Jobs = Annotated[
    int | None,
    typer.Option("--jobs", min=1, max=MAX_CLUSTER_JOBS, help="tasks at a time; else one per core"),
]


@app.command()
def run(
    method: Methods = None,
    dataset: Datasets = None,
    seeds: Seeds = None,
    preset: Preset = None,
    settings: Settings = None,
    results: Results = None,
    plugin: Plugins = None,
    cache: CacheFolder = CACHE,
    data_root: DataRoot = DATA_ROOT,
    ood: OODSets = None,
    corruptions: Corruptions = None,
    device: Device = "auto",
    cells_per_gpu: CellsPerGPU = 1,
    jobs: Jobs = None,
    download: Annotated[
        bool, typer.Option("--download", help="fetch datasets that are not there")
    ] = False,
    checkpoint: Annotated[
        float, typer.Option(help="seconds between checkpoints of a training", min=0)
    ] = 120,
    executor: Annotated[
        str, typer.Option(help="local; dask or ray: on a cluster of its own or that of --scheduler")
    ] = "local",
    scheduler: Annotated[
        str, typer.Option(help="of a running cluster: tcp://HOST:8786 (Dask), HOST:6379 (Ray)")
    ] = "",
    timeout: Annotated[
        float | None, typer.Option(help="seconds a cell may take", min=0.1, max=1e7)
    ] = None,
    fail_fast: Annotated[
        bool, typer.Option("--fail-fast", help="start nothing after a failure")
    ] = False,
    retry_failed: Annotated[
        bool, typer.Option("--retry-failed", help="run failed cells again")
    ] = False,
    force: Annotated[bool, typer.Option("--force", help="run finished cells again too")] = False,
) -> None:
    """Run what is not done yet; the default preset without arguments."""
    from distillation_bench.bench.execution.executors.forked_process import start_server

    folder = results or _default_results(preset)
    if executor == "local" and not _was_run(folder):
        # First of all: it loads torch while everything else gets ready.
        start_server()

    from distillation_bench.bench.cli.overview import board_text
    from distillation_bench.bench.common.devices import device_kind, parse_devices
    from distillation_bench.bench.execution import runner
    from distillation_bench.bench.planning.cells import make_cells
    from distillation_bench.bench.planning.evaluation_sources import fetch_missing
    from distillation_bench.bench.storage.run_folder import Run

    devices = parse_devices(device) if executor == "local" else _cluster_device(device)
    slots = (jobs or 0) if scheduler else _slots(jobs, devices, cells_per_gpu)
    selected = Selected(method, dataset, seeds, preset, settings, ood, corruptions)
    config, plugins = _configure(selected, plugin)
    if download:
        fetch_missing(config, data_root)
    _check_executor(executor, scheduler)
    cells = make_cells(config, data_root, device_kind(devices))
    options = runner.RunOptions(
        jobs=slots,
        cache=cache.absolute(),
        data_root=data_root.absolute(),
        devices=tuple(devices),
        checkpoint=checkpoint,
        plugins=plugins,
        timeout=timeout,
        fail_fast=fail_fast,
        retry_failed=retry_failed,
        force=force,
        executor=executor,
        scheduler=scheduler,
        command=recorded_command(),
    )
    try:
        succeeded = runner.run_cells(Run(folder), cells, options)
    except KeyboardInterrupt:
        print("\ninterrupted; what was finished is kept. Resume with:", file=sys.stderr)
        print(terminal_safe(f"  {resume_command()}"), file=sys.stderr)
        raise typer.Exit(EXIT_STATUS) from None
    try:
        page(board_text(Run(folder), markdown=False))
    finally:
        # Also where nobody reads the board.
        if not succeeded:
            command = command_here("status", str(folder))
            print(terminal_safe(f"some cells failed: {command}"), file=sys.stderr)
            raise typer.Exit(1)


@app.command()
def plan(
    method: Methods = None,
    dataset: Datasets = None,
    seeds: Seeds = None,
    preset: Preset = None,
    settings: Settings = None,
    results: Results = None,
    plugin: Plugins = None,
    cache: CacheFolder = CACHE,
    data_root: DataRoot = DATA_ROOT,
    ood: OODSets = None,
    corruptions: Corruptions = None,
    device: Device = "auto",
    cells_per_gpu: CellsPerGPU = 1,
    jobs: Jobs = None,
    estimate: Annotated[
        bool, typer.Option("--estimate", help="time steps of every cell here, and extrapolate")
    ] = False,
) -> None:
    """Say what `run` with the same selectors would do, cell by cell."""
    from distillation_bench.bench.cli.overview import plan_text
    from distillation_bench.bench.common.devices import device_kind, parse_devices
    from distillation_bench.bench.planning.cells import make_cells
    from distillation_bench.bench.planning.run_description import check_run
    from distillation_bench.bench.storage.cache import Cache
    from distillation_bench.bench.storage.run_folder import Run

    selected = Selected(method, dataset, seeds, preset, settings, ood, corruptions)
    config, _ = _configure(selected, plugin)
    devices = parse_devices(device)
    cells = make_cells(config, data_root, device_kind(devices))
    folder = results or _default_results(preset)
    check_run(Run(folder), cells, recorded_command())
    slots = _slots(jobs, devices, cells_per_gpu)
    page(plan_text(Run(folder), cells, Cache(cache.absolute()), slots, data_root))
    if estimate:
        from distillation_bench.bench.training.forecast import forecast_text

        page(forecast_text(cells, devices, slots))


@app.command("list")
def list_(
    what: Annotated[
        str, typer.Argument(help="methods, datasets, networks, metrics, presets or recipe")
    ],
    plugin: Plugins = None,
) -> None:
    """List what there is, with parameters, defaults and help."""
    from distillation_bench.bench.cli.overview import LISTINGS

    if what not in LISTINGS:
        raise UsageError(f"list {what}: unknown{nearest(what, LISTINGS)}")
    _load_plugins(plugin)
    page(LISTINGS[what]())


@app.command()
def check(
    plugin: Annotated[
        str, typer.Argument(help="a Python file or folder with methods, datasets or metrics")
    ],
) -> None:
    """Test a plugin against the contract."""
    from distillation_bench.bench.check import check_apart
    from distillation_bench.bench.planning.plugins.loading import plugin_path

    if not check_apart(plugin_path(plugin, place="check")):
        raise typer.Exit(1)


class Selected(NamedTuple):
    """What of a run was asked for by options; None where the preset decides."""

    methods: list[str] | None
    datasets: list[str] | None
    seeds: list[str] | None
    preset: str | None
    settings: list[str] | None
    ood: list[str] | None
    corruptions: str | None


def _configure(selected: Selected, plugins: list[str] | None) -> tuple[Config, tuple[Plugin, ...]]:
    """The preset with the options over it: what is given replaces what the preset says."""
    from dataclasses import replace

    from distillation_bench.bench.planning.configuration import option_values, preset_files

    loaded = _load_plugins(plugins)
    config = preset_files.load_preset(selected.preset or preset_files.DEFAULT_PRESET)
    changes: dict[str, Any] = {}
    if selected.methods:
        variants = (option_values.parse_variant(text) for text in selected.methods)
        changes["variants"] = tuple(variants)
    if selected.datasets:
        changes["datasets"] = tuple(selected.datasets)
    if selected.seeds:
        changes["seeds"] = option_values.parse_seeds(selected.seeds)
    if selected.ood:
        changes["ood"] = tuple(selected.ood)
    if selected.corruptions:
        changes["corruptions"] = selected.corruptions
    given = option_values.parse_settings(selected.settings or [])
    return replace(config, **changes).with_settings(given), loaded


def _load_plugins(plugins: list[str] | None) -> tuple[Plugin, ...]:
    from distillation_bench.bench.planning.plugins.loading import (
        load_installed,
        load_plugins,
        plugin_path,
    )

    paths = tuple(plugin_path(each) for each in plugins or [])
    load_installed()
    return load_plugins(paths)


def _check_executor(executor: str, scheduler: str) -> None:
    from distillation_bench.bench.execution.executors import EXECUTORS, cluster_named

    if executor not in EXECUTORS:
        raise UsageError(f"--executor {executor}: unknown{nearest(executor, EXECUTORS)}")
    if executor != "local":
        cluster_named(executor)
    elif scheduler:
        raise UsageError(f"--scheduler {scheduler}: is for --executor dask or ray")


def _cluster_device(device: str) -> list[str]:
    """The kind of device of a cluster's workers, which this machine need not have."""
    if device not in ("auto", "cpu", "cuda"):
        raise UsageError(f"--device {device}: on a cluster cpu or cuda, one GPU a worker")
    return ["cuda" if device == "cuda" else "cpu"]


def _slots(jobs: int | None, devices: list[str], cells_per_gpu: int) -> int:
    """Tasks at a time on this machine: as told, or one per core or so many a GPU.

    Raises:
        UsageError: more than a machine is asked for.
    """
    from distillation_bench.bench.common.devices import cores

    if not jobs and devices == ["cpu"]:
        return min(cores(), MAX_LOCAL_JOBS)
    slots = jobs or len(devices) * cells_per_gpu
    if slots > MAX_LOCAL_JOBS:
        asked = f"--jobs {jobs}" if jobs else f"--cells-per-gpu {cells_per_gpu}"
        raise UsageError(
            f"{asked}: {slots} tasks at a time; a machine runs at most {MAX_LOCAL_JOBS}"
        )
    return slots


def _was_run(folder: Path) -> bool:
    """Whether a run ended here before, so that there may be nothing to do: it left its tables."""
    return (folder / "derived.json").exists()


def _default_results(preset: str | None) -> Path:
    return Path("results") / Path(preset or "quick").stem
