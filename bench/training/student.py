"""The student: built by its method, trained against the teacher, and its predictions."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, partial

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
from distillation_bench.methods.base import Batch, Examples, Method, Outputs, Stage
from distillation_bench.methods.predictions import Prediction


@dataclass(frozen=True, kw_only=True)
class StudentInputs(TrainingInputs):
    """What a student is trained with.

    Attributes:
        method: with its parameters and its setting.
        teacher: the teacher's outputs on the data.
    """

    method: Method
    teacher: Teacher


def build(inputs: StudentInputs, checkpoint: Checkpoint | None = None) -> nn.Module:
    """Return the untrained student; all students of a seed start from the same random stream.

    Args:
        inputs: what it is trained with. Their method gets what it fits, if that is not stored.
        checkpoint: of the training.
    """
    method, device = inputs.method, inputs.compute.device
    fitted = checkpoint.fitted if checkpoint else {}
    if not fitted and type(method).fit is not Method.fit:
        train = _examples(inputs, "train", *inputs.data.train)
        fitted = dict(method.fit(train, _stream_of(inputs, "fit", device)))
    method.fitted = {name: tensor.to(device) for name, tensor in fitted.items()}
    return method.build(_stream_of(inputs, "weights"))


def _stream_of(
    inputs: StudentInputs, purpose: str, device: torch.device | None = None
) -> torch.Generator:
    """Return the random stream of a hook; also seed the global streams, in case it draws there."""
    names = (inputs.dataset, "student", purpose)
    seed_global_streams(inputs.seed, *names)
    return torch_stream(inputs.seed, *names, device=device or torch.device("cpu"))


def _examples(inputs: StudentInputs, split: str, x: Tensor, y: Tensor) -> Examples:
    """Return a whole split, on the device of the training."""
    device = inputs.compute.device
    outputs = inputs.teacher.outputs[split].to(device)
    return Examples(inputs.data.inputs(x, device), y.to(device), outputs)


def train_student(
    student: nn.Module, inputs: StudentInputs, checkpoint: Checkpoint | None = None
) -> tuple[nn.Module, list[HistoryRow]]:
    """Train a student in place, stage by stage, and finish it.

    Args:
        student: as `build` returned it.
        inputs: what it is trained with.
        checkpoint: stores the state; training continues from it.

    Returns:
        The finished student, and the history of all stages.

    Raises:
        ValueError: two stages have the same name.
        NonFinite: a loss term or the gradient is not finite.
    """
    stages = _stages(student, inputs)
    device = inputs.compute.device
    student.to(device)
    # In memory as networks return outputs: the examples of a class are adjacent.
    stored_outputs = inputs.teacher.outputs["train"].to(device).mT.contiguous().mT
    training = _StudentTraining(inputs.on_device(), student, stored_outputs)
    history = training.run(stages, checkpoint)
    return _finished(student.eval(), inputs), history


def _finished(student: nn.Module, inputs: StudentInputs) -> nn.Module:
    """Return what a method makes of its trained student, in evaluation mode."""
    if type(inputs.method).finish is Method.finish:
        return student
    validation = inputs.data.validation
    assert validation.y is not None
    examples = _examples(inputs, "validation", validation.x, validation.y)
    seed_global_streams(inputs.seed, inputs.dataset, "student", "finish")
    return inputs.method.finish(student, examples).to(inputs.compute.device).eval()


def _stages(student: nn.Module, inputs: StudentInputs) -> Sequence[Stage]:
    """Return the stages of a student's training.

    Raises:
        ValueError: two stages have the same name.
    """
    stages = inputs.method.stages(student, _stream_of(inputs, "stages"))
    names = [stage.name for stage in stages]
    if len(set(names)) < len(names):
        raise ValueError(f"stages of one name: {', '.join(names)}")
    return stages


def epochs_of(stages: Sequence[Stage], epochs: int) -> Iterator[tuple[Stage, int, int]]:
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
    outputs = [compute.outputs(partial(method.infer, network, b, stream)) for b in batches]
    return method.predict(_joined(outputs))


def _joined(outputs: Sequence[Outputs]) -> Outputs:
    """Return the outputs of several batches as those of one; axis 1 is the batch."""
    if isinstance(outputs[0], Tensor):
        return torch.cat(list(outputs), dim=1)
    return tuple(torch.cat(parts, dim=1) for parts in zip(*outputs, strict=True))


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
    """The training of a student's stages, with the stored outputs of the teacher [M, N, K]."""

    inputs: StudentInputs
    student: nn.Module
    stored_outputs: Tensor

    def run(self, stages: Sequence[Stage], checkpoint: Checkpoint | None) -> list[HistoryRow]:
        """Train the stages in order, and return their history."""
        recipe = self.inputs.recipe
        of_teacher = self.inputs.method.recipe == "teacher"
        decay = recipe.weight_decay if of_teacher else recipe.student_weight_decay
        history: list[HistoryRow] = []
        for stage, start, epochs in epochs_of(stages, recipe.epochs):
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
            groups=self.inputs.method.groups(stage.network),
            student=self.student if self.student is not stage.network else None,
            fitted=self.inputs.method.fitted,
            predicts=stage.predicts,
        )

    def _epoch(self, stage: Stage, start: int, number: int) -> Epoch:
        """Return the loss terms of an epoch of a stage, and its order of examples."""
        data, recipe, method = self.inputs.data, self.inputs.recipe, self.inputs.method
        seed_global_streams(self.inputs.seed, self.inputs.dataset, "student", stage.name, number)
        # Schedules run over the whole training, across stages.
        now = method.parameters.at(start + number, recipe.epochs)
        noise = self._stream(stage, "noise", number)
        augment = Augmentation(recipe.views, data, self._stream(stage, "views", number))

        def answer(x: Tensor) -> Outputs:
            forward = partial(method.forward, stage.network, x, noise)
            return self.inputs.compute.outputs(forward)

        def terms(indices: Indices) -> Mapping[str, Tensor]:
            x, y = augment(*data.batch(indices))
            taught = self._teacher_outputs(x, indices)
            batch = Batch(x, y, taught, stage.network, stage.name, noise, self._ask, answer)
            return method.step(batch, now)

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
        if self.inputs.recipe.views and self.inputs.method.taught:
            return self._ask(x)
        return self.stored_outputs[:, indices]

    def _ask(self, x: Tensor) -> Tensor:
        """Return the members' outputs [M, B, K] on any inputs [B, ...]; differentiable."""
        outputs: Tensor = self.inputs.compute.outputs(partial(self._teacher, x))
        return outputs

    @cached_property
    def _teacher(self) -> nn.Module:
        """The teacher's networks, which are loaded when they are first asked."""
        teacher = self.inputs.method.setting.teacher()
        return teacher.to(self.inputs.compute.device).requires_grad_(False)

    def _validation_loss(self, stage: Stage) -> Tensor:
        """Return the negative log-likelihood on the validation split, [1]."""
        inputs, validation = self.inputs, self.inputs.data.validation
        assert validation.y is not None
        prediction = predict(inputs, stage.network, validation.x, self._stream(stage, "validation"))
        return -prediction.log_prob(validation.y.to(inputs.compute.device)).mean()[None]
