"""Students of synthetic teachers, and how far their uncertainties are from the truth."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from tests.recovery.teachers import CLASSES, SyntheticTeacher, inputs
from torch import Generator, Tensor, nn

from distillation_bench.bench.common.random_streams import torch_stream
from distillation_bench.bench.metrics.uncertainties import UNCERTAINTIES
from distillation_bench.bench.planning.recipe import Recipe
from distillation_bench.bench.training import student
from distillation_bench.bench.training.data import EvaluationSet, PreparedData
from distillation_bench.bench.training.teacher import Teacher
from distillation_bench.methods import METHODS, Method, Setting
from distillation_bench.methods.networks import network_builder
from distillation_bench.methods.predictions import Prediction
from distillation_bench.methods.tasks import TASKS

NETWORK = {"family": "mlp", "member": [64], "core": [64, 64], "head": [32]}
TEST = 400
"""Test inputs."""
PURE = {"a": 1.0, "temperature": 1.0, "perturbation": "none", "match": "distribution"}
"""Parameters, where a method has them, for which it learns the members' distribution alone."""


@dataclass(frozen=True)
class Size:
    """How much a student gets to learn from.

    Attributes:
        members: of the teacher.
        examples: of the training split.
        epochs: of training.
    """

    members: int
    examples: int
    epochs: int


SMALL, LARGE = Size(5, 128, 30), Size(50, 1024, 150)
"""The errors must fall from the one to the other."""


def errors(name: str, teacher: SyntheticTeacher, size: Size) -> dict[str, float]:
    """Return the error of each uncertainty, as a share of the mean of the true one.

    That is Σ_n |u_n − û_n| / Σ_n u_n over test inputs: 1 if a student has no such uncertainty.
    """
    x = inputs(TEST, seed=3)
    true, predicted = teacher.truth(x), _prediction(name, teacher, size, x)
    return {
        uncertainty: _relative_error(getattr(true, uncertainty), getattr(predicted, uncertainty))
        for uncertainty in UNCERTAINTIES
    }


def _relative_error(true: Tensor, predicted: Tensor) -> float:
    return float((true - predicted).abs().sum() / true.sum())


def _prediction(name: str, teacher: SyntheticTeacher, size: Size, x: Tensor) -> Prediction:
    """Train a student, and return its prediction for inputs."""
    inputs = student_inputs(name, teacher, size)
    network, _ = student.train_student(student.build(inputs), inputs)
    return student.predict(inputs, network, x, torch_stream(0, "recovery"))


def student_inputs(name: str, teacher: SyntheticTeacher, size: Size) -> student.StudentInputs:
    """Return what a student of a synthetic teacher is trained with."""
    train, validation = inputs(size.examples, seed=1), inputs(TEST, seed=2)
    members = teacher.members(
        torch.cat([train, validation]), size.members, Generator().manual_seed(7)
    ).float()
    outputs = {"train": members[:, : size.examples], "validation": members[:, size.examples :]}
    data = PreparedData(
        (train, _targets(teacher, train)),
        EvaluationSet("validation", validation, _targets(teacher, validation)),
        (),
        classes=CLASSES,
    )
    recipe = Recipe(
        members=size.members,
        epochs=size.epochs,
        batch_size=128,
        learning_rate=0.01,
        network=NETWORK,
    )
    return student.StudentInputs(
        method=_method(name, teacher, size, data),
        data=data,
        teacher=Teacher(outputs, {}),
        recipe=recipe,
        seed=0,
        dataset="recovery",
    )


def _targets(teacher: SyntheticTeacher, x: Tensor) -> Tensor:
    """Return targets [N], each drawn from a member of its own."""
    generator = Generator().manual_seed(len(x))
    members = teacher.members(x, 64, generator)
    chosen = members[torch.randint(64, (len(x),), generator=generator), torch.arange(len(x))]
    if teacher.task == "classification":
        return torch.multinomial(chosen.softmax(-1), 1, generator=generator)[:, 0]
    noise = torch.randn(len(x), generator=generator)
    return (chosen[:, 0] + (chosen[:, 1] / 2).exp() * noise).float()


def _method(name: str, teacher: SyntheticTeacher, size: Size, data: PreparedData) -> Method:
    method = METHODS[name]
    known: dict[str, Any] = {k: v for k, v in PURE.items() if k in method.Parameters.model_fields}
    outputs = CLASSES if teacher.task == "classification" else 2
    setting = Setting(
        task=TASKS[teacher.task],
        members=size.members,
        examples=size.examples,
        networks=network_builder(NETWORK, (2,), outputs),
        inputs=data.input_range,
        teacher=_no_networks,
    )
    return method(method.Parameters(**known), setting)


def _no_networks() -> nn.Module:
    raise NotImplementedError("a synthetic teacher has no networks")
