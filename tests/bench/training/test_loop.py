from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np
import pytest
import torch
from torch import Generator, Tensor, nn
from torch.nn import functional
from torch.optim.lr_scheduler import CosineAnnealingLR

from distillation_bench.bench.common.random_streams import torch_stream
from distillation_bench.bench.planning.recipe import Recipe
from distillation_bench.bench.training.checkpoints import HistoryRow
from distillation_bench.bench.training.data import EvaluationSet, PreparedData
from distillation_bench.bench.training.loop import Epoch, Indices, NonFinite, Problem, train
from distillation_bench.bench.training.student import build, train_student
from distillation_bench.bench.training.teacher import Teacher, train_members
from distillation_bench.methods import METHODS, Batch, Setting, parameter
from distillation_bench.methods.hydra import Hydra
from distillation_bench.methods.networks import network_builder
from distillation_bench.methods.networks.heads import CoreAndHeads
from distillation_bench.methods.networks.mlp import BatchedMLP, MLPBuilder
from distillation_bench.methods.schedules import Coefficient
from distillation_bench.methods.tasks import TASKS

SEED, DATASET = 5, "some"
OUTPUTS = {"classification": 3, "regression": 2}

BOTH = pytest.mark.parametrize("task", list(OUTPUTS))
SIZES = pytest.mark.parametrize("examples", [12, 16, 41])
"""Fewer than, as many as and more than a batch of 16, with a smaller last batch."""


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """As a worker has."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def recipe(**given: Any) -> Recipe:
    values = {"epochs": 4, "batch_size": 16, "learning_rate": 0.05, "clip": 0.1}
    decays = {"weight_decay": 0.03, "student_weight_decay": 0.02}
    return Recipe.model_validate({**values, **decays, **given})


def drawn(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=Generator().manual_seed(seed))


def targets(task: str, *shape: int, seed: int = 1) -> Tensor:
    numbers = drawn(*shape, seed=seed)
    return (numbers.abs() * 100).long() % 3 if task == "classification" else numbers


def prepared(task: str, examples: int, inputs: int = 4) -> PreparedData:
    held_out = EvaluationSet("validation", drawn(9, inputs, seed=2), targets(task, 9, seed=3))
    return PreparedData((drawn(examples, inputs), targets(task, examples)), held_out, ())


def networks_for(task: str, width: int = 6, inputs: int = 4) -> MLPBuilder:
    described = {"family": "mlp", "member": [width, width], "core": [5], "head": [7]}
    networks = network_builder(described, (inputs,), OUTPUTS[task])
    assert isinstance(networks, MLPBuilder)
    return networks


# --- the same training, written plainly ----------------------------------------------------------


def perceptron(layers: Sequence[tuple[Tensor, Tensor]]) -> nn.Sequential:
    """Plain layers with ReLU between, from weights [outputs, inputs] and biases."""
    modules: list[nn.Module] = []
    for weight, bias in layers:
        linear = nn.Linear(*weight.T.shape)
        with torch.no_grad():
            linear.weight.copy_(weight)
            linear.bias.copy_(bias.flatten())
        modules += [linear, nn.ReLU()]
    return nn.Sequential(*modules[:-1])


def layers_of(module: nn.Module, network: int) -> list[tuple[Tensor, Tensor]]:
    """Weights and biases of one network of a batched perceptron, layer by layer."""
    assert isinstance(module, BatchedMLP)
    state = module.state_dict()
    return [
        (state[f"layers.{i}.weight"][network], state[f"layers.{i}.bias"][network])
        for i in range(len(module.layers))
    ]


def descend(
    model: nn.Module,
    loss: Callable[[Tensor], Tensor],
    orders: Sequence[Tensor],
    values: Recipe,
    decay: float,
) -> list[float]:
    """torch.optim's Adam with L2 in the loss, clipping and a cosine; the gradients' norms."""
    adam = torch.optim.Adam(model.parameters(), values.learning_rate)
    cosine = CosineAnnealingLR(adam, len(orders))
    norms = []
    for order in orders:
        for indices in torch.split(order, values.batch_size):
            adam.zero_grad()
            squares = torch.stack([p.square().sum() for p in model.parameters()]).sum()
            (loss(indices) + decay / 2 * squares).backward()  # type: ignore[no-untyped-call]
            norms.append(nn.utils.clip_grad_norm_(model.parameters(), values.clip).item())
            adam.step()
        cosine.step()
    return norms


def plain_loss(task: str, model: nn.Module, x: Tensor, y: Tensor, indices: Tensor) -> Tensor:
    outputs = model(x[indices])
    if task == "classification":
        return functional.cross_entropy(outputs, y[indices])
    return functional.gaussian_nll_loss(outputs[:, 0], y[indices], outputs[:, 1].exp())


def orders_of(examples: int, values: Recipe, *names: str | int) -> list[Tensor]:
    """Of each epoch; a data set within one batch has none."""
    if examples <= values.batch_size:
        return [torch.arange(examples)] * values.epochs
    return [
        torch.randperm(examples, generator=torch_stream(SEED, DATASET, *names, "order", epoch))
        for epoch in range(values.epochs)
    ]


def assert_same_layers(model: nn.Sequential, layers: Sequence[tuple[Tensor, Tensor]]) -> None:
    linears = [module for module in model if isinstance(module, nn.Linear)]
    for linear, (weight, bias) in zip(linears, layers, strict=True):
        torch.testing.assert_close(linear.weight.detach(), weight, rtol=0, atol=1e-9)
        torch.testing.assert_close(linear.bias.detach(), bias.flatten(), rtol=0, atol=1e-9)


@BOTH
@SIZES
def test_members_equal_networks_trained_one_by_one(task: str, examples: int, float64: None) -> None:
    data, networks, values = prepared(task, examples), networks_for(task), recipe()
    members = [0, 3, 4]
    network, _ = train_members(members, data, TASKS[task], networks, values, SEED, DATASET)
    arrays = network.state_dict()
    x, y = data.train
    for place, member in enumerate(members):
        stream = torch_stream(SEED, DATASET, "teacher", member, "weights")
        model = perceptron(layers_of(networks.members([stream]), 0))
        norms = descend(
            model,
            partial(plain_loss, task, model, x, y),
            orders_of(examples, values, "teacher", member),
            values,
            values.weight_decay,
        )
        assert max(norms) > values.clip
        trained = [
            (
                arrays[f"layers.{layer}.weight"][place],
                arrays[f"layers.{layer}.bias"][place],
            )
            for layer in range(3)
        ]
        assert_same_layers(model, trained)


@SIZES
def test_a_student_equals_one_trained_plainly(examples: int, float64: None) -> None:
    """kd, 0.1 CE + 0.9 T² KL at T = 2, with the students' own decay."""
    data, networks, values = (
        prepared("classification", examples),
        networks_for("classification"),
        recipe(),
    )
    method = student_method("kd", networks, a=0.9, temperature=2.0)
    student = build(method, SEED, DATASET)
    assert isinstance(student, CoreAndHeads)
    model = perceptron([*layers_of(student.core, 0), *layers_of(student.heads, 0)])
    teacher = Teacher({"train": drawn(3, examples, 3, seed=4)}, {})
    train_student(method, student, data, teacher, values, SEED, DATASET)

    x, y = data.train
    soft = (teacher.outputs["train"] / 2).softmax(-1).mean(0)

    def loss(indices: Tensor) -> Tensor:
        z = model(x[indices])
        gap = functional.kl_div((z / 2).log_softmax(-1), soft[indices], reduction="batchmean")
        return 0.1 * functional.cross_entropy(z, y[indices]) + 0.9 * 4 * gap

    orders = orders_of(examples, values, "student", "train")
    descend(model, loss, orders, values, values.student_weight_decay)
    assert_same_layers(model, [*layers_of(student.core, 0), *layers_of(student.heads, 0)])


