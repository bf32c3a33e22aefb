"""A forecast of how long a run takes: training steps of its networks are timed on random data."""

from __future__ import annotations

import os
import time
from collections import Counter
from collections.abc import Callable, Sequence
from functools import partial

import torch
from torch import Tensor

from distillation_bench import datasets
from distillation_bench.bench.common.devices import DEVICE_VARIABLE
from distillation_bench.bench.common.terminal_tables import text_table
from distillation_bench.bench.common.text import counted, duration
from distillation_bench.bench.planning.cache_keys import TeacherPlan
from distillation_bench.bench.planning.cells import Cell
from distillation_bench.bench.planning.estimates.run_time import Chain, wall_seconds
from distillation_bench.bench.planning.recipe import Recipe
from distillation_bench.bench.training import student, teacher
from distillation_bench.bench.training.data import EvaluationSet, PreparedData, Scaling
from distillation_bench.bench.training.hardware import bfloat16_speed
from distillation_bench.bench.training.hardware.compute import Compute, prepare_process
from distillation_bench.bench.training.training_inputs import TrainingInputs
from distillation_bench.datasets.base import Dataset
from distillation_bench.datasets.shifts import LEVELS
from distillation_bench.methods import METHODS, Method, Setting
from distillation_bench.methods.networks import NetworkBuilder, network_builder
from distillation_bench.methods.tasks import TASKS

SET_SIZE = 10_000
"""Assumed size of an evaluation set, unless the recipe limits it to less."""
CPU_BATCH = 32
"""Largest batch of a timed step on a CPU, where time is proportional to the batch."""


def forecast_text(
    cells: Sequence[Cell],
    devices: Sequence[str],
    jobs: int,
    is_cached: Callable[[str], bool] = lambda key: False,
) -> str:
    """Return a table of the hours that teachers and cells take, and the time of the whole run.

    Cells that are done count too: the forecast is for a run from nothing.

    Args:
        cells: of the run.
        devices: "cpu", or the names of GPUs; steps are timed on the first.
        jobs: number of cells and teachers that are trained at a time.
        is_cached: whether the cache has the outputs of a teacher, by their key. Their teacher is
            counted nevertheless, and what it saves is said.
    """
    prepare_process()
    os.environ[DEVICE_VARIABLE] = devices[0]
    rows, chains, total, saved = [], [], 0.0, 0.0
    for dataset in dict.fromkeys(cell.dataset for cell in cells):
        runnable = [cell for cell in cells if cell.dataset == dataset and not cell.skip]
        if runnable:
            seconds, chain = _dataset_seconds(runnable, torch.device(devices[0]))
            rows += [[dataset, what, duration(value)] for what, value in seconds.items()]
            total += sum(seconds.values())
            chains.append(chain)
            keys = {cell.teacher.outputs_key for cell in runnable}
            saved += chain.teacher * sum(map(is_cached, keys))
    table = text_table(rows, ["dataset", "what", "on one of them"])
    run_time = duration(wall_seconds(total, chains, jobs))
    device = devices[0] if devices[0] == "cpu" else torch.cuda.get_device_name(devices[0])
    summary = f"from nothing: about {run_time} with {jobs} at a time on {device}"
    if saved:
        summary += f"; cached teachers save {duration(saved)} of work"
    return "\n\n".join(filter(None, [f"\n{table}", summary, _precision_warning(cells)]))


def _dataset_seconds(cells: Sequence[Cell], device: torch.device) -> tuple[dict[str, float], Chain]:
    """Return the seconds of a dataset's teachers and of each label's cells, and the longest chain.

    Args:
        cells: of the dataset, that can be run.
        device: on which steps are timed.
    """
    timer = _StepTimer(datasets.get(cells[0].dataset), cells[0].teacher, device)
    teachers = len({cell.teacher.outputs_key for cell in cells})
    teacher_seconds = timer.teacher_seconds()
    seconds = {counted(teachers, "teacher"): teachers * teacher_seconds}
    counts = Counter(cell.label for cell in cells)
    representatives = {cell.label: cell for cell in cells}
    cell_seconds = {label: timer.cell_seconds(cell) for label, cell in representatives.items()}
    for label, value in cell_seconds.items():
        seconds[f"{counts[label]} x {label}"] = counts[label] * value
    return seconds, Chain(teacher_seconds, len(timer.plan.pieces), max(cell_seconds.values()))


def _precision_warning(cells: Sequence[Cell]) -> str:
    """Return a warning if cells train in bfloat16 and this processor emulates it; else empty."""
    if not any(cell.recipe.precision == "bfloat16" for cell in cells):
        return ""
    return bfloat16_speed.warning(bfloat16_speed.slowdown())


