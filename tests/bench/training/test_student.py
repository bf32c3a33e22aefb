"""Students equal students trained with torch.optim; stages, schedules and decays."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from tests.bench.training.plain_training import (
    SIZES,
    assert_same_layers,
    descend,
    layers_of,
    networks_for,
    normal_numbers,
    orders_of,
    perceptron,
    prepared,
    recipe,
    student_inputs,
)
from torch import Tensor, nn
from torch.nn import functional

from distillation_bench.bench.planning.recipe import Recipe
from distillation_bench.bench.training.optimization.checkpoints import HistoryRow
from distillation_bench.bench.training.student import build, train_student
from distillation_bench.bench.training.teacher import Teacher
from distillation_bench.methods import METHODS, Batch, InputRange, Method, Setting, parameter
from distillation_bench.methods.hydra import Hydra
from distillation_bench.methods.networks.heads import CoreAndHeads
from distillation_bench.methods.networks.mlp import MLPBuilder
from distillation_bench.methods.schedules import Coefficient
from distillation_bench.methods.tasks import TASKS

pytestmark = pytest.mark.usefixtures("one_thread")


@SIZES
def test_a_student_equals_one_trained_with_torch_optim(examples: int, float64: None) -> None:
    """kd, 0.1 CE + 0.9 T² KL at T = 2, with the students' own decay."""
    data, networks, values = (
        prepared("classification", examples),
        networks_for("classification"),
        recipe(),
    )
    method = student_method("kd", networks, a=0.9, temperature=2.0)
    teacher = Teacher({"train": normal_numbers(3, examples, 3, seed=4)}, {})
    inputs = student_inputs(method, data, teacher, values)
    student = build(inputs)
    assert isinstance(student, CoreAndHeads)
    model = perceptron([*layers_of(student.core, 0), *layers_of(student.heads, 0)])
    train_student(student, inputs)

    x, y = data.train
    soft = (teacher.outputs["train"] / 2).softmax(-1).mean(0)

    def loss(indices: Tensor) -> Tensor:
        z = model(x[indices])
        divergence = functional.kl_div(
            (z / 2).log_softmax(-1), soft[indices], reduction="batchmean"
        )
        return 0.1 * functional.cross_entropy(z, y[indices]) + 0.9 * 4 * divergence

    orders = orders_of(examples, values, "student", "train")
    descend(model, loss, orders, values, values.student_weight_decay)
    assert_same_layers(model, [*layers_of(student.core, 0), *layers_of(student.heads, 0)])


# Stages


def student_method(name: str, networks: MLPBuilder, **parameters: Any) -> Any:
    method = METHODS[name]

    def absent() -> nn.Module:
        raise AssertionError("this student needs no network of the teacher")

    return method(method.Parameters(**parameters), setting_with(networks, absent))


def setting_with(networks: MLPBuilder, teacher: Callable[[], nn.Module]) -> Setting:
    inputs = InputRange.of(normal_numbers(12, *networks.shape, seed=5))
    return Setting(TASKS["classification"], 3, 12, networks, inputs, teacher)


def hydra_history(epochs: int, first: float) -> list[HistoryRow]:
    method = student_method("hydra", networks_for("classification"), first=first)
    return trained(method, recipe(epochs=epochs))[1]


def trained(method: Method, values: Recipe) -> tuple[nn.Module, list[HistoryRow]]:
    """Train a student on twelve examples."""
    teacher = Teacher({"train": normal_numbers(3, 12, 3, seed=4)}, {})
    inputs = student_inputs(method, prepared("classification", 12), teacher, values)
    return train_student(build(inputs), inputs)


@pytest.mark.parametrize("epochs", [1, 2, 5, 7, 12])
@pytest.mark.parametrize("first", [0.1, 0.3, 0.5, 0.9])
def test_two_stages_share_the_epochs(epochs: int, first: float) -> None:
    history = hydra_history(epochs, first)
    assert len(history) == epochs
    hinton = [row for row in history if row["stage"] == "hinton"]
    assert abs(len(hinton) - first * epochs) <= 0.5
    second = history[len(hinton) :]
    assert {row["stage"] for row in second} <= {"train"}
    for stage, term in ((hinton, "aggregation"), (second, "individuality")):
        assert [row["epoch"] for row in stage] == list(range(len(stage)))
        assert all(term in row and row["learning_rate"] for row in stage)
        assert not stage or stage[0]["learning_rate"] == 0.05


def test_a_stage_without_epochs_selects_no_epoch() -> None:
    """One epoch for two stages: the untrained part stays as it was built."""
    method = student_method("hydra", networks_for("classification"), first=0.1)
    student, history = trained(method, recipe(epochs=1, select="validation"))
    assert [row["stage"] for row in history] == ["train"]
    assert all(value.isfinite().all() for value in student.state_dict().values())


def test_schedules_run_over_the_whole_training() -> None:
    """A new stage does not restart schedules: they go by the epoch of the whole training."""
    coefficients: list[tuple[str, float]] = []

    class Scheduled(Hydra):
        class Parameters(Hydra.Parameters):
            extra: Coefficient = parameter("linear(0, 1, 0, 5)", "on a schedule")

        def loss(self, outputs: Tensor, batch: Batch, now: Any) -> Any:
            coefficients.append((batch.stage, now.extra))
            return super().loss(outputs, batch, now)

    networks = networks_for("classification")
    method = Scheduled(Scheduled.Parameters(first=0.4), setting_with(networks, nn.Module))
    trained(method, recipe(epochs=5))
    stages = ["hinton"] * 2 + ["train"] * 3
    assert [stage for stage, _ in coefficients] == stages
    assert [value for _, value in coefficients] == pytest.approx([epoch / 5 for epoch in range(5)])


@pytest.mark.parametrize(
    "name, decay, spared",
    [
        ("single", "weight_decay", ()),
        ("kd", "student_weight_decay", ()),
        ("gauss", "student_weight_decay", ("last.", "log_variances.")),
    ],
)
def test_decay_is_that_of_the_recipe_or_the_method(
    name: str, decay: str, spared: tuple[str, ...]
) -> None:
    """Decay outweighs the loss, so Adam's first step moves each weight towards 0 by the rate."""
    method = student_method(name, networks_for("classification"))
    teacher = Teacher({"train": normal_numbers(3, 12, 3, seed=4)}, {})
    values = recipe(**{"weight_decay": 0.0, "student_weight_decay": 0.0, decay: 1e6}, epochs=1)
    inputs = student_inputs(method, prepared("classification", 12), teacher, values)
    student = build(inputs)
    before = {key: value.clone() for key, value in student.state_dict().items()}
    train_student(student, inputs)
    for key, value in student.state_dict().items():
        moved = value - before[key]
        towards_zero = torch.allclose(moved, -0.05 * before[key].sign(), rtol=0, atol=5e-3)
        assert towards_zero != key.startswith(spared)
