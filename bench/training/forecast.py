"""How long a grid will take, from steps of its own networks timed here on made-up data."""

from __future__ import annotations

import os
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Sequence

import torch
from torch import Tensor

from distillation_bench import datasets
from distillation_bench.bench.common.devices import DEVICE
from distillation_bench.bench.common.terminal_tables import text_table
from distillation_bench.bench.common.text import duration
from distillation_bench.bench.planning.cache_keys import TeacherPlan
from distillation_bench.bench.planning.cells import Cell
from distillation_bench.bench.planning.estimates.run_time import Chain, wall_seconds
from distillation_bench.bench.planning.recipe import Recipe
from distillation_bench.bench.training import student, teacher
from distillation_bench.bench.training.data import EvaluationSet, PreparedData, Scaling
from distillation_bench.bench.training.hardware import bfloat16_speed
from distillation_bench.bench.training.hardware.compute import Compute, prepare_process
from distillation_bench.datasets.base import Dataset
from distillation_bench.datasets.shifts import LEVELS
from distillation_bench.methods import METHODS, Setting
from distillation_bench.methods.networks import NetworkBuilder, network_builder
from distillation_bench.methods.tasks import TASKS

SET_SIZE = 10_000
"""Images that an evaluation set is taken to have, unless the recipe says less."""
CPU_BATCH = 32
"""Examples a timed step on a CPU, where time is in proportion to them."""


def forecast_text(cells: Sequence[Cell], devices: Sequence[str], jobs: int) -> str:
    """Hours for every teacher and cell that can be run, finished ones too, and for them all."""
    prepare_process()
    os.environ[DEVICE] = devices[0]
    seconds: dict[tuple[str, str], float] = defaultdict(float)
    chains = []
    for dataset in dict.fromkeys(cell.dataset for cell in cells):
        chosen = [cell for cell in cells if cell.dataset == dataset and not cell.skip]
        if not chosen:
            continue
        bench = _Bench(datasets.get(dataset), chosen[0].teacher, torch.device(devices[0]))
        teachers = len({cell.teacher.outputs_key for cell in chosen})
        a_teacher = bench.teacher_seconds()
        seconds[dataset, f"{teachers} teachers"] = teachers * a_teacher
        labels = Counter(cell.label for cell in chosen)
        each = {cell.label: bench.cell_seconds(cell) for cell in _one_of_each(chosen)}
        for label, a_cell in each.items():
            seconds[dataset, f"{labels[label]} x {label}"] = labels[label] * a_cell
        chains.append(Chain(a_teacher, len(bench.plan.pieces), max(each.values())))
    rows = [[*name, duration(value)] for name, value in seconds.items()]
    table = text_table(rows, ["dataset", "what", "on one of them"])
    total = duration(wall_seconds(sum(seconds.values()), chains, jobs))
    where = devices[0] if devices[0] == "cpu" else torch.cuda.get_device_name(devices[0])
    told = f"from nothing: about {total} with {jobs} at a time on {where}"
    return "\n\n".join(filter(None, [f"\n{table}", told, _warning(cells)]))


def _one_of_each(cells: Sequence[Cell]) -> Iterable[Cell]:
    return {cell.label: cell for cell in cells}.values()


def _warning(cells: Sequence[Cell]) -> str:
    low = any(cell.recipe.precision == "bfloat16" for cell in cells)
    return bfloat16_speed.warning(bfloat16_speed.slowdown()) if low else ""


class _Bench:
    """A dataset's networks, on random inputs of its shape."""

    def __init__(self, dataset: type[Dataset], plan: TeacherPlan, device: torch.device) -> None:
        self.dataset = dataset
        self.plan = plan
        self.task = TASKS[dataset.task]
        self.compute = Compute(device, plan.recipe.precision)
        size = min(plan.recipe.batch_size, CPU_BATCH if device.type == "cpu" else 10**6)
        # Two epochs of two steps: a method of two phases gets one of each.
        self.count = 2 * size
        self.recipe = plan.recipe.model_copy(update={"epochs": 2, "batch_size": size})
        self.data = _random_data(dataset, self.count)
        self.networks: NetworkBuilder = network_builder(
            plan.recipe.network, dataset.shape, dataset.outputs
        )
        self.outputs = torch.randn(plan.recipe.members, self.count, dataset.outputs)

    def teacher_seconds(self) -> float:
        """Training of all members and their outputs on every set."""
        piece = self.plan.pieces[0]

        def train() -> torch.nn.Module:
            arguments = (piece, self.data, self.task, self.networks, self.recipe, 0, "forecast")
            return teacher.train_members(*arguments, self.compute)[0]

        network = train()
        train_seconds = _timed(train, self.compute)
        x = self.data.train[0]

        def see() -> Tensor:
            return teacher.outputs_on(network, self.data, x, self.compute)

        forward = _timed(see, self.compute)
        seen = self._evaluated() + self._examples()
        a_piece = self._training(train_seconds) + forward / self.count * seen
        return a_piece * self.recipe.members / len(piece)

    def cell_seconds(self, cell: Cell) -> float:
        """Training and evaluation of one student."""
        setting = Setting(
            task=self.task,
            members=self.recipe.members,
            examples=self.count,
            networks=self.networks,
            teacher=lambda: self.networks.members([torch.Generator()] * self.recipe.members),
        )
        parameters = METHODS[cell.method].Parameters(**cell.parameters)
        method = METHODS[cell.method](parameters, setting)
        taught = teacher.Teacher({"train": self.outputs}, {})

        if method.is_teacher:
            return 0.0
        network = student.build(method, 0, "forecast")
        arguments = (method, network, self.data, taught, self.recipe, 0, "forecast")

        def train() -> object:
            return student.train_student(*arguments, self.compute)

        train()
        train_seconds = _timed(train, self.compute)
        stream = torch.Generator(self.compute.device)
        x = self.data.train[0]

        def see() -> object:
            return student.predict(method, network, self.data, x, stream, self.compute)

        forward = _timed(see, self.compute)
        return self._training(train_seconds) + forward / self.count * self._evaluated()

    def _examples(self) -> int:
        planned: Recipe = self.plan.recipe
        return min(planned.examples or self.dataset.examples, self.dataset.examples)

    def _training(self, seconds: float) -> float:
        """From two epochs of `count` examples to the recipe's."""
        return seconds / (2 * self.count) * self.plan.recipe.epochs * self._examples()

    def _evaluated(self) -> int:
        """Examples in all evaluation sets."""
        shifts = sum(len(LEVELS.get(name, ())) for name in self.dataset.shifts)
        sets = 1 + shifts + len(self.plan.data.sources.present)
        return sets * min(self.plan.recipe.test_examples or SET_SIZE, SET_SIZE)


def _random_data(dataset: type[Dataset], count: int) -> PreparedData:
    if dataset.images:
        x = torch.randint(256, (count, *dataset.shape), dtype=torch.uint8)
        scaling = Scaling(
            torch.full((dataset.shape[0],), 0.5), torch.full((dataset.shape[0],), 0.25)
        )
    else:
        x, scaling = torch.randn(count, *dataset.shape), None
    y: Tensor = torch.randn(count)
    if dataset.task == "classification":
        y = torch.arange(count) % dataset.outputs
    held_out = EvaluationSet("validation", x, y)
    return PreparedData((x, y), held_out, (), scaling, dataset.outputs)


def _timed(function: Callable[[], object], compute: Compute) -> float:
    start = time.perf_counter()
    function()
    if compute.device.type == "cuda":
        torch.cuda.synchronize(compute.device)
    return time.perf_counter() - start
