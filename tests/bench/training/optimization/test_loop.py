"""The training loop: non-finite terms, the best epoch, the history and the decay of weights."""

import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pytest
import torch
from tests.bench.training.plain_training import (
    normal_numbers,
    recipe,
)
from torch import Tensor, nn

from distillation_bench.bench.training.optimization.loop import (
    Epoch,
    Indices,
    NonFinite,
    Problem,
    train_network,
)
from distillation_bench.methods.base import Group

pytestmark = pytest.mark.usefixtures("one_thread")


# Non-finite terms


class Weights(nn.Module):
    """A module of weights alone, one row for each network."""

    def __init__(self, networks: int) -> None:
        super().__init__()
        self.row = nn.Parameter(normal_numbers(networks, 3))
        self.free = nn.Parameter(normal_numbers(networks, 3, seed=1))


Terms = Callable[[int, int, Indices], Mapping[str, Tensor]]


def scripted(
    network: Weights,
    terms: Terms,
    validation: Callable[[], Tensor] | None = None,
    weights: Mapping[str, float] | None = None,
    **options: Any,
) -> Problem:
    """Return a problem of 40 examples whose terms depend on epoch and step."""

    def epoch(number: int) -> Epoch:
        steps = iter(range(100))
        return Epoch(
            lambda indices: terms(number, next(steps), indices),
            lambda: torch.arange(40).expand(len(network.row), 40),
            weights or {},
        )

    return Problem("second", network, 40, epoch, validation or _ones, **options)


def _ones() -> Tensor:
    return torch.ones(1)


def sizes(network: Weights, indices: Indices) -> Tensor:
    """Return a loss for each network."""
    return network.row.square().mean(1) + network.free.square().mean(1)


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("networks", [1, 3])
def test_a_non_finite_term_is_named(value: float, networks: int) -> None:
    """One network of a batch suffices; the message has the first step and the cause."""
    network = Weights(networks)

    def terms(epoch: int, step: int, indices: Indices) -> Mapping[str, Tensor]:
        bad = torch.zeros(networks)
        bad[-1] = value if (epoch, step) == (2, 1) else 0.0
        loss = sizes(network, indices)
        return {"sound": loss, "broken": loss + bad, "later": loss * (1 + bad)}

    message = rf"term 'broken' is {value} in epoch 2, step 1, of stage 'second'"
    with pytest.raises(NonFinite, match=message):
        train_network(scripted(network, terms, batched=True), recipe(), 4, 0.0)


def test_a_non_finite_gradient_is_named() -> None:
    network = Weights(1)

    def terms(epoch: int, step: int, indices: Indices) -> Mapping[str, Tensor]:
        loss = sizes(network, indices)[0]
        return {"root": (0.0 * loss).sqrt() if (epoch, step) == (1, 2) else loss}

    with pytest.raises(NonFinite, match=r"gradient is nan in epoch 1, step 2, of stage 'second'"):
        train_network(scripted(network, terms), recipe(), 4, 0.0)


# The best epoch, the history and decay


def shrink(network: Weights) -> Terms:
    """Return terms that change the weights in each step."""
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
    states: list[dict[str, Tensor]] = []

    def validation() -> Tensor:
        assert not network.training
        states.append({name: value.clone() for name, value in network.state_dict().items()})
        return torch.tensor(losses[len(states) - 1])

    def terms(epoch: int, step: int, indices: Indices) -> Mapping[str, Tensor]:
        assert network.training
        return {"size": sizes(network, indices)}

    problem = scripted(network, terms, validation, batched=True)
    history = train_network(problem, recipe(select="validation"), 4, 0.0)
    assert not network.training
    for name, value in network.state_dict().items():
        assert len({tuple(state[name].flatten().tolist()) for state in states}) == 4
        for member, epoch in enumerate(best):
            assert torch.equal(value[member], states[epoch][name][member])
    means = [row["validation_nll"] for row in history]
    np.testing.assert_array_equal(means, np.mean(losses, axis=1))


@pytest.mark.parametrize("losses, best", [([3.0, 1.0, 2.0, 1.5], 1), ([3.0, 2.0, 1.0, 0.0], 3)])
def test_a_student_keeps_its_best_epoch(losses: list[float], best: int) -> None:
    """Not batched: the first axis of its parameters is not an axis of networks."""
    network = Weights(2)
    weights: list[Tensor] = []

    def validation() -> Tensor:
        weights.append(network.row.detach().clone())
        return torch.tensor([losses[len(weights) - 1]])

    train_network(
        scripted(network, shrink(network), validation), recipe(select="validation"), 4, 0.0
    )
    assert torch.equal(network.row, weights[best])


