from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

import pytest
import torch
from torch import Generator, Tensor, nn
from torch.nn import functional

from distillation_bench.methods.networks import network_builder
from distillation_bench.methods.networks.batched import Batched
from distillation_bench.methods.networks.mlp import BatchedMLP
from distillation_bench.methods.networks.options import Batching
from distillation_bench.methods.networks.resnet import BatchNorm

Stream = Callable[[int], Generator]
Images = Callable[..., Tensor]

BATCHINGS = pytest.mark.parametrize("batching", ["turn", "vmap"])
NETWORKS = 3


class Small(nn.Module):
    """A convolution, a normalisation with statistics, and a linear layer."""

    def __init__(self, planes: int = 4, outputs: int = 3) -> None:
        super().__init__()
        self.convolution = nn.Conv2d(2, planes, 3, stride=2, padding=1)
        self.norm = BatchNorm(planes)
        self.last = nn.Linear(planes, outputs)

    def forward(self, x: Tensor) -> Tensor:
        active = functional.relu_(self.norm(self.convolution(x)))
        return cast(Tensor, self.last(active.mean((-2, -1))))


def batched(stream: Stream, batching: Batching = "turn", seeds: range = range(NETWORKS)) -> Batched:
    return Batched(Small, [stream(seed) for seed in seeds], batching)


def apart(stack: Batched) -> list[Small]:
    """Each network of a stack as a plain module of its own."""
    modules = [Small() for _ in range(stack.count)]
    for index, module in enumerate(modules):
        values = {name: stacked[index] for name, stacked in stack.network.state_dict().items()}
        module.load_state_dict(values)
        module.to(next(stack.parameters()).dtype).train(stack.training)
    return modules


@BATCHINGS
@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("shared", [True, False])
def test_a_stack_equals_its_networks_apart(
    batching: Batching, training: bool, shared: bool, stream: Stream, images: Images
) -> None:
    """Outputs, gradients of weights and inputs, and running statistics, over two steps."""
    stack = batched(stream, batching).double().train(training)
    plain = apart(stack)
    for step in range(2):
        x: Tensor = images(5 + step, 2, 8)
        inputs = (x if shared else torch.stack([x, -x, 2 * x])).requires_grad_()
        outputs: Tensor = stack(inputs)
        leaves = [x if shared else inputs[i] for i in range(NETWORKS)]
        expected = torch.stack([m(leaf) for m, leaf in zip(plain, leaves, strict=True)])
        torch.testing.assert_close(outputs, expected, rtol=1e-10, atol=1e-12)

        variables = [inputs, *stack.parameters()]
        gradients = torch.autograd.grad(outputs.square().sum(), variables, retain_graph=True)
        names = [name for name, _ in plain[0].named_parameters()]
        parts = [[module.get_parameter(name) for module in plain] for name in names]
        flat = [inputs, *(parameter for part in parts for parameter in part)]
        input_gradient, *expected_gradients = torch.autograd.grad(expected.square().sum(), flat)
        torch.testing.assert_close(gradients[0], input_gradient, rtol=1e-9, atol=1e-12)
        for position, gradient in enumerate(gradients[1:]):
            of_networks = expected_gradients[position * NETWORKS : (position + 1) * NETWORKS]
            torch.testing.assert_close(gradient, torch.stack(of_networks), rtol=1e-9, atol=1e-12)
    for name, statistic in stack.network.named_buffers():
        of_networks = [module.get_buffer(name) for module in plain]
        torch.testing.assert_close(statistic, torch.stack(of_networks), rtol=1e-12, atol=1e-12)
    moved = bool((cast(BatchNorm, stack.network.get_submodule("norm")).running_mean != 0).any())
    assert moved == training


@pytest.mark.parametrize("examples", [1, 3, 8, 33])
@pytest.mark.parametrize("planes, outputs", [(1, 5), (4, 3), (31, 5)])
def test_in_turn_a_network_has_the_same_bits_in_any_stack(
    examples: int, planes: int, outputs: int, stream: Stream, images: Images
) -> None:
    """Also where its slices of a stack begin at odd places in memory."""

    def make() -> nn.Module:
        return Small(planes, outputs)

    x = images(examples, 2, 8, torch.float32)
    together, alone = Batched(make, [stream(s) for s in range(5)]), Batched(make, [stream(3)])
    for stack in (together, alone):
        for _ in range(2):
            loss = stack(x).square().sum()
            gradients = torch.autograd.grad(loss, list(stack.parameters()))
            with torch.no_grad():
                for parameter, gradient in zip(stack.parameters(), gradients, strict=True):
                    parameter.sub_(0.1 * gradient)
    for stacked, single in zip(
        together.state_dict().values(), alone.state_dict().values(), strict=True
    ):
        assert torch.equal(stacked[3:4], single)
    assert torch.equal(together.eval()(x)[3:4], alone.eval()(x))


