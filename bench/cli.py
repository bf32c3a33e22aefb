"""The command line: commands and options, nothing else. Heavy modules are imported by commands."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from bench.errors import UsageError, nearest

if TYPE_CHECKING:
    from bench.config import Config
    from bench.plan import Cell

app = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    help="Compares methods that distil a deep ensemble into one network.",
)

Methods = Annotated[
    list[str] | None,
    typer.Option("-m", "--method", help="name or name[parameter=value,value]; repeatable"),
]
Datasets = Annotated[list[str] | None, typer.Option("-d", "--dataset", help="repeatable")]
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
    list[str] | None, typer.Option("--plugin", help="a Python file to load; repeatable")
]
CacheFolder = Annotated[
    Path, typer.Option("--cache", help="data and teachers, shared by runs", envvar="BENCH_CACHE")
]
CACHE = Path(__file__).resolve().parent.parent / "results" / "cache"
Jobs = Annotated[
    int | None, typer.Option("--jobs", min=1, help="tasks at a time; else one per core")
]
RunFolder = Annotated[Path, typer.Argument(help="a run's folder")]


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
    jobs: Jobs = None,
    timeout: Annotated[float | None, typer.Option(help="seconds a task may take", min=0.1)] = None,
    fail_fast: Annotated[bool, typer.Option(help="start nothing after a failure")] = False,
    retry_failed: Annotated[bool, typer.Option(help="run failed cells again")] = False,
    force: Annotated[bool, typer.Option(help="run finished cells again too")] = False,
) -> None:
    """Run what is not done yet; the default preset without arguments."""
    from bench import runner
    from bench.store import Run

    config, plugins = _configure(method, dataset, seeds, preset, settings, plugin)
    cells = _cells(config)
    folder = results or _default_results(preset)
    options = runner.Options(
        jobs=jobs or _cores(),
        cache=cache.resolve(),
        plugins=plugins,
        timeout=timeout,
        fail_fast=fail_fast,
        retry_failed=retry_failed,
        force=force,
        command=runner.command_line(),
    )
    runner.interruptible()
    try:
        succeeded = runner.run_cells(Run(folder), cells, options)
    except KeyboardInterrupt:
        print("\ninterrupted; what was finished is kept. Resume with:", file=sys.stderr)
        print(f"  {runner.resume_command()}", file=sys.stderr)
        raise typer.Exit(130) from None
    _print_board(folder, markdown=False)
    if not succeeded:
        print(f"some cells failed: python run_bench.py status {folder}", file=sys.stderr)
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
    jobs: Jobs = None,
) -> None:
    """Say what `run` with the same selectors would do, cell by cell."""
    from bench.cache import Cache
    from bench.overview import plan_text
    from bench.store import Run

    config, _ = _configure(method, dataset, seeds, preset, settings, plugin)
    folder = results or _default_results(preset)
    cells = _cells(config)
    _page(plan_text(Run(folder), cells, Cache(cache.resolve()), jobs or _cores()))


@app.command()
def status(folder: RunFolder) -> None:
    """Say what of a run is done, failed and missing."""
    from bench.overview import status_text
    from bench.store import Run

    _page(status_text(Run(folder)))


@app.command()
def board(
    folder: RunFolder,
    markdown: Annotated[bool, typer.Option("--markdown", help="as Markdown")] = False,
) -> None:
    """Print a run's leaderboard."""
    _print_board(folder, markdown)


@app.command("list")
def list_(
    what: Annotated[str, typer.Argument(help="methods, datasets, metrics, presets or recipe")],
    plugin: Plugins = None,
) -> None:
    """List what there is, with parameters, defaults and help."""
    from bench.overview import LISTINGS

    if what not in LISTINGS:
        raise UsageError(f"list {what}: unknown{nearest(what, LISTINGS)}")
    _load_plugins(plugin)
    _page(LISTINGS[what]())


@app.command()
def check(
    plugin: Annotated[str, typer.Argument(help="a Python file with methods, datasets or metrics")],
) -> None:
    """Test a plugin against the contract."""
    from bench.check import check_plugin
    from bench.plugins import plugin_path

    if not check_plugin(plugin_path(plugin)):
        raise typer.Exit(1)


def main() -> None:
    """The program; exit status 0 all fine, 1 some cell failed, 2 wrong usage, 130 interrupted."""
    try:
        app()
    except UsageError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(2)
    except BrokenPipeError:
        # The reader of a pipe left; Python would complain once more when it flushes.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(0)
    except OSError as error:
        where = f"{error.filename}: " if error.filename else ""
        print(f"error: {where}{error.strerror or error}; finished cells are kept", file=sys.stderr)
        sys.exit(2)
    except KeyboardInterrupt:
        sys.exit(130)


def _configure(
    methods: list[str] | None,
    datasets: list[str] | None,
    seeds: list[str] | None,
    preset: str | None,
    settings: list[str] | None,
    plugins: list[str] | None,
) -> tuple[Config, tuple[str, ...]]:
    """The preset with the options over it: what is given replaces what the preset says."""
    from dataclasses import replace

    from bench import config as configuration

    paths = _load_plugins(plugins)
    config = configuration.load_preset(preset or configuration.DEFAULT_PRESET)
    changes: dict[str, Any] = {}
    if methods:
        changes["variants"] = tuple(configuration.parse_variant(text) for text in methods)
    if datasets:
        changes["datasets"] = tuple(datasets)
    if seeds:
        changes["seeds"] = configuration.parse_seeds(seeds)
    if settings:
        given = configuration.parse_settings(settings)
        changes["recipe"] = {**config.recipe, **given}
        changes["recipes"] = {
            name: {k: v for k, v in values.items() if k not in given}
            for name, values in config.recipes.items()
        }
    return replace(config, **changes), paths


def _load_plugins(plugins: list[str] | None) -> tuple[str, ...]:
    from bench.plugins import load_installed, load_plugins, plugin_path

    paths = tuple(plugin_path(each) for each in plugins or [])
    load_installed()
    load_plugins(paths)
    return paths


def _cells(config: Config) -> list[Cell]:
    from bench.plan import make_cells

    return make_cells(config)


def _cores() -> int:
    """Cores that this process may use."""
    affinity = getattr(os, "sched_getaffinity", None)
    return len(affinity(0)) if affinity else os.cpu_count() or 1


def _default_results(preset: str | None) -> Path:
    return Path("results") / Path(preset or "quick").stem


def _print_board(folder: Path, markdown: bool) -> None:
    from bench.overview import board_text
    from bench.store import Run

    _page(board_text(Run(folder), markdown))


def _page(text: str) -> None:
    sys.stdout.write(text.rstrip() + "\n")
    sys.stdout.flush()
