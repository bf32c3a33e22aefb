"""Whether bfloat16 gives what float32 gives: a teacher and a student trained on MNIST in both."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import torch
from tests.speed.measure import Pool, Row
from tests.speed.work import method_for

from distillation_bench.bench.common.random_streams import numpy_stream
from distillation_bench.bench.planning.evaluation_sources import EvaluationSources
from distillation_bench.bench.planning.recipe import recipe_for
from distillation_bench.bench.training import student, teacher
from distillation_bench.bench.training.data import EvaluationSet, PreparedData, Scaling
from distillation_bench.bench.training.evaluation.evaluate import evaluate
from distillation_bench.bench.training.hardware.compute import Compute, process_device
from distillation_bench.bench.training.training_inputs import TrainingInputs
from distillation_bench.datasets.base import Split
from distillation_bench.datasets.mnist import MNIST
from distillation_bench.methods.networks import network_builder
from distillation_bench.methods.tasks import TASKS

MEMBERS, EXAMPLES, EPOCHS, SEEDS = 5, 10_000, 4, range(3)
FIGURES = ("accuracy", "nll", "ece")
PRECISIONS = ("float32", "bfloat16")

Figures = dict[str, dict[str, float]]
"""By method and name."""


@dataclass(frozen=True)
class Run:
    """One seed in one precision."""

    precision: str
    seed: int
    root: Path
    scale: float

    def figures(self) -> Figures:
        """Train and measure the teacher and plain distillation from it."""
        data = _data(self.root, self.seed, round(self.scale * EXAMPLES))
        options = {"members": MEMBERS, "epochs": EPOCHS, "batch_size": 128}
        recipe = recipe_for(MNIST.recipe, MNIST.network, {**options, "precision": self.precision})
        networks = network_builder(MNIST.network, MNIST.shape, MNIST.outputs)
        compute = Compute(process_device(), self.precision)
        common = TrainingInputs(
            data=data, recipe=recipe, seed=self.seed, dataset=MNIST.name, compute=compute
        )
        task = TASKS["classification"]
        network, _ = teacher.train_members(range(MEMBERS), task, networks, common)
        inputs = {"train": data.train[0], "validation": data.validation.x, "test": data.sets[0].x}
        outputs = {
            name: teacher.outputs_on(network, data, x, compute).cpu() for name, x in inputs.items()
        }
        taught = teacher.Teacher(outputs, {})
        figures = {}
        for name in ("ensemble", "kd"):
            method = method_for(name, {}, networks, MEMBERS, data.examples)
            own = student.StudentInputs(**vars(common), method=method, teacher=taught)
            trained, _ = student.train_student(student.build(own), own)
            figures[name], *_ = evaluate(trained, own, EvaluationSources())
        return figures


def rows(pool: Pool, scale: float, root: Path) -> list[Row]:
    """Mean and standard deviation over seeds in both precisions, and over paired differences."""
    runs = [Run(precision, seed, root, scale) for seed in SEEDS for precision in PRECISIONS]
    results = pool.all(figures_of, runs)
    table = []
    for method, figure in ((m, f) for m in results[0] for f in FIGURES):
        values = [result[method][figure] for result in results]
        full, low = values[::2], values[1::2]
        differences = [b - a for a, b in zip(full, low, strict=True)]
        name = f"MNIST LeNet {method}: {figure}"
        table += [
            (f"{name}, float32", _spread(full), ""),
            ("  bfloat16", _spread(low), "within the spread"),
            ("  bfloat16 less float32, paired", _spread(differences), ""),
        ]
    return table


def figures_of(run: Run) -> Figures:
    """A job: one run."""
    return run.figures()


def _spread(values: Sequence[float]) -> str:
    mean, deviation = statistics.mean(values), statistics.stdev(values)
    return f"{mean:.4f} ± {deviation:.4f} (n = {len(values)})"


def _data(root: Path, seed: int, examples: int) -> PreparedData:
    """MNIST with fewer training images and no set but the test set."""
    data = MNIST(root).load(partial(numpy_stream, seed, "data", MNIST.name))

    def tensors(split: Split, count: int | None = None) -> tuple[torch.Tensor, torch.Tensor]:
        return torch.from_numpy(split.x[:count]), torch.from_numpy(split.y[:count])

    return PreparedData(
        train=tensors(data.train, examples),
        validation=EvaluationSet("validation", *tensors(data.validation)),
        sets=(EvaluationSet("test", *tensors(data.test)),),
        scaling=Scaling(torch.tensor(MNIST.mean), torch.tensor(MNIST.std)),
        classes=MNIST.outputs,
    )
