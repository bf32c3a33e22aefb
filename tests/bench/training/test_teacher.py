"""Members of an ensemble equal networks trained one by one and do not affect each other."""

from collections.abc import Mapping, Sequence
from functools import partial

import pytest
import torch
from tests.bench.training.plain_training import (
    BOTH,
    DATASET,
    SEED,
    SIZES,
    assert_same_layers,
    descend,
    layers_of,
    networks_for,
    normal_numbers,
    orders_of,
    perceptron,
    plain_loss,
    prepared,
    recipe,
    targets,
    training_inputs,
)
from torch import Generator, Tensor
from torch.nn import functional

from distillation_bench.bench.common.random_streams import torch_stream
from distillation_bench.bench.planning.recipe import Recipe
from distillation_bench.bench.training.optimization.loop import (
    Epoch,
    Indices,
    Problem,
    train_network,
)
from distillation_bench.bench.training.teacher import train_members
from distillation_bench.methods.tasks import TASKS

pytestmark = pytest.mark.usefixtures("one_thread")


@BOTH
@SIZES
def test_members_equal_networks_trained_one_by_one(task: str, examples: int, float64: None) -> None:
    data, networks, values = prepared(task, examples), networks_for(task), recipe()
    members = [0, 3, 4]
    inputs = training_inputs(data, values)
    network, _ = train_members(members, TASKS[task], networks, inputs)
    arrays = network.state_dict()
    x, y = data.train
    for index, member in enumerate(members):
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
                arrays[f"layers.{layer}.weight"][index],
                arrays[f"layers.{layer}.bias"][index],
            )
            for layer in range(3)
        ]
        assert_same_layers(model, trained)


# Members do not affect each other


def trained_apart(x: Tensor, y: Tensor, values: Recipe) -> dict[str, Tensor]:
    """Train a batch of networks, each on its own rows: x [M, N, 4], y [M, N]."""
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
    train_network(problem, values, values.epochs, values.weight_decay)
    return dict(network.state_dict())


@SIZES
@pytest.mark.parametrize("select", ["last", "validation"])
def test_one_members_data_changes_no_bit_of_another(examples: int, select: str) -> None:
    x, y = normal_numbers(4, examples, 4), targets("classification", 4, examples)
    weights = trained_apart(x, y, recipe(select=select))
    changed = x.clone()
    changed[2] = 50 * changed[2] + 3
    weights_after_change = trained_apart(
        changed, y.clone().index_fill_(0, torch.tensor([2]), 1), recipe(select=select)
    )
    for name in weights:
        for member in (0, 1, 3):
            assert torch.equal(weights[name][member], weights_after_change[name][member])
        assert not torch.equal(weights[name][2], weights_after_change[name][2])


@BOTH
@pytest.mark.parametrize("select", ["last", "validation"])
@pytest.mark.parametrize(
    "examples, batch, width, inputs",
    [
        *((12, 16, 6, 4), (41, 16, 6, 4), (300, 128, 64, 4)),
        # Slices with any alignment: odd inputs, widths and batches.
        *((41, 15, 33, 1), (50, 33, 50, 1), (41, 15, 33, 2), (70, 33, 50, 3), (45, 64, 33, 3)),
    ],
)
def test_bits_do_not_depend_on_how_the_ensemble_is_cut(
    task: str, select: str, examples: int, batch: int, width: int, inputs: int
) -> None:
    data, networks = prepared(task, examples, inputs), networks_for(task, width, inputs)
    values = recipe(batch_size=batch, select=select, epochs=3)

    def trained(*pieces: Sequence[int]) -> dict[int, dict[str, bytes]]:
        weights = {}
        for piece in pieces:
            inputs = training_inputs(data, values)
            network, _ = train_members(piece, TASKS[task], networks, inputs)
            arrays = {name: tensor.numpy() for name, tensor in network.state_dict().items()}
            for index, member in enumerate(piece):
                weights[member] = {name: a[index].tobytes() for name, a in arrays.items()}
        return weights

    in_one_piece = trained(range(7))
    assert len({member["layers.0.weight"] for member in in_one_piece.values()}) == 7
    assert trained(range(3), range(3, 7)) == in_one_piece
    assert trained(*([member] for member in range(7))) == in_one_piece
    assert trained([6, 1, 4], [5], [3, 0, 2]) == in_one_piece
