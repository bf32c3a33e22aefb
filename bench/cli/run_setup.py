"""What `run` and `plan` have in common: their options, and the configuration these describe."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from distillation_bench.bench.cli.options import CacheFolder, Datasets, Plugins
from distillation_bench.bench.common.devices import (
    MAX_CLUSTER_JOBS,
    MAX_JOBS_PER_GPU,
    MAX_LOCAL_JOBS,
    cores,
)
from distillation_bench.bench.common.errors import UsageError
from distillation_bench.bench.common.paths import CACHE, DATA_ROOT

if TYPE_CHECKING:
    from distillation_bench.bench.planning.configuration.config import Config
    from distillation_bench.bench.planning.plugins.plugin_files import Plugin

DEFAULT_PRESET = "quick"

Methods = Annotated[
    list[str] | None,
    typer.Option("-m", "--method", help="NAME or NAME[parameter=value,value]; repeatable"),
]
Seeds = Annotated[
    list[str] | None, typer.Option("-s", "--seeds", help="0-2 is 0, 1, 2; repeatable")
]
Preset = Annotated[
    str,
    typer.Option("--preset", help="name of a preset (list presets) or a YAML file"),
]
Settings = Annotated[
    list[str] | None,
    typer.Option("--set", help="name=value of the recipe (list recipe); repeatable"),
]
ResultsFolder = Annotated[
    Path | None,
    typer.Option("--results", help="the run's folder", show_default="results/PRESET"),
]
DataRoot = Annotated[
    Path,
    typer.Option("--data-root", help="folder of the datasets' files", envvar="BENCH_DATA"),
]
OODSets = Annotated[
    list[str] | None,
    typer.Option("--ood", help="OOD set instead of the dataset's own: SET or near:SET; repeatable"),
]
Corruptions = Annotated[
    str | None, typer.Option("--corruptions", help="folder of CIFAR-10-C or CIFAR-100-C")
]
Device = Annotated[str, typer.Option("--device", help="auto, cpu, cuda or cuda:0,1")]
CellsPerGPU = Annotated[
    int,
    typer.Option("--cells-per-gpu", min=1, max=MAX_JOBS_PER_GPU, help="jobs that share a GPU"),
]
Jobs = Annotated[
    int | None,
    typer.Option(
        "--jobs", min=1, max=MAX_CLUSTER_JOBS, help="jobs at a time", show_default="one per core"
    ),
]


@dataclass(frozen=True)
class SetupOptions:
    """The options that `run` and `plan` share; with None where the preset decides."""

    method: Methods = None
    dataset: Datasets = None
    seeds: Seeds = None
    preset: Preset = DEFAULT_PRESET
    settings: Settings = None
    results: ResultsFolder = None
    plugin: Plugins = None
    cache: CacheFolder = CACHE
    data_root: DataRoot = DATA_ROOT
    ood: OODSets = None
    corruptions: Corruptions = None
    device: Device = "auto"
    cells_per_gpu: CellsPerGPU = 1
    jobs: Jobs = None

    @property
    def folder(self) -> Path:
        """The run's folder."""
        return self.results or Path("results") / Path(self.preset).stem

    def jobs_at_a_time(self, devices: list[str]) -> int:
        """Return how many jobs this machine runs at a time.

        Raises:
            UsageError: there are more jobs than a machine may run.
        """
        if not self.jobs and devices == ["cpu"]:
            return min(cores(), MAX_LOCAL_JOBS)
        jobs = self.jobs or len(devices) * self.cells_per_gpu
        if jobs > MAX_LOCAL_JOBS:
            option = f"--jobs {jobs}" if self.jobs else f"--cells-per-gpu {self.cells_per_gpu}"
            raise UsageError(
                f"{option}: {jobs} jobs at a time; a machine runs at most {MAX_LOCAL_JOBS}"
            )
        return jobs


def configure(options: SetupOptions) -> tuple[Config, tuple[Plugin, ...]]:
    """Load plugins and the preset; options replace what the preset says.

    Raises:
        UsageError: a plugin, the preset or an option is wrong.
    """
    from distillation_bench.bench.planning.configuration import option_values, preset_files

    plugins = load_all_plugins(options.plugin)
    config = preset_files.load_preset(options.preset)
    changes: dict[str, Any] = {}
    if options.method:
        changes["variants"] = tuple(map(option_values.parse_variant, options.method))
    if options.dataset:
        changes["datasets"] = tuple(options.dataset)
    if options.seeds:
        changes["seeds"] = option_values.parse_seeds(options.seeds)
    if options.ood:
        changes["ood"] = tuple(options.ood)
    if options.corruptions:
        changes["corruptions"] = options.corruptions
    settings = option_values.parse_settings(options.settings or [])
    return replace(config, **changes).with_settings(settings), plugins


def load_all_plugins(plugins: list[str] | None) -> tuple[Plugin, ...]:
    """Load the installed plugins and those that are given.

    Raises:
        UsageError: there is no such plugin, or it can't be loaded.
    """
    from distillation_bench.bench.planning.plugins.installed_plugins import load_installed
    from distillation_bench.bench.planning.plugins.loading import load_plugins
    from distillation_bench.bench.planning.plugins.plugin_files import plugin_path

    paths = tuple(plugin_path(plugin) for plugin in plugins or [])
    load_installed()
    return load_plugins(paths)
