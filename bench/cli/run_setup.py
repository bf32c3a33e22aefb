"""The options that `run` and `plan` have in common."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from distillation_bench.bench.cli.options import CacheFolder, Datasets, Plugins
from distillation_bench.bench.common.devices import MAX_CLUSTER_JOBS, MAX_JOBS_PER_GPU
from distillation_bench.bench.common.paths import CACHE, DATA_ROOT
from distillation_bench.bench.planning.request import DEFAULT_PRESET, Request

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
class SetupOptions(Request):
    """The options that `run` and `plan` share."""

    methods: Methods = None
    datasets: Datasets = None
    seeds: Seeds = None
    preset: Preset = DEFAULT_PRESET
    recipe: Settings = None
    results: ResultsFolder = None
    plugins: Plugins = None
    cache: CacheFolder = CACHE
    data_root: DataRoot = DATA_ROOT
    ood: OODSets = None
    corruptions: Corruptions = None
    device: Device = "auto"
    cells_per_gpu: CellsPerGPU = 1
    jobs: Jobs = None
