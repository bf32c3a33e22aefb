"""The hooks of a method are called with what they promise, and what they give is used."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from tests.bench.training.plain_training import (
    networks_for,
    normal_numbers,
    prepared,
    recipe,
    student_inputs,
)
from torch import Generator, Tensor, nn

from distillation_bench.bench.planning.recipe import Recipe
from distillation_bench.bench.storage.cache import Cache
from distillation_bench.bench.training.data import EvaluationSet, PreparedData, Scaling
from distillation_bench.bench.training.evaluation import cost
from distillation_bench.bench.training.optimization.checkpoints import Checkpoint, HistoryRow
from distillation_bench.bench.training.student import StudentInputs, build, predict, train_student
from distillation_bench.bench.training.teacher import Teacher, chunks
from distillation_bench.methods import Batch, Examples, Method, Setting, Stage
from distillation_bench.methods.kd import KD
from distillation_bench.methods.networks.heads import CoreAndHeads
from distillation_bench.methods.predictions import Prediction, Samples
from distillation_bench.methods.tasks import TASKS

pytestmark = pytest.mark.usefixtures("one_thread")

EXAMPLES, MEMBERS = 12, 3
NETWORKS = networks_for("classification")


def members() -> nn.Module:
    return NETWORKS.members([Generator().manual_seed(m) for m in range(MEMBERS)]).eval()


def inputs_of(method: type[Method], values: Recipe | None = None) -> StudentInputs:
    """What a student of a method is trained with: a teacher of three untrained members."""
    data = prepared("classification", EXAMPLES)
    setting = Setting(
        TASKS["classification"], MEMBERS, EXAMPLES, NETWORKS, data.input_range, members
    )
    with torch.no_grad():
        teacher = members()
        outputs = {"train": teacher(data.train[0]), "validation": teacher(data.validation.x)}
    values = values or recipe(epochs=2)
    return student_inputs(method(method.Parameters(), setting), data, Teacher(outputs, {}), values)


def trained(inputs: StudentInputs, checkpoint: Checkpoint | None = None) -> nn.Module:
    return train_student(build(inputs, checkpoint), inputs, checkpoint)[0]


class Fitted(KD):
    """Shifts its outputs by the mean of the members' outputs on the training split."""

    calls = 0

    def fit(self, train: Examples, generator: Generator) -> Mapping[str, Tensor]:
        type(self).calls += 1
        assert train.teacher.shape == (MEMBERS, EXAMPLES, 3) and len(train.y) == EXAMPLES
        noise = torch.randn(3, generator=generator)
        return {"shift": train.teacher.mean((0, 1)) + noise, "count": torch.tensor(len(train.x))}

    def build(self, generator: Generator) -> nn.Module:
        assert set(self.fitted) == {"shift", "count"}
        return super().build(generator)

    def infer(self, network: nn.Module, x: Tensor, generator: Generator) -> Any:
        return self.forward(network, x, generator) + self.fitted["shift"]


def test_what_is_fitted_is_there_before_the_student_and_part_of_its_size() -> None:
    fitted, plain = inputs_of(Fitted), inputs_of(KD)
    network, other = trained(fitted), trained(plain)
    assert torch.equal(network.core.layers[0].weight, other.core.layers[0].weight)  # type: ignore[index, union-attr]
    x = fitted.data.train[0]
    sizes = [cost.counts(inputs.method, n, x) for inputs, n in ((fitted, network), (plain, other))]
    # Three float32 and an int64.
    assert sizes[0]["bytes"] == sizes[1]["bytes"] + 3 * 4 + 8
    assert sizes[0]["parameters"] == sizes[1]["parameters"]


class Killed(Exception):
    """Ends a training as a kill does."""


class Doomed(Checkpoint):
    """Saves every epoch, and ends the training after the first save."""

    def save(self, state: Mapping[str, Tensor], history: Sequence[HistoryRow]) -> None:
        super().save(state, history)
        raise Killed


def test_a_resumed_training_fits_nothing_again(tmp_path: Path) -> None:
    cache = Cache(tmp_path)
    Fitted.calls = 0
    inputs = inputs_of(Fitted, recipe(epochs=3))
    with pytest.raises(Killed):
        trained(inputs, Doomed(cache, "cell", 0))
    first = inputs.method.fitted
    assert Fitted.calls == 1
    resumed = inputs_of(Fitted, recipe(epochs=3))
    network = trained(resumed, Checkpoint(cache, "cell", 0))
    assert Fitted.calls == 1
    assert {name: value.tolist() for name, value in resumed.method.fitted.items()} == {
        name: value.tolist() for name, value in first.items()
    }
    expected = trained(inputs_of(Fitted, recipe(epochs=3)))
    for name, value in expected.state_dict().items():
        assert torch.equal(network.state_dict()[name], value)


class Adversarial(KD):
    """Trains on inputs where a member's probability is higher, found by its gradient."""

    seen: list[tuple[Tensor, Tensor]]

    def step(self, batch: Batch, now: Any) -> Mapping[str, Tensor]:
        x = batch.x.clone().requires_grad_()
        (gradient,) = torch.autograd.grad(batch.ask(x)[0].logsumexp(-1).sum(), x)
        moved = x.detach() + 0.1 * gradient.sign()
        with torch.no_grad():
            taught = batch.ask(moved)
        self.seen.append((moved, taught))
        noise = 0 * torch.randn(1, generator=batch.generator)[0]
        return {"aggregation": self.task.aggregation(batch.answer(moved), taught) + noise}


