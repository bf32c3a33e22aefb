"""The student: built by its method, trained against the teacher, and its predictions."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor, nn

from distillation_bench.bench.common.random_streams import seed_global_streams, torch_stream
from distillation_bench.bench.training.augmentation import Augmentation
from distillation_bench.bench.training.optimization.checkpoints import Checkpoint, HistoryRow
from distillation_bench.bench.training.optimization.loop import (
    Epoch,
    Indices,
    Problem,
    train_network,
)
from distillation_bench.bench.training.teacher import Teacher, chunks
from distillation_bench.bench.training.training_inputs import TrainingInputs
from distillation_bench.methods.base import Batch, Method, Stage
from distillation_bench.methods.predictions import Prediction


def build(method: Method, seed: int, dataset: str) -> nn.Module:
    """Return the untrained student; all students of a seed start from the same random stream."""
    seed_global_streams(seed, dataset, "student", "weights")
    return method.build(torch_stream(seed, dataset, "student", "weights"))


@dataclass(frozen=True, kw_only=True)
class StudentInputs(TrainingInputs):
    """What a student is trained with.

    Attributes:
        method: with its parameters and its setting.
        teacher: the teacher's outputs on the data.
    """

    method: Method
    teacher: Teacher


def train_student(
    student: nn.Module, inputs: StudentInputs, checkpoint: Checkpoint | None = None
) -> list[HistoryRow]:
    """Train a student in place, stage by stage.

    Args:
        student: as `build` returned it.
        inputs: what it is trained with.
        checkpoint: stores the state; training continues from it.

    Returns:
        The history of all stages.

    Raises:
        ValueError: two stages have the same name.
        NonFinite: a loss term or the gradient is not finite.
    """
    stages = _stages(student, inputs)
    device = inputs.compute.device
    student.to(device)
    # In memory as networks return outputs: the examples of a class are adjacent.
    stored_outputs = inputs.teacher.outputs["train"].to(device).mT.contiguous().mT
    inputs = inputs.on_device()
    training = _StudentTraining(inputs, student, stored_outputs, _teacher_network(inputs))
    history = training.run(stages, checkpoint)
    student.eval()
    return history


def _stages(student: nn.Module, inputs: StudentInputs) -> Sequence[Stage]:
    """Return the stages of a student's training.

    Raises:
        ValueError: two stages have the same name.
    """
    stream = torch_stream(inputs.seed, inputs.dataset, "student", "stages")
    stages = inputs.method.stages(student, stream)
    names = [stage.name for stage in stages]
    if len(set(names)) < len(names):
        raise ValueError(f"stages of one name: {', '.join(names)}")
    return stages


def _teacher_network(inputs: StudentInputs) -> nn.Module | None:
    """Return the teacher's networks if inputs are augmented: they see the same images."""
    if not (inputs.recipe.views and inputs.method.taught):
        return None
    return inputs.method.setting.teacher().to(inputs.compute.device)


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
    inputs: StudentInputs, network: nn.Module, x: Tensor, stream: torch.Generator
) -> Prediction:
    """Return the prediction of a network for raw inputs x [N, ...], computed in chunks.

    Args:
        inputs: what the network was trained with.
        network: a student, or the network of a stage.
        x: raw inputs.
        stream: for samples and dropout.
    """
    method, compute = inputs.method, inputs.compute
    batches = (inputs.data.inputs(chunk, compute.device) for chunk in chunks(x))
    outputs = [compute.outputs(partial(method.forward, network, b, stream)) for b in batches]
    return method.predict(torch.cat(outputs, dim=1))


@torch.no_grad()
def predict_passes(
    inputs: StudentInputs, network: nn.Module, x: Tensor, count: int, stream: torch.Generator
) -> Prediction:
    """Return the prediction of the functions that a student consists of, for all of x at once.

    The arguments are those of `predict` and of `Method.passes`.
    """
    method, compute = inputs.method, inputs.compute
    batch = inputs.data.inputs(x, compute.device)
    return method.predict(compute.outputs(partial(method.passes, network, batch, count, stream)))


