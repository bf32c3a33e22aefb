"""The toy data, the engine and its tables.

Whole processes are timed from outside; rates are compared with a matrix product measured in turn
with them in the same process.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import torch
from tests.speed.measure import Row, product_rate, summary, timed
from torch import Tensor, nn
from torch.nn import functional

from distillation_bench.bench.common.paths import ROOT
from distillation_bench.bench.execution.executors.local import LocalExecutor
from distillation_bench.bench.execution.jobs import CheckPrecision, Job
from distillation_bench.bench.execution.recorder import new_record
from distillation_bench.bench.execution.scheduler import FinishedJob, Scheduler
from distillation_bench.bench.planning.cache_keys import DataPlan
from distillation_bench.bench.planning.cells import make_cells
from distillation_bench.bench.planning.configuration.option_values import parse_variant
from distillation_bench.bench.planning.configuration.preset_files import load_preset
from distillation_bench.bench.planning.evaluation_sources import EvaluationSources
from distillation_bench.bench.planning.recipe import Recipe, recipe_for
from distillation_bench.bench.planning.run_description import describe_run
from distillation_bench.bench.storage import tables as derived
from distillation_bench.bench.storage.cache import Cache
from distillation_bench.bench.storage.run_folder import Run
from distillation_bench.bench.training import teacher
from distillation_bench.bench.training.data import PreparedData, load
from distillation_bench.bench.training.data_preparation import prepare_data
from distillation_bench.bench.training.hardware.compute import prepare_process
from distillation_bench.bench.training.hardware.environment import environment
from distillation_bench.bench.training.training_inputs import TrainingInputs
from distillation_bench.datasets.spiral import Spiral
from distillation_bench.methods.networks import network_builder
from distillation_bench.methods.predictions import Samples
from distillation_bench.methods.tasks import TASKS

SEEDS = range(10)


def rows() -> list[Row]:
    """All parts, one after another."""
    folder = Path(tempfile.mkdtemp())
    try:
        return [original_spiral(folder), overhead(folder), *tables(folder), *teacher_rate()]
    finally:
        shutil.rmtree(folder)


def seconds_of(*arguments: str) -> float:
    """Wall time of the program as a whole process."""
    start = time.perf_counter()
    command = [sys.executable, str(ROOT / "run_bench.py"), *arguments]
    subprocess.run(command, check=True, capture_output=True)
    return time.perf_counter() - start


def original_spiral(folder: Path, runs: int = 5) -> Row:
    """(a) The preset from nothing: no cache, no results."""
    times = []
    for run in range(runs):
        run_folder = folder / f"spiral-{run}"
        folders = ("--results", str(run_folder / "run"), "--cache", str(run_folder / "cache"))
        times.append(seconds_of("run", "--preset", "original-spiral", "--jobs", "2", *folders))
    name = "preset original-spiral, whole process, 2 workers"
    return name, summary(times), "9 s; it was 306 and 119 s"


def teacher_rate() -> list[Row]:
    """(b) The batched teacher step against the matrix product's peak; and against plain torch."""
    prepare_process()
    recipe = recipe_for(Spiral.recipe, Spiral.network, {"members": 10, "epochs": 50})
    networks = network_builder(recipe.network, Spiral.shape, Spiral.outputs)
    data = _prepared(Spiral.name)
    task = TASKS[Spiral.task]

    def batched(seed: int = 0, recipe: Recipe = recipe) -> nn.Module:
        inputs = TrainingInputs(data=data, recipe=recipe, seed=seed, dataset="spiral")
        return teacher.train_members(range(10), task, networks, inputs)[0]

    multiplications = sum(a * b for a, b in _layers(recipe.network["member"], 2, 3))
    operations = 6 * multiplications * data.examples * recipe.members * recipe.epochs
    shares, rates, ratios = [], [], []
    for _ in range(7):
        peak = product_rate(1024, torch.float32, torch.device("cpu"))
        rate = operations / timed(batched)
        rates.append(rate / 1e9)
        shares.append(100 * rate / peak)
        ratios.append(timed(lambda: _plain_members(data, 10, 50)) * rate / operations)
    figures = _quality(data, batched, recipe.model_copy(update={"epochs": 200}))
    return [
        ("batched teacher step, 10 members, one thread", summary(rates, "GFLOP/s"), ""),
        ("  of the matrix product's peak", summary(shares, "%"), "45 %"),
        ("  plain torch, members in turn: times slower", summary(ratios, "x"), ""),
        *figures,
    ]


