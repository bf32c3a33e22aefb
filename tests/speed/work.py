"""What the engine does in a job, as things with a rate, each measured where it is called.

They are plain values, to be sent to the processes that a run would use.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from tests.speed.measure import product_rate, timed
from torch import Tensor, nn

from distillation_bench.bench.planning.evaluation_sources import EvaluationSources, OODSet
from distillation_bench.bench.planning.recipe import Recipe, recipe_for
from distillation_bench.bench.training import student, teacher
from distillation_bench.bench.training.data import EvaluationSet, PreparedData, Scaling
from distillation_bench.bench.training.evaluation import cost
from distillation_bench.bench.training.evaluation.evaluate import evaluate
from distillation_bench.bench.training.hardware.compute import Compute, process_device
from distillation_bench.bench.training.training_inputs import TrainingInputs
from distillation_bench.datasets import get
from distillation_bench.datasets.base import Dataset
from distillation_bench.methods import METHODS, InputRange, Method, Setting
from distillation_bench.methods.networks import NetworkBuilder, network_builder
from distillation_bench.methods.tasks import TASKS

START = 2
"""Steps of the run whose time is taken off: weights, workspaces, the first step's choices."""
SHIFTS, OOD_SETS = 20, 4


@dataclass(frozen=True)
class Product:
    """The matrix product that other rates are a share of: FLOP/s."""

    precision: str

    def rate(self) -> float:
        device = process_device()
        size = 2048 if device.type == "cpu" else 8192
        return product_rate(size, getattr(torch, self.precision), device)


@dataclass(frozen=True)
class Training:
    """Steps of a teacher's members or of a student: images × members a second.

    Attributes:
        dataset: whose shape, network and recipe it has; the images are random.
        images: how many are seen.
        batch: images a step.
        precision: of convolutions and products.
        members: networks in the teacher, trained in one job if there is no method.
        method, parameters: of a student, which learns from random teacher outputs.
        network: options that replace the dataset's.
        root: where the dataset's files are; empty: random images.
        validation: images of the validation split; 0: as many as are trained on.
        epochs: how often each image is seen.
    """

    dataset: str
    images: int
    batch: int
    precision: str = "float32"
    members: int = 1
    method: str = ""
    parameters: Mapping[str, Any] = field(default_factory=dict)
    network: Mapping[str, Any] = field(default_factory=dict)
    root: str = ""
    validation: int = 0
    epochs: int = 1

    def rate(self) -> float:
        """A run of all steps less one of a few, which is done twice: first to warm up."""
        first = self.of(START * self.batch)
        device = process_device()
        start = min(timed(first.runner(), device) for _ in range(2))
        seconds = timed(self.runner(), device) - start
        networks = 1 if self.method else self.members
        return (self.images - first.images) * self.epochs * networks / seconds

    def of(self, images: int) -> Training:
        """Return the same training on another number of images."""
        return replace(self, images=images)

    def with_method(self, method: str) -> Training:
        """Return the training of a method's student: an epoch of each of two stages."""
        return replace(self, method=method, validation=self.batch, epochs=2)

    def runner(self) -> Any:
        """The training, ready to be called."""
        common, networks = self.inputs(), self.networks()
        if not self.method:
            members, task = range(self.members), TASKS["classification"]
            return lambda: teacher.train_members(members, task, networks, common)
        method = self.student()
        outputs = torch.randn(self.members, self.images, 10)
        held_out = outputs[:, : self.validation or self.images]
        taught = teacher.Teacher({"train": outputs, "validation": held_out}, {})
        own = student.StudentInputs(**vars(common), method=method, teacher=taught)
        return lambda: student.train_student(student.build(own), own)

    def inputs(self) -> TrainingInputs:
        """What members and students are trained with."""
        return TrainingInputs(
            data=self.data(),
            recipe=self.recipe(),
            seed=0,
            dataset=self.dataset,
            compute=Compute(process_device(), self.precision),
        )

    def data(self) -> PreparedData:
        """The images in memory as a run has them."""
        dataset = get(self.dataset)
        if self.root:
            split = dataset(Path(self.root)).load(lambda name: np.random.default_rng(0)).train
            x, y = torch.from_numpy(split.x[: self.images]), torch.from_numpy(split.y)
            y = y[: self.images]
        else:
            x, y = random_images(dataset, self.images), torch.arange(self.images) % 10
        scaling = Scaling(*torch.full((2, dataset.shape[0]), 0.3)) if dataset.images else None
        held_out = self.validation or len(x)
        validation = EvaluationSet("validation", x[:held_out], y[:held_out])
        return PreparedData((x, y), validation, (), scaling, dataset.outputs)

    def networks(self) -> NetworkBuilder:
        """The builders of members, cores and heads."""
        dataset = get(self.dataset)
        description = {**dataset.network, **self.network}
        return network_builder(description, dataset.shape, dataset.outputs)

    def recipe(self) -> Recipe:
        """The dataset's recipe, for these epochs."""
        dataset = get(self.dataset)
        options = {"members": self.members, "epochs": self.epochs, "batch_size": self.batch}
        return recipe_for(dataset.recipe, dataset.network, {**options, "precision": self.precision})

    def student(self) -> Method:
        """The method, for this teacher."""
        return method_for(self.method, self.parameters, self.networks(), self.members, self.images)

    def flops(self) -> float:
        """Of one image through one member or the student and back: three times the forward pass."""
        networks = self.networks()
        method = (
            self.student() if self.method else method_for("ensemble", {}, networks, 1, self.images)
        )
        x = torch.zeros(1, *get(self.dataset).shape)
        network = method.build(torch.Generator())
        return 3 * cost.counts(method, network.eval(), x)["flops"]


