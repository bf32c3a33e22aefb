"""A student: built by its method, trained on the teacher's outputs."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial

import torch
from torch import Tensor, nn

from distillation_bench.bench.common.random_streams import seed_global_streams, torch_stream
from distillation_bench.bench.planning.recipe import Recipe
from distillation_bench.bench.training.augmentation import Views
from distillation_bench.bench.training.checkpoints import Checkpoint, HistoryRow
from distillation_bench.bench.training.data import PreparedData
from distillation_bench.bench.training.hardware.compute import CPU, Compute
from distillation_bench.bench.training.loop import Epoch, Indices, Problem, train
from distillation_bench.bench.training.teacher import Teacher, chunks
from distillation_bench.methods.base import Batch, Method, Stage
from distillation_bench.methods.predictions import Prediction


def build(method: Method, seed: int, dataset: str) -> nn.Module:
    """The untrained student; students of one seed start from the same stream."""
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
    """Train in place, stage by stage; returns the history."""
    stages = method.stages(student, torch_stream(seed, dataset, "student", "stages"))
    decay = recipe.weight_decay if method.recipe == "teacher" else recipe.student_weight_decay
    names = [stage.name for stage in stages]
    if len(set(names)) < len(names):
        raise ValueError(f"stages of one name: {', '.join(names)}")
    student.to(compute.device)
    training = _Training(method, data.to(compute.device), teacher, recipe, (seed, dataset), compute)
    history: list[HistoryRow] = []
    done = 0.0
    for stage in stages:
        # Rounded at the ends, so that the stages' epochs sum to the recipe's.
        start = round(done * recipe.epochs)
        done += stage.share
        epochs = round(done * recipe.epochs) - start
        rows = checkpoint.finished(stage.name) if checkpoint else []
        if not rows and epochs:
            stage.network.to(compute.device)
            problem = training.problem(stage, start, student)
            rows = train(problem, recipe, epochs, decay, checkpoint, history)
        history += rows
    student.eval()
    return history


@torch.no_grad()
def predict(
    method: Method,
    network: nn.Module,
    data: PreparedData,
    x: Tensor,
    stream: torch.Generator,
    compute: Compute = CPU,
) -> Prediction:
    """The prediction on raw inputs x [N, ...], in chunks of fixed size."""
    inputs = (data.inputs(chunk, compute.device) for chunk in chunks(x))
    outputs = [compute.outputs(partial(method.forward, network, each, stream)) for each in inputs]
    return method.predict(torch.cat(outputs, dim=1))


class _Training:
    """What the stages of a student's training have in common."""

    def __init__(
        self,
        method: Method,
        data: PreparedData,
        teacher: Teacher,
        recipe: Recipe,
        names: tuple[int, str],
        compute: Compute,
    ) -> None:
        self.method = method
        self.data = data
        self.recipe = recipe
        self.names = names
        self.compute = compute
        # In memory as networks give their own: the examples of a class next to one another.
        self.outputs = teacher.outputs["train"].to(compute.device).mT.contiguous().mT
        # With augmented inputs the teacher is run on the very same view.
        again = recipe.views and method.taught
        self.teacher = method.setting.teacher().to(compute.device) if again else None

    def problem(self, stage: Stage, start: int, student: nn.Module) -> Problem:
        """What a stage of the student minimises; it begins after `start` epochs of training."""
        method, (seed, dataset), compute = self.method, self.names, self.compute
        names = (dataset, "student", stage.name)
        x = self.data.train[0]

        def epoch(number: int) -> Epoch:
            seed_global_streams(seed, *names, number)
            # Schedules run over the whole training, whatever its stages.
            now = method.parameters.at(start + number, self.recipe.epochs)
            noise = torch_stream(seed, *names, "noise", number, device=compute.device)
            stream = torch_stream(seed, *names, "views", number, device=compute.device)
            view = Views(self.recipe.views, self.data, stream)

            def terms(indices: Indices) -> Mapping[str, Tensor]:
                inputs, targets = view(*self.data.batch(indices))
                taught = self.taught(inputs, indices)
                batch = Batch(inputs, targets, taught, stage.network, stage.name)
                outputs = compute.outputs(lambda: method.forward(stage.network, inputs, noise))
                return method.loss(outputs, batch, now)

            def order() -> Tensor:
                stream = torch_stream(seed, *names, "order", number)
                return torch.randperm(len(x), generator=stream).to(x.device)

            return Epoch(terms, order, method.weights(now))

        def validation() -> Tensor:
            held_out = self.data.validation
            assert held_out.y is not None
            stream = torch_stream(seed, *names, "validation", device=compute.device)
            prediction = predict(method, stage.network, self.data, held_out.x, stream, compute)
            return -prediction.log_prob(held_out.y.to(compute.device)).mean()[None]

        return Problem(
            stage=stage.name,
            network=stage.network,
            examples=len(x),
            epoch=epoch,
            validation=validation,
            undecayed=method.undecayed(stage.network),
            student=student if student is not stage.network else None,
        )

    @torch.no_grad()
    def taught(self, inputs: Tensor, indices: Indices) -> Tensor:
        """The members' outputs [M, B, K] on a batch."""
        if self.teacher is None:
            return self.outputs[:, indices]
        teacher = self.teacher
        return self.compute.outputs(lambda: teacher(inputs))