# --- members don't know of each other ------------------------------------------------------------


def trained_apart(x: Tensor, y: Tensor, values: Recipe) -> dict[str, Tensor]:
    """A batch of networks, each on rows of its own: x [M, N, 4], y [M, N]."""
    network = networks_for("classification").members(
        [Generator().manual_seed(m) for m in range(len(x))]
    )
    rows = torch.arange(len(x))[:, None]

    def terms(indices: Indices) -> Mapping[str, Tensor]:
        own = (slice(None), indices) if isinstance(indices, slice) else (rows, indices)
        losses = functional.cross_entropy(network(x[own]).mT, y[own], reduction="none")
        return {"correctness": losses.mean(1)}

    def epoch(number: int) -> Epoch:
        streams = [Generator().manual_seed(100 * m + number) for m in range(len(x))]
        return Epoch(
            terms,
            lambda: torch.stack([torch.randperm(x.shape[1], generator=s) for s in streams]),
        )

    def validation() -> Tensor:
        return terms(slice(None))["correctness"]

    problem = Problem("teacher", network, x.shape[1], epoch, validation, batched=True)
    train(problem, values, values.epochs, values.weight_decay)
    return dict(network.state_dict())


@SIZES
@pytest.mark.parametrize("select", ["last", "validation"])
def test_one_members_data_changes_no_bit_of_another(examples: int, select: str) -> None:
    x, y = drawn(4, examples, 4), targets("classification", 4, examples)
    one = trained_apart(x, y, recipe(select=select))
    changed = x.clone()
    changed[2] = 50 * changed[2] + 3
    other = trained_apart(
        changed, y.clone().index_fill_(0, torch.tensor([2]), 1), recipe(select=select)
    )
    for name in one:
        for member in (0, 1, 3):
            assert torch.equal(one[name][member], other[name][member])
        assert not torch.equal(one[name][2], other[name][2])