def test_history_has_the_weighted_means_of_the_steps() -> None:
    """A smaller last batch counts by its size; terms are unweighted, the loss is weighted."""
    network = Weights(2)
    sizes_and_terms: list[tuple[int, float, float]] = []

    def terms(epoch: int, step: int, indices: Indices) -> Mapping[str, Tensor]:
        assert isinstance(indices, Tensor)
        first, second = sizes(network, indices) * (step + 1), network.free.sum(1).exp()
        sizes_and_terms.append((indices.shape[-1], first.mean().item(), second.mean().item()))
        return {"one": first, "other": second}

    problem = scripted(network, terms, weights={"other": 0.25}, batched=True)
    history = train_network(problem, recipe(), 5, 0.0)
    assert len(history) == 5
    for epoch, row in enumerate(history):
        steps = sizes_and_terms[3 * epoch : 3 * epoch + 3]
        assert [size for size, _, _ in steps] == [16, 16, 8]
        first = sum(size * value for size, value, _ in steps) / 40
        second = sum(size * value for size, _, value in steps) / 40
        norm = row.pop("gradient_norm")
        assert isinstance(norm, float) and norm > 0
        assert row.pop("validation_nll") == 1
        assert row.pop("stage") == "second"
        assert row == pytest.approx(
            {
                "epoch": epoch,
                "learning_rate": 0.05 * math.cos(math.pi * epoch / 10) ** 2,
                "loss": first + 0.25 * second,
                "one": first,
                "other": second,
            },
            rel=1e-6,
        )


def test_columns_are_the_same_in_every_epoch() -> None:
    network = Weights(1)
    problem = scripted(network, shrink(network), lambda: torch.ones(1))
    start = ["stage", "epoch", "learning_rate", "loss", "size", "gradient_norm"]
    for select in ("last", "validation"):
        for row in train_network(problem, recipe(select=select), 3, 0.0):
            assert list(row) == [*start, "validation_nll"]


def validated(epochs: int, **options: Any) -> tuple[list[int], Weights]:
    """Train; return the epochs with a validation loss, and the network."""
    network = Weights(1)
    problem = scripted(network, shrink(network), **options)
    history = train_network(problem, recipe(), epochs, 0.0)
    return [row["epoch"] for row in history if "validation_nll" in row], network  # type: ignore[misc]


def test_validation_is_measured_in_some_epochs_and_changes_no_weight() -> None:
    assert validated(20)[0] == list(range(20))
    assert validated(60)[0] == [*range(0, 60, 3), 59]
    # A part of a student need not give a prediction.
    part, unmeasured = validated(60, student=nn.Linear(1, 1))
    assert part == [] and torch.equal(validated(60)[1].row, unmeasured.row)


def test_a_group_has_its_own_learning_rate() -> None:
    """Without decay and clipping, Adam's first step moves each weight by the rate."""
    network = Weights(2)
    before = {name: value.clone() for name, value in network.state_dict().items()}

    def pull(epoch: int, step: int, indices: Indices) -> dict[str, Tensor]:
        return {"pull": network.row.sum() + network.free.sum()}

    groups = [Group([network.row], rate=0.25)]
    values = recipe(batch_size=40, clip=1e9)
    train_network(scripted(network, pull, groups=groups), values, 1, 0.0)
    moved = {name: before[name] - value for name, value in network.state_dict().items()}
    rate = values.learning_rate
    torch.testing.assert_close(moved["free"], torch.full_like(moved["free"], rate))
    torch.testing.assert_close(moved["row"], torch.full_like(moved["row"], rate / 4))


def test_decay_skips_undecayed_parameters() -> None:
    network = Weights(2)
    before = {name: value.clone() for name, value in network.state_dict().items()}
    problem = scripted(
        network,
        lambda epoch, step, indices: {"none": 0.0 * sizes(network, indices)},
        batched=True,
        groups=[Group(iter([network.free]), decay=0.0)],
    )
    train_network(problem, recipe(), 3, 0.5)
    assert torch.equal(network.free, before["free"])
    assert (network.row.abs() < before["row"].abs()).all()
