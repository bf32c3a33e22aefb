"""The student: built by its method, trained against the teacher, and its predictions."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor, nn

from distillation_bench.bench.common.random_streams import seed_global_streams, torch_stream
from distillation_bench.bench.planning.recipe import Recipe
from distillation_bench.bench.training.augmentation import Augmentation
from distillation_bench.bench.training.checkpoints import Checkpoint, HistoryRow
from distillation_bench.bench.training.data import PreparedData
from distillation_bench.bench.training.hardware.compute import CPU, Compute
from distillation_bench.bench.training.loop import Epoch, Indices, Problem, train
from distillation_bench.bench.training.teacher import Teacher, chunks
from distillation_bench.methods.base import Batch, Method, Stage
from distillation_bench.methods.predictions import Prediction


def build(method: Method, seed: int, dataset: str) -> nn.Module:
    """Return the untrained student; all students of a seed start from the same random stream."""
    seed_global_streams(seed, dataset, "student", "weights")
    return method.build(torch_stream(seed, dataset, "student", "weights"))


def train_student(
    method: Method,
    student: nn.Module,
    data: PreparedData,
    teacher: Teacher,
    recipe: Recipe,
    seed: int,
    dataset: str,
    compute: Compute = CPU,
    checkpoint: Checkpoint | None = None,
) -> list[HistoryRow]:
    """Train a student in place, stage by stage.

    Args:
        method: its stages and losses.
        student: as `build` returned it.
        data: the training and validation splits.
        teacher: its outputs on the training split.
        recipe: of the training.
        seed: of the cell.
        dataset: its name in random streams.
        compute: device and precision.
        checkpoint: stores the state; training continues from it.

    Returns:
        The history of all stages.

    Raises:
        ValueError: two stages have the same name.
        NonFinite: a loss term or the gradient is not finite.
    """
    stages = method.stages(student, torch_stream(seed, dataset, "student", "stages"))
    names = [stage.name for stage in stages]
    if len(set(names)) < len(names):
        raise ValueError(f"stages of one name: {', '.join(names)}")
    student.to(compute.device)
    training = _StudentTraining(
        method=method,
        student=student,
        data=data.to(compute.device),
        # In memory as networks return outputs: the examples of a class are adjacent.
        stored_outputs=teacher.outputs["train"].to(compute.device).mT.contiguous().mT,
        teacher=_teacher_network(method, recipe, compute),
        recipe=recipe,
        seed=seed,
        dataset=dataset,
        compute=compute,
    )
    history = training.run(stages, checkpoint)
    student.eval()
    return history


def _teacher_network(method: Method, recipe: Recipe, compute: Compute) -> nn.Module | None:
    """Return the teacher's networks if inputs are augmented: they see the same images."""
    if not (recipe.views and method.taught):
        return None
    return method.setting.teacher().to(compute.device)


def _epochs_of(stages: Sequence[Stage], epochs: int) -> Iterator[tuple[Stage, int, int]]:
    """Yield each stage, the number of epochs before it, and its own number of epochs."""
    end = 0.0
    for stage in stages:
        # Both ends are rounded, so that the epochs of the stages sum to those of the recipe.
        start = round(end * epochs)
        end += stage.share
        yield stage, start, round(end * epochs) - start


@torch.no_grad()
def predict(
    method: Method,
    network: nn.Module,
    data: PreparedData,
    x: Tensor,
    stream: torch.Generator,
    compute: Compute = CPU,
) -> Prediction:
    """Return the prediction of a network for raw inputs x [N, ...], computed in chunks.

    Args:
        method: makes outputs and the prediction from them.
        network: a student, or the network of a stage.
        data: normalises the inputs.
        x: raw inputs.
        stream: for samples and dropout.
        compute: device and precision.
    """
    inputs = (data.inputs(chunk, compute.device) for chunk in chunks(x))
    outputs = [compute.outputs(partial(method.forward, network, chunk, stream)) for chunk in inputs]
    return method.predict(torch.cat(outputs, dim=1))