@BOTH
@pytest.mark.parametrize("select", ["last", "validation"])
@pytest.mark.parametrize(
    "examples, batch, width, inputs",
    [
        *((12, 16, 6, 4), (41, 16, 6, 4), (300, 128, 64, 4)),
        # Slices that begin anywhere: odd inputs, widths and batches.
        *((41, 15, 33, 1), (50, 33, 50, 1), (41, 15, 33, 2), (70, 33, 50, 3), (45, 64, 33, 3)),
    ],
)
def test_bits_are_the_same_however_the_ensemble_is_cut(
    task: str, select: str, examples: int, batch: int, width: int, inputs: int
) -> None:
    data, networks = prepared(task, examples, inputs), networks_for(task, width, inputs)
    values = recipe(batch_size=batch, select=select, epochs=3)

    def trained(*pieces: Sequence[int]) -> dict[int, dict[str, bytes]]:
        weights = {}
        for piece in pieces:
            network, _ = train_members(piece, data, TASKS[task], networks, values, SEED, DATASET)
            arrays = {name: each.numpy() for name, each in network.state_dict().items()}
            for place, member in enumerate(piece):
                weights[member] = {name: a[place].tobytes() for name, a in arrays.items()}
        return weights

    whole = trained(range(7))
    assert len({member["layers.0.weight"] for member in whole.values()}) == 7
    assert trained(range(3), range(3, 7)) == whole
    assert trained(*([member] for member in range(7))) == whole
    assert trained([6, 1, 4], [5], [3, 0, 2]) == whole


# --- what goes wrong is named --------------------------------------------------------------------


class Weights(nn.Module):
    """Nothing but weights, one row per network."""

    def __init__(self, networks: int) -> None:
        super().__init__()
        self.row = nn.Parameter(drawn(networks, 3))
        self.free = nn.Parameter(drawn(networks, 3, seed=1))


Terms = Callable[[int, int, Indices], Mapping[str, Tensor]]


def scripted(
    network: Weights,
    terms: Terms,
    validation: Callable[[], Tensor] | None = None,
    weights: Mapping[str, float] | None = None,
    **given: Any,
) -> Problem:
    """A problem of 40 examples whose terms know their epoch and step."""

    def epoch(number: int) -> Epoch:
        steps = iter(range(100))
        return Epoch(
            lambda indices: terms(number, next(steps), indices),
            lambda: torch.arange(40).expand(len(network.row), 40),
            weights or {},
        )

    def unasked() -> Tensor:
        raise AssertionError("validation is asked only to select an epoch")

    return Problem("second", network, 40, epoch, validation or unasked, **given)


def sizes(network: Weights, indices: Indices) -> Tensor:
    """A loss of each network."""
    return network.row.square().mean(1) + network.free.square().mean(1)


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("networks", [1, 3])
def test_a_term_that_is_no_number_is_named(value: float, networks: int) -> None:
    """One network of a batch is enough; the first step and the cause are named."""
    network = Weights(networks)

    def terms(epoch: int, step: int, indices: Indices) -> Mapping[str, Tensor]:
        bad = torch.zeros(networks)
        bad[-1] = value if (epoch, step) == (2, 1) else 0.0
        loss = sizes(network, indices)
        return {"sound": loss, "broken": loss + bad, "later": loss * (1 + bad)}

    message = rf"term 'broken' is {value} in epoch 2, step 1, of stage 'second'"
    with pytest.raises(NonFinite, match=message):
        train(scripted(network, terms, batched=True), recipe(), 4, 0.0)