@dataclass(frozen=True)
class _StudentTraining:
    """The training of a student's stages.

    The teacher's outputs are the stored ones [M, N, K], unless its networks are given.
    """

    inputs: StudentInputs
    student: nn.Module
    stored_outputs: Tensor
    teacher: nn.Module | None

    def run(self, stages: Sequence[Stage], checkpoint: Checkpoint | None) -> list[HistoryRow]:
        """Train the stages in order, and return their history."""
        recipe = self.inputs.recipe
        of_teacher = self.inputs.method.recipe == "teacher"
        decay = recipe.weight_decay if of_teacher else recipe.student_weight_decay
        history: list[HistoryRow] = []
        for stage, start, epochs in _epochs_of(stages, recipe.epochs):
            rows = checkpoint.rows_of_finished(stage.name) if checkpoint else []
            if not rows and epochs:
                stage.network.to(self.inputs.compute.device)
                problem = self._problem(stage, start)
                rows = train_network(problem, recipe, epochs, decay, checkpoint, history)
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
            examples=self.inputs.data.examples,
            epoch=partial(self._epoch, stage, start),
            validation=partial(self._validation_loss, stage),
            undecayed=self.inputs.method.undecayed(stage.network),
            student=self.student if self.student is not stage.network else None,
        )

    def _epoch(self, stage: Stage, start: int, number: int) -> Epoch:
        """Return the loss terms of an epoch of a stage, and its order of examples."""
        data, recipe, method = self.inputs.data, self.inputs.recipe, self.inputs.method
        seed_global_streams(self.inputs.seed, self.inputs.dataset, "student", stage.name, number)
        # Schedules run over the whole training, across stages.
        now = method.parameters.at(start + number, recipe.epochs)
        noise = self._stream(stage, "noise", number)
        augment = Augmentation(recipe.views, data, self._stream(stage, "views", number))

        def terms(indices: Indices) -> Mapping[str, Tensor]:
            x, targets = augment(*data.batch(indices))
            taught = self._teacher_outputs(x, indices)
            batch = Batch(x, targets, taught, stage.network, stage.name)
            outputs = self.inputs.compute.outputs(partial(method.forward, stage.network, x, noise))
            return method.loss(outputs, batch, now)

        return Epoch(terms, partial(self._order, stage, number), method.weights(now))

    def _stream(self, stage: Stage, purpose: str, *epoch: int) -> torch.Generator:
        """Return a random stream on the device of the training."""
        inputs = self.inputs
        names: tuple[str | int, ...] = (inputs.dataset, "student", stage.name, purpose, *epoch)
        return torch_stream(inputs.seed, *names, device=inputs.compute.device)

    def _order(self, stage: Stage, number: int) -> Tensor:
        """Return the order [N] in which an epoch visits the training examples."""
        names = (self.inputs.dataset, "student", stage.name, "order", number)
        stream = torch_stream(self.inputs.seed, *names)
        order = torch.randperm(self.inputs.data.examples, generator=stream)
        return order.to(self.inputs.data.train[0].device)

    @torch.no_grad()
    def _teacher_outputs(self, x: Tensor, indices: Indices) -> Tensor:
        """Return the members' outputs [M, B, K] on a batch."""
        if self.teacher is None:
            return self.stored_outputs[:, indices]
        return self.inputs.compute.outputs(partial(self.teacher, x))

    def _validation_loss(self, stage: Stage) -> Tensor:
        """Return the negative log-likelihood on the validation split, [1]."""
        inputs, validation = self.inputs, self.inputs.data.validation
        assert validation.y is not None
        prediction = predict(inputs, stage.network, validation.x, self._stream(stage, "validation"))
        return -prediction.log_prob(validation.y.to(inputs.compute.device)).mean()[None]
