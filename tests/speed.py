"""The suite's speed, as a table: `make speed`. Nothing here is a test; machines differ.

Whole processes are timed from outside; rates are compared with a matrix product measured in turn
with them in the same process. Run it on a machine that does nothing else.
"""

from __future__ import annotations

import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

Row = tuple[str, str, str]
SEEDS = range(3)


def seconds_of(*arguments: str) -> float:
    """Wall time of the program as a whole process."""
    start = time.perf_counter()
    command = [sys.executable, str(ROOT / "run_bench.py"), *arguments]
    subprocess.run(command, check=True, capture_output=True)
    return time.perf_counter() - start


def shown(times: Sequence[float], unit: str = "s") -> str:
    """Median with the range."""
    return f"{statistics.median(times):.3g} {unit} ({min(times):.3g} to {max(times):.3g})"


def seed_spiral(folder: Path, runs: int = 5) -> Row:
    """(a) The preset from nothing: no cache, no results."""
    times = []
    for run in range(runs):
        place = folder / f"spiral-{run}"
        options = ("--results", str(place / "run"), "--cache", str(place / "cache"), "--jobs", "2")
        times.append(seconds_of("run", "--preset", "seed-spiral", *options))
    return "preset seed-spiral, whole process, 2 workers", shown(times), "9 s; it was 306 and 119 s"


def teacher_rate() -> list[Row]:
    """(b) The batched teacher step against the matrix product's peak; and against plain torch."""
    import torch

    from bench import teacher, worker
    from bench.recipe import recipe_for
    from datasets import get
    from methods.networks import build_networks
    from methods.tasks import TASKS

    dataset = get("spiral")
    recipe = recipe_for(dataset.recipe, dataset.network, {"members": 10, "epochs": 50})
    networks = build_networks(recipe.network, dataset.inputs, dataset.outputs)
    data = _prepared(worker, dataset.name)
    task = TASKS[dataset.task]

    def batched(seed: int = 0, recipe: Any = recipe) -> Any:
        return teacher.train_members(range(10), data, task, networks, recipe, seed, "spiral")[0]

    multiplications = sum(a * b for a, b in _layers(recipe.network["member"], 2, 3))
    operations = 6 * multiplications * data.examples * recipe.members * recipe.epochs
    shares, rates, ratios = [], [], []
    for _ in range(7):
        peak = _peak(torch)
        rate = operations / _timed(batched)
        rates.append(rate / 1e9)
        shares.append(100 * rate / peak)
        ratios.append(_timed(lambda: _plain_members(torch, data, 10, 50)) * rate / operations)
    figures = _quality(torch, data, batched, replace_epochs(recipe))
    return [
        ("batched teacher step, 10 members, one thread", shown(rates, "GFLOP/s"), ""),
        ("  of the matrix product's peak", shown(shares, "%"), "45 %"),
        ("  plain torch, members in turn: times slower", shown(ratios, "x"), ""),
        *figures,
    ]


def replace_epochs(recipe: Any) -> Any:
    """The recipe at its full length."""
    return recipe.model_copy(update={"epochs": 200})


def _quality(torch: Any, data: Any, batched: Callable[..., Any], recipe: Any) -> list[Row]:
    """Test error and NLL of ensembles trained batched and plainly, over seeds."""
    from bench.teacher import Teacher, outputs_on
    from methods.networks import build_networks
    from methods.predictions import Samples

    networks = build_networks(recipe.network, 2, 3)
    test = data.sets[0]

    def figures(logits: Any) -> tuple[float, float]:
        prediction = Samples(logits)
        error = (prediction.mean.argmax(1) != test.y).double().mean().item()
        return 100 * error, -prediction.log_prob(test.y).mean().item()

    rows = []
    for name in ("batched", "plain torch"):
        errors, nlls = [], []
        for seed in SEEDS:
            if name == "batched":
                weights = {k: torch.from_numpy(v) for k, v in batched(seed, recipe).items()}
                logits = outputs_on(Teacher({}, weights).network(networks), test.x)
            else:
                torch.manual_seed(seed)
                members = _plain_members(torch, data, 10, 200)
                with torch.no_grad():
                    logits = torch.stack([member(test.x) for member in members])
            error, nll = figures(logits)
            errors.append(error)
            nlls.append(nll)
        rows.append((f"  {name}: test error over 3 seeds", shown(errors, "%"), ""))
        rows.append((f"  {name}: test NLL over 3 seeds", shown(nlls, "nats"), ""))
    return rows


def _plain_members(torch: Any, data: Any, members: int, epochs: int) -> list[Any]:
    """The same ensemble the usual way: modules, torch.optim, one member after another."""
    nn = torch.nn
    x, y = data.train
    trained = []
    for _ in range(members):
        layers = [nn.Linear(a, b) for a, b in _layers([100] * 4, 2, 3)]
        parts = [part for layer in layers for part in (layer, nn.ReLU())][:-1]
        network = nn.Sequential(*parts)
        optimizer = torch.optim.Adam(network.parameters(), lr=0.01)
        schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, epochs)
        for _ in range(epochs):
            decay = 0.5e-4 * sum(p.square().sum() for p in network.parameters())
            loss = nn.functional.cross_entropy(network(x), y) + decay
            optimizer.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(network.parameters(), 5.0)
            optimizer.step()
            schedule.step()
        trained.append(network)
    return trained