@dataclass(frozen=True)
class Evaluation:
    """A student measured on the test set, 20 shifts of it and 4 OOD sets: times a second."""

    training: Training
    images: int

    def rate(self) -> float:
        method = self.training.student()
        network = method.build(torch.Generator()).to(process_device()).eval()
        inputs = student.StudentInputs(
            method=method,
            data=self._data(),
            teacher=self._teacher(),
            recipe=self.training.recipe(),
            seed=0,
            dataset="speed",
            compute=Compute(process_device(), self.training.precision),
        )
        return 1 / timed(lambda: evaluate(network, inputs, _sources()), process_device())

    def _data(self) -> PreparedData:
        data = self.training.data()
        dataset = get(self.training.dataset)
        x, y = random_images(dataset, self.images), torch.arange(self.images) % 10
        shifts = [EvaluationSet("test", x, y, "rotation", i + 1) for i in range(SHIFTS)]
        ood_sets = [EvaluationSet(f"ood:{ood_set.name}", x) for ood_set in _sources().ood]
        # A tenth of the training part is held out: 6,000 images beside test sets of 10,000.
        held_out = EvaluationSet("validation", x[: self.images * 6 // 10], y[: len(y) * 6 // 10])
        sets = (EvaluationSet("test", x, y), *shifts, *ood_sets)
        return replace(data, validation=held_out, sets=sets)

    def _teacher(self) -> teacher.Teacher:
        members = self.training.members
        outputs = {item.key: torch.randn(members, self.images, 10) for item in self._data().sets}
        return teacher.Teacher(outputs, {})


def _sources() -> EvaluationSources:
    return EvaluationSources(tuple(OODSet(f"set {number}", "far") for number in range(OOD_SETS)))


def random_images(dataset: type[Dataset], count: int) -> Tensor:
    """Noise of a dataset's shape: uint8, or float32 if it has no images."""
    generator = torch.Generator().manual_seed(0)
    if not dataset.images:
        return torch.randn(count, *dataset.shape, generator=generator)
    return torch.randint(256, (count, *dataset.shape), dtype=torch.uint8, generator=generator)


def method_for(
    method: str,
    parameters: Mapping[str, Any],
    networks: NetworkBuilder,
    members: int,
    examples: int,
) -> Method:
    """A method in its setting; its teacher is untrained."""

    def untrained() -> nn.Module:
        return networks.members([torch.Generator()] * members)

    chosen = METHODS[method]
    inputs = InputRange.of(torch.zeros(1, *networks.shape))
    setting = Setting(TASKS["classification"], members, examples, networks, inputs, untrained)
    return chosen(chosen.Parameters(**parameters), setting)