def _quality(data: PreparedData, batched: Callable[..., nn.Module], recipe: Recipe) -> list[Row]:
    """Test error and NLL of ensembles trained batched and plainly, over seeds."""
    test = data.sets[0]

    def figures(logits: Tensor) -> tuple[float, float]:
        prediction = Samples(logits)
        assert test.y is not None
        error = (prediction.mean.argmax(1) != test.y).double().mean().item()
        return 100 * error, -prediction.log_prob(test.y).mean().item()

    rows = []
    for name in ("batched", "plain torch"):
        errors, nlls = [], []
        for seed in SEEDS:
            if name == "batched":
                logits = teacher.outputs_on(batched(seed, recipe), data, test.x)
            else:
                torch.manual_seed(seed)
                members = _plain_members(data, 10, 200)
                with torch.no_grad():
                    logits = torch.stack([member(test.x) for member in members])
            error, nll = figures(logits)
            errors.append(error)
            nlls.append(nll)
        rows.append((f"  {name}: test error over {len(SEEDS)} seeds", summary(errors, "%"), ""))
        rows.append((f"  {name}: test NLL over {len(SEEDS)} seeds", summary(nlls, "nats"), ""))
    return rows


def _plain_members(data: PreparedData, members: int, epochs: int) -> list[nn.Module]:
    """The same ensemble the usual way: modules, torch.optim, one member after another."""
    x, y = data.train
    trained: list[nn.Module] = []
    for _ in range(members):
        layers = [nn.Linear(a, b) for a, b in _layers([100] * 4, 2, 3)]
        parts = [part for layer in layers for part in (layer, nn.ReLU())][:-1]
        network = nn.Sequential(*parts)
        optimizer = torch.optim.Adam(network.parameters(), lr=0.01)
        schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, epochs)
        for _ in range(epochs):
            squares = [parameter.square().sum() for parameter in network.parameters()]
            decay = 0.5e-4 * torch.stack(squares).sum()
            loss = functional.cross_entropy(network(x), y) + decay
            optimizer.zero_grad()
            torch.autograd.backward(loss)
            nn.utils.clip_grad_norm_(network.parameters(), 5.0)
            optimizer.step()
            schedule.step()
        trained.append(network)
    return trained


def _layers(hidden: Sequence[int], inputs: int, outputs: int) -> list[tuple[int, int]]:
    widths = [inputs, *hidden, outputs]
    return list(pairwise(widths))


def _prepared(dataset: str) -> PreparedData:
    plan = DataPlan(dataset, 0, None, None, EvaluationSources(), "splits", "sets")
    with tempfile.TemporaryDirectory() as folder:
        cache = Cache(Path(folder))
        prepare_data(cache, plan, Path(folder))
        return load(cache, plan)


def overhead(folder: Path, cells: int = 1000) -> Row:
    """(c) Jobs that do nothing, each in its own process, each with a record on disk."""
    run = Run(folder / "overhead")
    config = replace(load_preset("quick"), datasets=("spiral",), variants=(parse_variant("kd"),))
    like = new_record(make_cells(config)[0], "done", "", "") | {"timings": {"seconds": 0.0}}

    class Recorder:
        def job_started(self, job: Job) -> None:
            pass

        def job_finished(self, finished: FinishedJob) -> None:
            name, value = finished.job.name, finished.value
            run.write_record({**like, "id": name, "environment": value})

    jobs = [Job(f"cell-{i}", CheckPrecision()) for i in range(cells)]
    executor = LocalExecutor(2)

    def start_environment(job: Job) -> Future[Any]:
        return executor.submit(environment)

    Scheduler(jobs[:2], executor, start_environment, Recorder()).run()
    start = time.perf_counter()
    Scheduler(jobs, executor, start_environment, Recorder()).run()
    milliseconds = 1000 * (time.perf_counter() - start) / cells
    executor.stop()
    return f"overhead a cell, {cells} cells, 2 workers, records", f"{milliseconds:.1f} ms", "15 ms"


def tables(folder: Path, cells: int = 10_000) -> list[Row]:
    """(d) What must be quick on a large run: help, board and plan."""
    run = generated(folder / "large", cells)
    commands = {
        "--help": ("--help",),
        f"board of {cells:,} cells": ("board", str(run)),
        f"plan of {cells:,} cells": ("plan", *large_selectors(cells), "--results", str(run)),
    }
    goals = {"--help": "0.3 s"}
    rows = []
    for name, arguments in commands.items():
        seconds_of(*arguments)
        times = [seconds_of(*arguments) for _ in range(5)]
        rows.append((name, summary(times), goals.get(name, "3 s")))
    return rows


def large_selectors(cells: int) -> tuple[str, ...]:
    """What plans the cells of a generated run."""
    methods = ("-m", "kd", "-m", "hydra+[heads=5,10]", "-m", "gauss")
    return (*methods, "-d", "spiral", "-d", "sine", "-s", f"0-{cells // 8 - 1}")


def generated(folder: Path, cells: int) -> Path:
    """A run of so many cells, with records like real ones, written without waiting for the disk."""
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
    run.write_manifest(describe_run(run, planned, ""))
    names = ("accuracy", "nll", "ece", "brier", "ood_auroc", "teacher_kl")
    for number, cell in enumerate(planned):
        headline = dict.fromkeys(names, number * 7 % 100 / 100)
        entry = {"set": "test", "shift": "", "severity": 0, "values": headline}
        record = new_record(cell, "done", "", "")
        record |= {"headline": headline, "sets": [entry] * 18, "timings": {"seconds": 1.0}}
        run.write_record(record)
    derived.write_tables(run)
    return folder
