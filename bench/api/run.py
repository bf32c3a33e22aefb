"""`run`: what the command `run` does, from Python."""

from __future__ import annotations

import contextlib
import shlex
import threading
import warnings
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from distillation_bench.bench.api.arguments import AnyPath, Seeds, TextOrTexts, as_written
from distillation_bench.bench.common.errors import UsageError
from distillation_bench.bench.common.hashing import code_times
from distillation_bench.bench.common.paths import PACKAGE
from distillation_bench.bench.common.program import KEPT
from distillation_bench.bench.execution.launch import Launch, prepare
from distillation_bench.bench.execution.progress.screens import (
    Screen,
    interactive_screen,
    screen,
    shown_on,
)
from distillation_bench.bench.planning.request import DEFAULT_PRESET

if TYPE_CHECKING:
    from collections.abc import Iterable

    from distillation_bench.bench.api.results import Results

_code = code_times()
"""When each file of this suite was changed, as it was when this module was imported."""
_running = threading.Lock()
"""Held by the run of this process; plugins, whose registries are the process's, are its own."""


def run(
    preset: AnyPath = DEFAULT_PRESET,
    *,
    methods: TextOrTexts | None = None,
    datasets: TextOrTexts | None = None,
    seeds: Seeds | None = None,
    recipe: Mapping[str, Any] | None = None,
    results: AnyPath | None = None,
    plugins: AnyPath | Iterable[AnyPath] | None = None,
    cache: AnyPath | None = None,
    data_root: AnyPath | None = None,
    ood: TextOrTexts | None = None,
    corruptions: AnyPath | None = None,
    device: str = "auto",
    cells_per_gpu: int = 1,
    jobs: int | None = None,
    download: bool = False,
    checkpoint: float = 120,
    executor: str = "local",
    scheduler: str = "",
    timeout: float | None = None,
    fail_fast: bool = False,
    retry_failed: bool = False,
    force: bool = False,
    progress: bool = True,
) -> Results:
    """Run the cells that are not done yet, and return the results of the run's folder.

    Args:
        preset: the name of a preset, or the path of a YAML file; arguments replace what it says.
        methods: such as "kd" or ["kd", "hydra+[heads=5,10]"].
        datasets: names of datasets.
        seeds: a seed, several such as range(5), or a text such as "0-4".
        recipe: values of the recipe by name, such as {"epochs": 5}.
        results: the run's folder; by default results/PRESET.
        plugins: Python files, folders or packages with methods, datasets, networks and metrics.
        cache: the folder of cached data and teachers; by default results/cache.
        data_root: the folder of the datasets' files; by default data.
        ood: OOD sets to use instead of each dataset's own.
        corruptions: the folder of CIFAR-10-C or CIFAR-100-C.
        device: "auto", "cpu", "cuda" or "cuda:0,1".
        cells_per_gpu: jobs that share a GPU.
        jobs: jobs at a time; by default one per core or GPU.
        download: download missing datasets.
        checkpoint: seconds between checkpoints of a training.
        executor: "local", or "dask" or "ray" for a cluster: a new one or that of `scheduler`.
        scheduler: the address of a running cluster.
        timeout: seconds that a cell may take.
        fail_fast: start no job after the first failure.
        retry_failed: run failed cells again.
        force: run finished cells again too.
        progress: show progress, in a notebook as a bar.

    Returns:
        The results of all cells in the folder, also if some have failed, which is warned of.

    Raises:
        UsageError: an argument is wrong; nothing was run.
        KeyboardInterrupt: the user has interrupted the run; finished cells are kept.
    """
    arguments = {name: value for name, value in locals().items() if name != "progress"}
    _require_unchanged_code()
    with _only_run(), shown_on(interactive_screen() if progress else Screen()):
        request, execution, command = as_written(arguments)
        launch = prepare(request, execution, shlex.join(command))
        succeeded = _run_cells(launch)
    from distillation_bench.bench.analysis.results import load
    from distillation_bench.bench.api.results import with_methods

    loaded = with_methods(load(launch.run.folder, unfinished=True))
    if not succeeded:
        warnings.warn(_failures(loaded), stacklevel=2)
    return loaded


def _require_unchanged_code() -> None:
    """Refuse to run other code than that on disk, by which cells are identified.

    Raises:
        UsageError: a file was edited since this process has imported the package.
    """
    if _code != code_times():
        raise UsageError(
            f"{PACKAGE} has changed on disk since it was imported; start Python again, in a "
            "notebook its kernel"
        )


@contextlib.contextmanager
def _only_run() -> Iterator[None]:
    """Refuse a second run in this process, such as one that a plugin starts when it is imported.

    Raises:
        UsageError: there is a run.
    """
    if not _running.acquire(blocking=False):
        raise UsageError(
            "a run is going on in this process; a file that is given as a plugin calls run only "
            'under if __name__ == "__main__":'
        )
    try:
        yield
    finally:
        _running.release()


def _run_cells(launch: Launch) -> bool:
    """Run cells and return whether all succeeded; if interrupted, say how to go on."""
    from distillation_bench.bench.execution import runner

    try:
        return runner.run_cells(*launch)
    except KeyboardInterrupt:
        screen().note(f"interrupted; {KEPT}, and the same call resumes the run")
        raise


def _failures(results: Results) -> str:
    failed = int((results.planned["status"] == "failed").sum())
    return (
        f"{failed} of {len(results.planned)} cells failed; the reasons are in the column 'reason' "
        "of the results' cells, and retry_failed=True runs them again"
    )