def test_a_gradient_that_is_no_number_is_named() -> None:
    network = Weights(1)

    def terms(epoch: int, step: int, indices: Indices) -> Mapping[str, Tensor]:
        loss = sizes(network, indices)[0]
        return {"root": (0.0 * loss).sqrt() if (epoch, step) == (1, 2) else loss}

    with pytest.raises(NonFinite, match=r"gradient is nan in epoch 1, step 2, of stage 'second'"):
        train(scripted(network, terms), recipe(), 4, 0.0)


# --- what is kept and written --------------------------------------------------------------------


def shrink(network: Weights) -> Terms:
    """A loss that moves the weights in each step."""
    return lambda epoch, step, indices: {"size": sizes(network, indices)}


@pytest.mark.parametrize(
    "losses, best",
    [
        ([[3.0, 5.0], [1.0, 4.0], [2.0, 3.0], [4.0, 2.0]], [1, 3]),
        ([[1.0, 5.0], [1.0, 4.0], [1.0, 4.0], [1.0, 4.0]], [0, 1]),
        ([[2.0, math.nan], [math.inf, 4.0], [1.0, math.nan], [math.nan, 9.0]], [2, 1]),
    ],
    ids=["each its own", "the first of equals", "numbers before none"],
)
def test_the_epoch_best_on_validation_is_kept_per_member(
    losses: list[list[float]], best: list[int]
) -> None:
    network = Weights(2)
    seen: list[dict[str, Tensor]] = []

    def validation() -> Tensor:
        assert not network.training
        seen.append({name: value.clone() for name, value in network.state_dict().items()})
        return torch.tensor(losses[len(seen) - 1])

    def terms(epoch: int, step: int, indices: Indices) -> Mapping[str, Tensor]:
        assert network.training
        return {"size": sizes(network, indices)}

    problem = scripted(network, terms, validation, batched=True)
    history = train(problem, recipe(select="validation"), 4, 0.0)
    assert not network.training
    for name, value in network.state_dict().items():
        assert len({tuple(each[name].flatten().tolist()) for each in seen}) == 4
        for member, epoch in enumerate(best):
            assert torch.equal(value[member], seen[epoch][name][member])
    means = [row["validation"] for row in history]
    np.testing.assert_array_equal(means, np.mean(losses, axis=1))


@pytest.mark.parametrize("losses, best", [([3.0, 1.0, 2.0, 1.5], 1), ([3.0, 2.0, 1.0, 0.0], 3)])
def test_a_student_keeps_its_best_epoch(losses: list[float], best: int) -> None:
    """Not batched: the first axis of its parameters counts nothing."""
    network = Weights(2)
    seen: list[Tensor] = []

    def validation() -> Tensor:
        seen.append(network.row.detach().clone())
        return torch.tensor([losses[len(seen) - 1]])

    train(scripted(network, shrink(network), validation), recipe(select="validation"), 4, 0.0)
    assert torch.equal(network.row, seen[best])


def test_history_has_the_weighted_means_of_the_steps() -> None:
    """A smaller last batch counts by its size; terms are unweighted, their loss is weighted."""
    network = Weights(2)
    seen: list[tuple[int, float, float]] = []

    def terms(epoch: int, step: int, indices: Indices) -> Mapping[str, Tensor]:
        assert isinstance(indices, Tensor)
        one, other = sizes(network, indices) * (step + 1), network.free.sum(1).exp()
        seen.append((indices.shape[-1], one.mean().item(), other.mean().item()))
        return {"one": one, "other": other}

    problem = scripted(network, terms, weights={"other": 0.25}, batched=True)
    history = train(problem, recipe(), 5, 0.0)
    assert len(history) == 5
    for epoch, row in enumerate(history):
        steps = seen[3 * epoch : 3 * epoch + 3]
        assert [size for size, _, _ in steps] == [16, 16, 8]
        one = sum(size * value for size, value, _ in steps) / 40
        other = sum(size * value for size, _, value in steps) / 40
        norm = row.pop("gradient_norm")
        assert isinstance(norm, float) and norm > 0
        assert row.pop("stage") == "second"
        assert row == pytest.approx(
            {
                "epoch": epoch,
                "learning_rate": 0.05 * math.cos(math.pi * epoch / 10) ** 2,
                "loss": one + 0.25 * other,
                "one": one,
                "other": other,
            },
            rel=1e-6,
        )


