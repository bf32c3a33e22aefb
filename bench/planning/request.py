"""What a run is asked for, on the command line or from Python, before names are looked up."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from distillation_bench.bench.common.devices import MAX_LOCAL_JOBS, cores
from distillation_bench.bench.common.errors import UsageError
from distillation_bench.bench.common.paths import CACHE, DATA_ROOT

if TYPE_CHECKING:
    from distillation_bench.bench.planning.configuration.config import Config
    from distillation_bench.bench.planning.plugins.plugin_files import Plugin

DEFAULT_PRESET = "quick"


@dataclass(frozen=True)
class Request:
    """Which cells are asked for, and where; None leaves a choice to the preset.

    Texts are written as on the command line.

    Attributes:
        methods: such as `hydra+[heads=5,10]`.
        datasets: names.
        seeds: such as `0-2` or `0,4`.
        preset: the name of a preset, or the path of a YAML file.
        recipe: such as `epochs=5`.
        results: the run's folder; None for one named after the preset.
        plugins: files, folders or packages to load.
        cache, data_root: folders of the cache and of the datasets' files.
        ood: OOD sets to use instead of each dataset's own.
        corruptions: a folder of corrupted test sets.
        device: `auto`, `cpu`, `cuda` or `cuda:0,1`.
        cells_per_gpu: jobs that share a GPU.
        jobs: jobs at a time; None for one per core or GPU.
    """

    methods: Sequence[str] | None = None
    datasets: Sequence[str] | None = None
    seeds: Sequence[str] | None = None
    preset: str = DEFAULT_PRESET
    recipe: Sequence[str] | None = None
    results: Path | None = None
    plugins: Sequence[str] | None = None
    cache: Path = CACHE
    data_root: Path = DATA_ROOT
    ood: Sequence[str] | None = None
    corruptions: str | None = None
    device: str = "auto"
    cells_per_gpu: int = 1
    jobs: int | None = None

    @property
    def folder(self) -> Path:
        """The run's folder."""
        return self.results or Path("results") / Path(self.preset).stem

    def jobs_at_a_time(self, devices: Sequence[str]) -> int:
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

    def configure(self) -> tuple[Config, tuple[Plugin, ...]]:
        """Load plugins and the preset; what is given replaces what the preset says.

        Raises:
            UsageError: a plugin, the preset or a text is wrong.
        """
        from distillation_bench.bench.planning.code_digests import forget_plugins
        from distillation_bench.bench.planning.configuration import option_values, preset_files
        from distillation_bench.bench.planning.plugins.loading import load_all

        plugins = load_all(self.plugins or ())
        forget_plugins()
        config = preset_files.load_preset(self.preset)
        changes: dict[str, Any] = {}
        if self.methods:
            changes["variants"] = tuple(map(option_values.parse_variant, self.methods))
        if self.datasets:
            changes["datasets"] = tuple(self.datasets)
        if self.seeds:
            changes["seeds"] = option_values.parse_seeds(self.seeds)
        if self.ood:
            changes["ood"] = tuple(self.ood)
        if self.corruptions:
            changes["corruptions"] = self.corruptions
        settings = option_values.parse_settings(self.recipe or ())
        return replace(config, **changes).with_settings(settings), plugins