@dataclass(frozen=True)
class _StudentTraining:
    """The training of a student's stages.

    The teacher's outputs are the stored ones [M, N, K], unless its networks are given.
    """

    method: Method
    student: nn.Module
    data: PreparedData
    stored_outputs: Tensor
    teacher: nn.Module | None
    recipe: Recipe
    seed: int
    dataset: str
    compute: Compute

    def run(self, stages: Sequence[Stage], checkpoint: Checkpoint | None) -> list[HistoryRow]:
        """Train the stages in order, and return their history."""
        recipe = self.recipe
        of_teacher = self.method.recipe == "teacher"
        decay = recipe.weight_decay if of_teacher else recipe.student_weight_decay
        history: list[HistoryRow] = []
        for stage, start, epochs in _epochs_of(stages, recipe.epochs):
            rows = checkpoint.rows_of_finished(stage.name) if checkpoint else []
            if not rows and epochs:
                stage.network.to(self.compute.device)
                problem = self._problem(stage, start)
                rows = train(problem, recipe, epochs, decay, checkpoint, history)
            history += rows
        return history

    def _problem(self, stage: Stage, start: int) -> Problem:
        """Return what a stage minimises.

        Args:
            stage: of the student.
            start: number of epochs before the stage.
        """
        return Problem(
            stage=stage.name,
            network=stage.network,
            examples=self.data.examples,
            epoch=partial(self._epoch, stage, start),
            validation=partial(self._validation_loss, stage),
            undecayed=self.method.undecayed(stage.network),
            student=self.student if self.student is not stage.network else None,
        )

    def _epoch(self, stage: Stage, start: int, number: int) -> Epoch:
        """Return the loss terms of an epoch of a stage, and its order of examples."""
        seed_global_streams(self.seed, self.dataset, "student", stage.name, number)
        # Schedules run over the whole training, across stages.
        now = self.method.parameters.at(start + number, self.recipe.epochs)
        noise = self._stream(stage, "noise", number)
        views = self._stream(stage, "views", number)
        augment = Augmentation(self.recipe.views, self.data, views)

        def terms(indices: Indices) -> Mapping[str, Tensor]:
            inputs, targets = augment(*self.data.batch(indices))
            taught = self._teacher_outputs(inputs, indices)
            batch = Batch(inputs, targets, taught, stage.network, stage.name)
            forward = partial(self.method.forward, stage.network, inputs, noise)
            return self.method.loss(self.compute.outputs(forward), batch, now)

        return Epoch(terms, partial(self._order, stage, number), self.method.weights(now))

    def _stream(self, stage: Stage, purpose: str, *epoch: int) -> torch.Generator:
        """Return a random stream on the device of the training."""
        names: tuple[str | int, ...] = (self.dataset, "student", stage.name, purpose, *epoch)
        return torch_stream(self.seed, *names, device=self.compute.device)

    def _order(self, stage: Stage, number: int) -> Tensor:
        """Return the order [N] in which an epoch visits the training examples."""
        stream = torch_stream(self.seed, self.dataset, "student", stage.name, "order", number)
        order = torch.randperm(self.data.examples, generator=stream)
        return order.to(self.data.train[0].device)

    @torch.no_grad()
    def _teacher_outputs(self, inputs: Tensor, indices: Indices) -> Tensor:
        """Return the members' outputs [M, B, K] on a batch."""
        if self.teacher is None:
            return self.stored_outputs[:, indices]
        return self.compute.outputs(partial(self.teacher, inputs))

    def _validation_loss(self, stage: Stage) -> Tensor:
        """Return the negative log-likelihood on the validation split, [1]."""
        validation = self.data.validation
        assert validation.y is not None
        stream = self._stream(stage, "validation")
        arguments = (self.method, stage.network, self.data, validation.x, stream, self.compute)
        prediction = predict(*arguments)
        return -prediction.log_prob(validation.y.to(self.compute.device)).mean()[None]