def test_a_network_starts_as_torch_starts_it(stream: Stream) -> None:
    seed = int(torch.randint(2**63 - 1, (), generator=stream(1)))
    before = torch.get_rng_state()
    stack = batched(stream)
    assert torch.equal(torch.get_rng_state(), before)
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        plain = Small()
    for name, tensor in plain.state_dict().items():
        assert torch.equal(stack.network.state_dict()[name][1], tensor)


def test_one_generator_in_several_places_gives_different_networks(stream: Stream) -> None:
    first, second = next(Batched(Small, [stream(0)] * 2).parameters())
    assert not torch.equal(first, second)


@pytest.mark.parametrize("count", [1, NETWORKS])
def test_gradients_are_laid_out_as_parameters(count: int, stream: Stream, images: Images) -> None:
    """Optimisers that update many tensors at once want the same strides."""
    stack = batched(stream, seeds=range(count))
    outputs = stack(images(6, 2, 8, torch.float32))
    assert stack.network.get_parameter("convolution.weight").stride() == (72, 18, 1, 6, 2)
    parameters = list(stack.parameters())
    gradients = torch.autograd.grad(outputs.square().sum(), parameters)
    assert [g.stride() for g in gradients] == [p.stride() for p in parameters]


@BATCHINGS
def test_low_precision_trains(batching: Batching, stream: Stream, images: Images) -> None:
    stack = batched(stream, batching)
    x = images(64, 2, 8, torch.float32)
    with torch.autocast("cpu", torch.bfloat16):
        outputs = stack(x)
    gradients = torch.autograd.grad(outputs.float().square().sum(), list(stack.parameters()))
    assert all(g.dtype == torch.float32 and bool(g.isfinite().all()) for g in gradients)
    exact = batched(stream, batching)(x)
    torch.testing.assert_close(outputs.float(), exact, rtol=0.05, atol=0.05)


@BATCHINGS
def test_a_stack_has_shapes_on_the_meta_device(
    batching: Batching, stream: Stream, images: Images
) -> None:
    outputs = batched(stream, batching).to("meta")(images(6, 2, 8, torch.float32).to("meta"))
    assert outputs.shape == (NETWORKS, 6, 3)


def test_rows_are_the_weights_of_each_output_of_a_layer(stream: Stream) -> None:
    stack = batched(stream)
    names = ("convolution.weight", "convolution.bias", "last.weight", "last.bias")
    rows = dict(zip(names, stack.rows(), strict=True))
    shapes = [tuple(row.shape[1:]) for row in rows.values()]
    assert shapes == [(4, 18), (4, 1), (3, 4), (3, 1)]
    for name, row in rows.items():
        assert torch.equal(row[2, 1], stack.network.get_parameter(name)[2, 1].flatten())


def test_rows_of_perceptrons_are_those_of_each_output(stream: Stream) -> None:
    stack = BatchedMLP([5, 4, 3], [stream(0), stream(1)])
    assert [tuple(r.shape) for r in stack.rows()] == [(2, 4, 5), (2, 4, 1), (2, 3, 4), (2, 3, 1)]
    unit = torch.zeros(1, 5)
    unit[0, 2] = 1
    layer = stack.layers[0]
    moved = layer(unit.T.expand(2, 5, 1)) - layer(torch.zeros(2, 5, 1))
    torch.testing.assert_close(moved[..., 0], next(stack.rows())[..., 2])


@BATCHINGS
def test_members_and_heads_agree_however_they_are_batched(
    convolutional: dict[str, Any], batching: Batching, stream: Stream, images: Images
) -> None:
    """Real networks of every family, in float64, against networks built one at a time."""
    networks = network_builder({**convolutional, "batching": batching}, (3, 8, 8), 4)
    x = images(4, 3, 8)
    together = networks.members([stream(seed) for seed in range(NETWORKS)]).double()(x)
    outputs_apart = [networks.members([stream(seed)]).double()(x) for seed in range(NETWORKS)]
    torch.testing.assert_close(together, torch.cat(outputs_apart), rtol=1e-8, atol=1e-10)

    features = networks.core(stream(0)).double()(x)
    heads = networks.heads(NETWORKS, stream(5)).double()
    source = stream(5)
    singles = [networks.heads(1, source).double() for _ in range(NETWORKS)]
    if convolutional["family"] != "lenet":  # Dense heads draw layer by layer, not head by head.
        outputs = torch.cat([single(features) for single in singles])
        torch.testing.assert_close(heads(features), outputs, rtol=1e-8, atol=1e-10)
