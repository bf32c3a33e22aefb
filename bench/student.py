"""A student: built by its method, trained on the teacher's outputs."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from bench.data import Prepared
from bench.randomness import seed_global_streams, torch_stream
from bench.recipe import Recipe
from bench.teacher import Teacher
from bench.training import Epoch, Indices, Problem, Row, train
from methods.base import Batch, Method, Stage


def build(method: Method, seed: int, dataset: str) -> nn.Module:
    """The untrained student; students of one seed start from the same stream."""
    seed_global_streams(seed, dataset, "student", "weights")
    return method.build(torch_stream(seed, dataset, "student", "weights"))


def train_student(
    method: Method,
    student: nn.Module,
    data: Prepared,
    teacher: Teacher,
    recipe: Recipe,
    seed: int,
    dataset: str,
) -> list[Row]:
    """Train in place, stage by stage; returns the history."""
    stages = method.stages(student, torch_stream(seed, dataset, "student", "stages"))
    decay = recipe.weight_decay if method.recipe == "teacher" else recipe.student_weight_decay
    history: list[Row] = []
    done = 0.0
    for stage in stages:
        # Rounded at the ends, so that the stages' epochs sum to the recipe's.
        epochs = round((done + stage.share) * recipe.epochs) - round(done * recipe.epochs)
        done += stage.share
        problem = _problem(method, stage, epochs, data, teacher, seed, dataset)
        history += train(problem, recipe, epochs, decay)
    student.eval()
    return history


def _problem(
    method: Method,
    stage: Stage,
    epochs: int,
    data: Prepared,
    teacher: Teacher,
    seed: int,
    dataset: str,
) -> Problem:
    names = (seed, dataset, "student", stage.name)
    seed_global_streams(*names)
    x, y = data.train
    outputs = teacher.outputs["train"]

    def epoch(number: int) -> Epoch:
        now = method.parameters.at(number, epochs)
        noise = torch_stream(*names, "noise", number)

        def terms(indices: Indices) -> Mapping[str, Tensor]:
            batch = Batch(x[indices], y[indices], outputs[:, indices], stage.network, stage.name)
            return method.loss(method.forward(stage.network, batch.x, noise), batch, now)

        def order() -> Tensor:
            return torch.randperm(len(x), generator=torch_stream(*names, "order", number))

        return Epoch(terms, order, method.weights(now))

    def validation() -> Tensor:
        held_out = data.validation
        assert held_out.y is not None
        stream = torch_stream(*names, "validation")
        predicted = method.forward(stage.network, held_out.x, stream)
        return -method.predict(predicted).log_prob(held_out.y).mean()[None]

    return Problem(
        stage=stage.name,
        network=stage.network,
        examples=len(x),
        epoch=epoch,
        validation=validation,
        undecayed=method.undecayed(stage.network),
    )