def _layers(hidden: Sequence[int], inputs: int, outputs: int) -> list[tuple[int, int]]:
    widths = [inputs, *hidden, outputs]
    return list(pairwise(widths))


def _prepared(worker: Any, dataset: str) -> Any:
    from bench import data
    from bench.cache import Cache

    with tempfile.TemporaryDirectory() as folder:
        cache = Cache(Path(folder))
        data.prepare(cache, "data", dataset, 0)
        return data.load(cache, "data")


def _timed(function: Callable[[], Any]) -> float:
    start = time.perf_counter()
    function()
    return time.perf_counter() - start


def _peak(torch: Any, size: int = 1024) -> float:
    """FLOP/s of a square product, the fastest of some."""
    a, b = torch.randn(2, size, size)
    return 2 * size**3 / min(_timed(lambda: a @ b) for _ in range(12))


def overhead(folder: Path, cells: int = 1000) -> Row:
    """(c) Tasks that do nothing, each in a process of its own, each with its record on disk."""
    from bench.executors import ProcessPerTask
    from bench.scheduler import Ended, Scheduler, Task
    from bench.store import Run
    from bench.workplace import in_worker

    run = Run(folder / "overhead")

    class Recorder:
        def started(self, task: Task) -> None:
            pass

        def ended(self, ended: Ended) -> None:
            record = {"id": ended.task.name, "status": "ok", "environment": ended.value}
            run.write_record(record, [])

    tasks = [Task(f"cell-{i}", in_worker, ("environment",)) for i in range(cells)]
    executor = ProcessPerTask(2)
    Scheduler(tasks[:2], executor, 2, Recorder()).run()
    start = time.perf_counter()
    Scheduler(tasks, executor, 2, Recorder()).run()
    each = 1000 * (time.perf_counter() - start) / cells
    executor.stop()
    return f"overhead a cell, {cells} cells, 2 workers, records", f"{each:.1f} ms", "15 ms"


def tables(folder: Path, cells: int = 10_000) -> list[Row]:
    """(d) What must be quick on a large run: help, board and plan."""
    run = _generated(folder / "large", cells)
    selectors = (
        "-m",
        "kd",
        "-m",
        "hydra+[heads=5,10]",
        "-m",
        "gauss",
        "-d",
        "spiral",
        "-d",
        "sine",
    )
    seeds = ("-s", f"0-{cells // 8 - 1}")
    commands = {
        "--help": ("--help",),
        f"board of {cells:,} cells": ("board", str(run)),
        f"plan of {cells:,} cells": ("plan", *selectors, *seeds, "--results", str(run)),
    }
    goals = {"--help": "0.3 s"}
    rows = []
    for name, arguments in commands.items():
        seconds_of(*arguments)
        times = [seconds_of(*arguments) for _ in range(5)]
        rows.append((name, shown(times), goals.get(name, "3 s")))
    return rows


def _generated(folder: Path, cells: int) -> Path:
    """A run of so many cells, with records like real ones, written without waiting for the disk."""
    import os

    from bench import runner
    from bench.config import load_preset, parse_variant
    from bench.plan import make_cells
    from bench.store import Run

    os.fsync = lambda handle: None  # type: ignore[assignment]
    variants = [parse_variant(text) for text in ("kd", "hydra+[heads=5,10]", "gauss")]
    config = replace(
        load_preset("quick"),
        datasets=("spiral", "sine"),
        variants=tuple(variants),
        seeds=tuple(range(cells // 8)),
    )
    run = Run(folder)
    planned = make_cells(config)
    options = runner.Options(jobs=2, cache=folder / "cache")
    runner._describe(run, planned, options)
    names = ("accuracy", "nll", "ece", "brier", "ood_auroc", "teacher_kl")
    for number, cell in enumerate(planned):
        headline = dict.fromkeys(names, number * 7 % 100 / 100)
        entry = {"set": "test", "shift": "", "severity": 0, "figures": headline}
        record = runner._record(cell, "ok", "", "")
        record |= {"headline": headline, "sets": [entry] * 18, "timings": {"seconds": 1.0}}
        run.write_record(record, [])
    run.derive()
    return folder


def main() -> None:
    """Print the table."""
    folder = Path(tempfile.mkdtemp())
    try:
        rows = [seed_spiral(folder), *tables(folder), overhead(folder), *teacher_rate()]
    finally:
        shutil.rmtree(folder)
    from tabulate import tabulate

    print(tabulate(rows, ["what", "median (range)", "goal"], tablefmt="pipe"))


if __name__ == "__main__":
    main()
