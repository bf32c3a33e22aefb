"""Ten training steps equal the original code's (hydra_plus, arXiv 2205.09526).

`original_code.csv` holds what its classes gave, once, in float64 on the problems below, from the
same weights and with the same noise: loss terms and the gradient's norm at each step. Its ε of 1e-8
inside logarithms and variances was left out, that of diversity kept; its KL terms of regression,
which leave the teacher's part out, have that constant added, as has its Gaussian likelihood.
"""

from __future__ import annotations

import csv
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import torch
from torch import Tensor, nn

from distillation_bench.bench.planning.recipe import Recipe
from distillation_bench.bench.training.data import EvaluationSet, PreparedData
from distillation_bench.bench.training.student import StudentInputs, train_student
from distillation_bench.bench.training.teacher import Teacher
from distillation_bench.datasets import DATASETS
from distillation_bench.methods import METHODS, InputRange, Method, Setting
from distillation_bench.methods.networks import network_builder
from distillation_bench.methods.tasks import TASKS

NUMBERS = Path(__file__).with_name("original_code.csv")
SEED, STEPS, MEMBERS = 0, 11, 5


class Problem(NamedTuple):
    """The networks and input size of a dataset, and the original code's values for it."""

    network: Mapping[str, Any]
    shape: tuple[int, ...]
    outputs: int
    examples: int
    rate: float
    temperature: float
    a: float
    hydra_plus: Mapping[str, Any]

    @property
    def task(self) -> str:
        """Return the name of the task."""
        return "regression" if self.outputs == 2 else "classification"


RESNET = {"family": "resnet", "member": [4], "core": [5, 6], "head": [4], "blocks": 2}
PROBLEMS = {
    "spiral": Problem(
        DATASETS["spiral"].network, (2,), 3, 24, 0.01, 3.0, 0.9, {"heads": 5, "lam": 9.0}
    ),
    "sine": Problem(
        DATASETS["sine"].network,
        (1,),
        2,
        24,
        0.05,
        1.0,
        0.9,
        {"heads": 5, "lam": 0.6, "correction": 1},
    ),
    "resnet": Problem(RESNET, (3, 8, 8), 10, 12, 0.01, 8.0, 0.95, {"heads": 3, "lam": 0.1}),
}
STUDENTS = ("hydra", "hydra+", "mc-dropout", "gauss", "endd")
CASES = [
    (name, student)
    for name in PROBLEMS
    for student in STUDENTS
    if (name, student) != ("sine", "endd")
]


def wave(*shape: int, phase: float = 0.0) -> Tensor:
    """Return irregular numbers in [-1, 1] that are the same on every machine."""
    places = torch.arange(math.prod(shape), dtype=torch.float64)
    return torch.sin(1.7 * places + 0.001 * places.square() + phase).view(shape)


def prepared(problem: Problem) -> tuple[PreparedData, Teacher]:
    """Training examples and the members' outputs on them."""
    x = 2 * wave(problem.examples, *problem.shape, phase=0.5)
    y = torch.arange(problem.examples) % problem.outputs
    targets = y if problem.task == "classification" else wave(problem.examples, phase=0.2)
    outputs = 1.5 * wave(MEMBERS, problem.examples, problem.outputs, phase=0.9)
    data = PreparedData((x, targets), EvaluationSet("validation", x, targets), ())
    return data, Teacher({"train": outputs}, {})


def method_of(problem: Problem, student: str) -> Method:
    """Return the method with the parameters of the original code."""
    parameters: dict[str, Any] = {"temperature": problem.temperature}
    if student == "hydra":
        parameters["phases"] = 1
    elif student == "hydra+":
        parameters |= {"a": problem.a, "b": 0.5, "normalise": False, **problem.hydra_plus}
    elif student == "endd":
        parameters["smoothing"] = 0.0
    else:
        parameters["a"] = problem.a
    networks = network_builder(problem.network, problem.shape, problem.outputs)
    method = METHODS[student]
    inputs = InputRange.of(torch.zeros(1, *problem.shape))
    setting = Setting(TASKS[problem.task], MEMBERS, problem.examples, networks, inputs, nn.Identity)
    return method(method.Parameters(**parameters), setting)


@torch.no_grad()
def student_of(method: Method) -> nn.Module:
    """Return the untrained student with fixed weights."""
    student = method.build(torch.Generator().manual_seed(0)).double()
    for number, (name, parameter) in enumerate(student.named_parameters()):
        values = wave(*parameter.shape, phase=float(number))
        if "log_variances" in name:
            parameter.copy_(-3 + 0.5 * values)
        elif "norm.weight" in name:
            parameter.copy_(1 + 0.3 * values)
        else:
            parameter.copy_(values / math.sqrt(parameter[0, 0].numel()))
    return student


def recipe_of(problem: Problem) -> Recipe:
    return Recipe(
        members=MEMBERS,
        epochs=STEPS,
        batch_size=problem.examples,
        learning_rate=problem.rate,
        student_weight_decay=1e-3,
    )


def original(problem: str, student: str) -> list[dict[str, float]]:
    """Return the values of the original code, one dictionary for each step."""
    with NUMBERS.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    selected = [
        row for row in rows if (row.pop("problem"), row.pop("student")) == (problem, student)
    ]
    return [{name: float(text) for name, text in row.items() if text} for row in selected]


@pytest.mark.parametrize("name, student", CASES)
def test_training_equals_that_of_the_original_code(name: str, student: str, float64: None) -> None:
    problem = PROBLEMS[name]
    data, teacher = prepared(problem)
    method = method_of(problem, student)
    inputs = StudentInputs(
        method=method,
        data=data,
        teacher=teacher,
        recipe=recipe_of(problem),
        seed=SEED,
        dataset=name,
    )
    _, history = train_student(student_of(method), inputs)
    expected = original(name, student)
    assert len(history) == len(expected) == STEPS
    for row, values in zip(history, expected, strict=True):
        assert row["epoch"] == values.pop("step")
        assert {term: row[term] for term in values} == pytest.approx(values, rel=1e-6, abs=1e-9)