def test_columns_are_the_same_in_every_epoch() -> None:
    network = Weights(1)
    problem = scripted(network, shrink(network), lambda: torch.ones(1))
    start = ["stage", "epoch", "learning_rate", "loss", "size", "gradient_norm"]
    for select, columns in (("last", start), ("validation", [*start, "validation"])):
        for row in train(problem, recipe(select=select), 3, 0.0):
            assert list(row) == columns


def test_decay_spares_what_is_undecayed() -> None:
    network = Weights(2)
    before = {name: value.clone() for name, value in network.state_dict().items()}
    problem = scripted(
        network,
        lambda epoch, step, indices: {"none": 0.0 * sizes(network, indices)},
        batched=True,
        undecayed=iter([network.free]),
    )
    train(problem, recipe(), 3, 0.5)
    assert torch.equal(network.free, before["free"])
    assert (network.row.abs() < before["row"].abs()).all()


# --- stages --------------------------------------------------------------------------------------


def student_method(name: str, networks: MLPBuilder, **parameters: Any) -> Any:
    method = METHODS[name]

    def absent() -> nn.Module:
        raise AssertionError("this student needs no network of the teacher")

    where = Setting(TASKS["classification"], 3, 12, networks, absent)
    return method(method.Parameters(**parameters), where)


def hydra_history(epochs: int, first: float) -> list[HistoryRow]:
    method = student_method("hydra", networks_for("classification"), first=first)
    student = build(method, SEED, DATASET)
    teacher = Teacher({"train": drawn(3, 12, 3, seed=4)}, {})
    data = prepared("classification", 12)
    return train_student(method, student, data, teacher, recipe(epochs=epochs), SEED, DATASET)


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


def test_a_stage_without_epochs_has_no_best_one() -> None:
    """One epoch for two stages: what is not trained stays as it was built."""
    method = student_method("hydra", networks_for("classification"), first=0.1)
    student = build(method, SEED, DATASET)
    teacher = Teacher({"train": drawn(3, 12, 3, seed=4)}, {})
    values = recipe(epochs=1, select="validation")
    data = prepared("classification", 12)
    history = train_student(method, student, data, teacher, values, SEED, DATASET)
    assert [row["stage"] for row in history] == ["train"]
    assert all(value.isfinite().all() for value in student.state_dict().values())


def test_schedules_run_over_the_whole_training() -> None:
    """A stage is no new beginning: the parameters of epoch 3 of 5 are those of 3 of 5."""
    seen: list[tuple[str, float]] = []

    class Scheduled(Hydra):
        class Parameters(Hydra.Parameters):
            extra: Coefficient = parameter("linear(0, 1, 0, 5)", "on a schedule")

        def loss(self, outputs: Tensor, batch: Batch, now: Any) -> Any:
            seen.append((batch.stage, now.extra))
            return super().loss(outputs, batch, now)

    networks = networks_for("classification")
    where = Setting(TASKS["classification"], 3, 12, networks, nn.Module)
    method = Scheduled(Scheduled.Parameters(first=0.4), where)
    teacher = Teacher({"train": drawn(3, 12, 3, seed=4)}, {})
    data, student = prepared("classification", 12), build(method, SEED, DATASET)
    train_student(method, student, data, teacher, recipe(epochs=5), SEED, DATASET)
    stages = ["hinton"] * 2 + ["train"] * 3
    assert [stage for stage, _ in seen] == stages
    assert [value for _, value in seen] == pytest.approx([epoch / 5 for epoch in range(5)])


@pytest.mark.parametrize(
    "name, decay, spared",
    [
        ("single", "weight_decay", ()),
        ("kd", "student_weight_decay", ()),
        ("gauss", "student_weight_decay", ("last.", "log_variances.")),
    ],
)
def test_decay_is_the_recipes_of_the_method(name: str, decay: str, spared: tuple[str, ...]) -> None:
    """Decay that outweighs the loss: Adam's first step is the rate towards 0 for each weight."""
    method = student_method(name, networks_for("classification"))
    student = build(method, SEED, DATASET)
    teacher = Teacher({"train": drawn(3, 12, 3, seed=4)}, {})
    values = recipe(**{"weight_decay": 0.0, "student_weight_decay": 0.0, decay: 1e6}, epochs=1)
    before = {key: value.clone() for key, value in student.state_dict().items()}
    train_student(method, student, prepared("classification", 12), teacher, values, SEED, DATASET)
    for key, value in student.state_dict().items():
        moved = value - before[key]
        towards_zero = torch.allclose(moved, -0.05 * before[key].sign(), rtol=0, atol=5e-3)
        assert towards_zero != key.startswith(spared)