def test_a_step_asks_the_members_and_answers_anywhere() -> None:
    Adversarial.seen = []
    before = build(inputs_of(Adversarial)).state_dict()
    network = trained(inputs_of(Adversarial))
    teacher = members()
    assert len(Adversarial.seen) == 2
    for moved, taught in Adversarial.seen:
        assert torch.equal(taught, teacher(moved))
    assert not torch.equal(
        network.state_dict()["core.layers.0.weight"], before["core.layers.0.weight"]
    )


class Merged(KD):
    """Trains three heads, and keeps the mean of their weights."""

    given: Examples
    draws: list[float]

    def build(self, generator: Generator) -> nn.Module:
        return CoreAndHeads(
            self.setting.networks.core(generator), self.setting.networks.heads(3, generator)
        )

    def finish(self, student: nn.Module, validation: Examples) -> nn.Module:
        type(self).given = validation
        type(self).draws.append(torch.rand(1).item())
        assert isinstance(student, CoreAndHeads) and not student.training
        merged = CoreAndHeads(student.core, self.setting.networks.heads(1, Generator()))
        means = {name: value.mean(0, True) for name, value in student.heads.state_dict().items()}
        merged.heads.load_state_dict(means)
        return merged


def test_the_finished_network_is_evaluated_and_counted() -> None:
    Merged.draws = []
    inputs = inputs_of(Merged)
    network = trained(inputs)
    outputs = inputs.method.forward(network, inputs.data.train[0], Generator())
    assert len(outputs) == 1
    plain = inputs_of(KD)
    x = inputs.data.train[0]
    assert cost.counts(inputs.method, network, x) == cost.counts(plain.method, trained(plain), x)
    validation = inputs.data.validation
    assert torch.equal(Merged.given.x, validation.x)
    assert torch.equal(Merged.given.teacher, inputs.teacher.outputs["validation"])


def test_finishing_after_a_resumed_training_draws_the_same_numbers(tmp_path: Path) -> None:
    """A training may be resumed after its last epoch."""
    Merged.draws = []
    trained(inputs_of(Merged, recipe(epochs=1)))
    cache = Cache(tmp_path)
    with pytest.raises(Killed):
        trained(inputs_of(Merged, recipe(epochs=1)), Doomed(cache, "cell", 0))
    torch.manual_seed(99)
    trained(inputs_of(Merged, recipe(epochs=1)), Checkpoint(cache, "cell", 0))
    first, resumed = Merged.draws
    assert first == resumed


class TwoOutputs(KD):
    """Gives logits and a scale of other width, and predicts with three samples."""

    def infer(self, network: nn.Module, x: Tensor, generator: Generator) -> Any:
        logits = self.forward(network, x, generator)
        return logits, logits[..., :1].exp()

    def predict(self, outputs: Any) -> Prediction:
        logits, scale = outputs
        weight = torch.ones(3, 3)
        return Samples((logits + scale * torch.randn(3, 1, 1)) @ weight)


def test_outputs_of_any_number_and_width_are_joined_over_chunks_and_counted() -> None:
    inputs = inputs_of(TwoOutputs)
    network = trained(inputs)
    x = normal_numbers(600, 4, seed=9)
    assert len(chunks(x)) > 1
    prediction = predict(inputs, network, x, Generator())
    assert prediction.mean.shape == (600, 3)
    flops = cost.counts(inputs.method, network, x)
    plain = inputs_of(KD)
    of_plain = cost.counts(plain.method, network, x)
    # The product of three samples with the weight is a part of the prediction.
    assert flops["flops"] - of_plain["flops"] == 3 * 2 * 3 * 3
    assert flops["flops_core"] == of_plain["flops_core"]


class Unpredictive(KD):
    """Its first stage trains the core alone, which gives no prediction."""

    def stages(self, student: nn.Module, generator: Generator) -> Sequence[Stage]:
        assert isinstance(student, CoreAndHeads)
        return [
            Stage("core", student.core, 0.5, predicts=False),
            Stage("train", student, 0.5),
        ]

    def step(self, batch: Batch, now: Any) -> Mapping[str, Tensor]:
        if batch.stage == "core":
            return {"size": batch.answer(batch.x).square().mean()}
        return super().step(batch, now)


def test_a_stage_that_predicts_nothing_keeps_its_last_epoch() -> None:
    inputs = inputs_of(Unpredictive, recipe(epochs=6, select="validation"))
    _, history = train_student(build(inputs), inputs)
    measured = {row["stage"] for row in history if "validation_nll" in row}
    assert measured == {"train"}


def test_the_range_of_images_is_that_of_their_pixels() -> None:
    pixels = torch.randint(256, (5, 2, 8, 8), dtype=torch.uint8)
    pixels[0, :, 0, 0], pixels[1, :, 0, 0] = 0, 255
    scaling = Scaling(torch.tensor([0.4, 0.5]), torch.tensor([0.2, 0.3]))
    labels = torch.zeros(5, dtype=torch.int64)
    data = PreparedData((pixels, labels), EvaluationSet("validation", pixels, labels), (), scaling)
    unit = data.input_range.to_unit(data.inputs(pixels))
    torch.testing.assert_close(unit, pixels / 255, rtol=0, atol=1e-6)
    back = data.input_range.from_unit(unit)
    torch.testing.assert_close(back, data.inputs(pixels), rtol=0, atol=1e-5)
    assert data.input_range.shape == (2, 8, 8)


def test_the_range_of_other_inputs_is_that_of_the_training_split() -> None:
    x = torch.tensor([[1.0, 5.0], [3.0, 5.0], [2.0, 5.0]])
    data = PreparedData((x, torch.zeros(3)), EvaluationSet("validation", x), ())
    expected = torch.tensor([[0.0, 0.0], [1.0, 0.0], [0.5, 0.0]])
    assert torch.equal(data.input_range.to_unit(x), expected)