class _StepTimer:
    """Times training and forward passes of a dataset's networks on random inputs of its shape."""

    def __init__(self, dataset: type[Dataset], plan: TeacherPlan, device: torch.device) -> None:
        self.dataset = dataset
        self.plan = plan
        self.task = TASKS[dataset.task]
        self.compute = Compute(device, plan.recipe.precision)
        size = min(plan.recipe.batch_size, CPU_BATCH if device.type == "cpu" else 10**6)
        # Two epochs of two steps: a method with two phases gets one epoch of each.
        self.count = 2 * size
        self.recipe = plan.recipe.model_copy(update={"epochs": 2, "batch_size": size})
        self.data = _random_data(dataset, self.count)
        self.networks: NetworkBuilder = network_builder(
            plan.recipe.network, dataset.shape, dataset.outputs
        )
        self.outputs = torch.randn(plan.recipe.members, self.count, dataset.outputs)

    def teacher_seconds(self) -> float:
        """Return the seconds of training all members and of computing their outputs."""
        piece = self.plan.pieces[0]
        inputs = TrainingInputs(
            data=self.data, recipe=self.recipe, seed=0, dataset="forecast", compute=self.compute
        )
        train = partial(teacher.train_members, piece, self.task, self.networks, inputs)
        network, _ = train()
        train_seconds = _timed(train, self.compute)
        forward = partial(teacher.outputs_on, network, self.data, self.data.train[0], self.compute)
        forward_seconds = _timed(forward, self.compute)
        examples = self._evaluated_examples() + self._training_examples()
        piece_seconds = self._scaled(train_seconds) + forward_seconds / self.count * examples
        return piece_seconds * self.recipe.members / len(piece)

    def cell_seconds(self, cell: Cell) -> float:
        """Return the seconds of training and evaluating a student; 0 for the teacher itself."""
        method = self._method(cell)
        if method.is_teacher:
            return 0.0
        inputs = student.StudentInputs(
            method=method,
            data=self.data,
            teacher=teacher.Teacher({"train": self.outputs, "validation": self.outputs}, {}),
            recipe=self.recipe,
            seed=0,
            dataset="forecast",
            compute=self.compute,
        )
        untrained = student.build(inputs)
        train = partial(student.train_student, untrained, inputs)
        network, _ = train()
        train_seconds = _timed(train, self.compute)
        stream = torch.Generator(self.compute.device)
        forward = partial(student.predict, inputs, network, self.data.train[0], stream)
        forward_seconds = _timed(forward, self.compute)
        examples = self._evaluated_examples()
        return self._scaled(train_seconds) + forward_seconds / self.count * examples

    def _method(self, cell: Cell) -> Method:
        setting = Setting(
            task=self.task,
            members=self.recipe.members,
            examples=self.count,
            networks=self.networks,
            inputs=self.data.input_range,
            teacher=lambda: self.networks.members([torch.Generator()] * self.recipe.members),
        )
        method = METHODS[cell.method]
        return method(method.Parameters(**cell.parameters), setting)

    def _training_examples(self) -> int:
        """Return the number of training examples that the recipe uses."""
        planned: Recipe = self.plan.recipe
        return min(planned.examples or self.dataset.examples, self.dataset.examples)

    def _scaled(self, seconds: float) -> float:
        """Scale the seconds of the timed training to the epochs and examples of the recipe."""
        return seconds / (2 * self.count) * self.plan.recipe.epochs * self._training_examples()

    def _evaluated_examples(self) -> int:
        """Return the number of examples in all evaluation sets."""
        shifts = sum(len(LEVELS.get(name, ())) for name in self.dataset.shifts)
        sets = 1 + shifts + len(self.plan.data.sources.present)
        return sets * min(self.plan.recipe.test_examples or SET_SIZE, SET_SIZE)


def _random_data(dataset: type[Dataset], count: int) -> PreparedData:
    """Return random data of a dataset's shape and task."""
    if dataset.images:
        x = torch.randint(256, (count, *dataset.shape), dtype=torch.uint8)
        channels = dataset.shape[0]
        scaling = Scaling(torch.full((channels,), 0.5), torch.full((channels,), 0.25))
    else:
        x, scaling = torch.randn(count, *dataset.shape), None
    y: Tensor = torch.randn(count)
    if dataset.task == "classification":
        y = torch.arange(count) % dataset.outputs
    validation = EvaluationSet("validation", x, y)
    return PreparedData((x, y), validation, (), scaling, dataset.outputs)


def _timed(function: Callable[[], object], compute: Compute) -> float:
    """Return the seconds that a call takes, including the work on the device."""
    start = time.perf_counter()
    function()
    if compute.device.type == "cuda":
        torch.cuda.synchronize(compute.device)
    return time.perf_counter() - start
