"""Plain networks, heads of any width, and a family that gives its layers alone."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import pytest
import torch
from torch import Generator, Tensor, nn
from torch.func import functional_call

from distillation_bench.methods.networks import NetworkBuilder, network_builder
from distillation_bench.methods.networks.batched import Batched
from distillation_bench.methods.networks.heads import core_and_heads
from distillation_bench.methods.networks.options import NetworkOptions

Stream = Callable[[int], Generator]
Images = Callable[..., Tensor]

SHAPE = (3, 8, 8)


def parameters_of(module: nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters())


@pytest.fixture
def networks(small: dict[str, Any]) -> NetworkBuilder:
    """The builder of a small network of each family."""
    return network_builder(small, SHAPE, 4)


# Heads of any width


@pytest.mark.parametrize("outputs", [1, 9])
def test_heads_have_any_number_of_outputs(
    networks: NetworkBuilder, outputs: int, stream: Stream, images: Images
) -> None:
    student = core_and_heads(networks, 3, stream(0), outputs)
    assert student(images(5, 3, 8, torch.float32)).shape == (3, 5, outputs)


def test_the_datasets_outputs_are_the_default(networks: NetworkBuilder, stream: Stream) -> None:
    states = [core_and_heads(networks, 2, stream(0), outputs).state_dict() for outputs in (None, 4)]
    assert states[0].keys() == states[1].keys()
    assert all(torch.equal(tensor, states[1][name]) for name, tensor in states[0].items())


def test_each_head_takes_features_of_its_own(
    networks: NetworkBuilder, stream: Stream, images: Images
) -> None:
    heads = networks.heads(2, stream(0)).eval()
    features = networks.core(stream(1)).eval()(images(5, 3, 8, torch.float32))
    apart = heads(torch.cat([features, 2 * features]))
    torch.testing.assert_close(apart[0], heads(features)[0])
    torch.testing.assert_close(apart[1], heads(2 * features)[1])


# A plain network


def test_a_network_is_a_core_and_a_head(
    networks: NetworkBuilder, stream: Stream, images: Images
) -> None:
    """With the weights of a student with one head it gives the student's outputs."""
    network, student = networks.network(stream(0)), core_and_heads(networks, 1, stream(1))
    assert parameters_of(network) == parameters_of(student)
    named = {name.partition(".")[0] for name, _ in network.named_parameters()}
    assert named == {"core", "head"}
    values = iter(tensor.reshape(-1) for tensor in student.state_dict().values())
    with torch.no_grad():
        for tensor in network.state_dict().values():
            tensor.copy_(next(values).view(tensor.shape))
    x = images(5, 3, 8, torch.float32)
    for training in (True, False):
        expected = student.train(training)(x)[0]
        torch.testing.assert_close(network.train(training)(x), expected)


def test_a_network_has_any_number_of_outputs(
    networks: NetworkBuilder, stream: Stream, images: Images
) -> None:
    x = images(5, 3, 8, torch.float32)
    assert networks.network(stream(0))(x).shape == (5, 4)
    assert networks.network(stream(0), outputs=9)(x).shape == (5, 9)


def test_more_channels_are_inputs_of_the_first_layer(
    networks: NetworkBuilder, stream: Stream, images: Images
) -> None:
    network = networks.network(stream(0), channels=2)
    x = images(5, 3, 8, torch.float32)
    noise = torch.zeros(5, 2, 8, 8, requires_grad=True)
    outputs = network(torch.cat([x, noise], 1))
    assert outputs.shape == (5, 4)
    (gradient,) = torch.autograd.grad(outputs.square().sum(), noise)
    assert bool((gradient.flatten(2) != 0).any(-1).all())
    more = parameters_of(network) - parameters_of(networks.network(stream(0)))
    first = next(module for module in network.modules() if isinstance(module, LAYERS))
    assert more == first.weight.numel() * 2 // 5


def test_more_channels_of_a_vector_are_more_features(stream: Stream) -> None:
    description = {"family": "mlp", "member": [6], "core": [5], "head": [4]}
    network = network_builder(description, (3,), 2).network(stream(0), channels=4)
    assert network(torch.ones(6, 7)).shape == (6, 2)


LAYERS = (nn.Linear, nn.Conv2d)


def test_all_weights_are_in_layers_that_can_be_found(
    networks: NetworkBuilder, stream: Stream
) -> None:
    network = networks.network(stream(0))
    in_layers = {
        id(parameter)
        for module in network.modules()
        if isinstance(module, LAYERS)
        for parameter in module.parameters()
    }
    others = [p for p in network.parameters() if id(p) not in in_layers]
    assert len(in_layers) >= 4
    assert all(parameter.dim() == 1 for parameter in others)


def test_layers_can_be_replaced(networks: NetworkBuilder, stream: Stream, images: Images) -> None:
    class Doubled(nn.Module):
        def __init__(self, layer: nn.Module) -> None:
            super().__init__()
            self.layer = layer

        def forward(self, x: Tensor) -> Tensor:
            return 2 * self.layer(x)  # type: ignore[no-any-return]

    network = networks.network(stream(0)).eval()
    x = images(5, 3, 8, torch.float32)
    before = network(x)
    last = [name for name, module in network.named_modules() if isinstance(module, nn.Linear)][-1]
    network.set_submodule(last, Doubled(network.get_submodule(last)))
    torch.testing.assert_close(network(x), 2 * before)


def test_a_network_can_be_called_with_other_weights(
    networks: NetworkBuilder, stream: Stream, images: Images
) -> None:
    first, second = networks.network(stream(0)).eval(), networks.network(stream(1)).eval()
    x = images(5, 3, 8, torch.float32)
    outputs = functional_call(first, dict(second.named_parameters()), (x,))
    torch.testing.assert_close(outputs, second(x))
    assert not torch.allclose(outputs, first(x))


def test_weights_come_from_the_generator_as_torch_draws_them(
    networks: NetworkBuilder, stream: Stream
) -> None:
    before = torch.get_rng_state()
    network, again = networks.network(stream(0)), networks.network(stream(0))
    assert torch.equal(torch.get_rng_state(), before)
    for (name, tensor), other in zip(network.named_parameters(), again.parameters(), strict=True):
        assert torch.equal(tensor, other), name
    for module in network.modules():
        if isinstance(module, LAYERS):
            bound = 1 / math.sqrt(module.weight[0].numel())
            assert 0.3 * bound < module.weight.abs().max() <= bound
    other = next(networks.network(stream(1)).parameters())
    assert not torch.equal(next(network.parameters()), other)


def test_kernels_have_channels_last(convolutional: dict[str, Any], stream: Stream) -> None:
    network = network_builder(convolutional, SHAPE, 4).network(stream(0))
    kernels = [module.weight for module in network.modules() if isinstance(module, nn.Conv2d)]
    assert kernels
    for kernel in kernels:
        assert kernel.is_contiguous(memory_format=torch.channels_last)


# A family that gives its layers alone


class _Options(NetworkOptions):
    family = "layers"


class _Layers(NetworkBuilder):
    def core_layers(self, shape: tuple[int, ...]) -> Sequence[nn.Module]:
        return [nn.Flatten(), nn.Linear(math.prod(shape), 6), nn.Tanh()]

    def head_layers(self, outputs: int) -> Sequence[nn.Module]:
        return [nn.Linear(6, 5), nn.Tanh(), nn.Linear(5, outputs)]


@pytest.mark.parametrize("shape", [(3,), (2, 4), (1, 2, 3)])
def test_all_parts_follow_from_the_layers(shape: tuple[int, ...], stream: Stream) -> None:
    """For inputs with any number of axes, the same or others for each network."""
    networks = _Layers(_Options(), shape, 4)
    x = torch.randn(7, *shape, generator=stream(0))
    members = networks.members([stream(1), stream(2)])
    assert isinstance(members, Batched)
    together = members(x)
    assert together.shape == (2, 7, 4)
    torch.testing.assert_close(members(torch.stack([x, x])), together)
    assert core_and_heads(networks, 3, stream(3))(x).shape == (3, 7, 4)
    trunk, width = networks.trunk(stream(3))
    assert trunk(x).shape == (1, 7, width)
    assert width == 5
    assert networks.network(stream(3))(x).shape == (7, 4)


def test_a_trunk_is_a_student_without_its_last_layer(stream: Stream) -> None:
    networks = _Layers(_Options(), (3,), 4)
    trunk, _ = networks.trunk(stream(0))
    member = networks.members([stream(0)])
    state = dict(member.state_dict())
    last = [state.pop(f"network.5.{name}") for name in ("weight", "bias")]
    assert all(torch.equal(state[name], tensor) for name, tensor in trunk.state_dict().items())
    x = torch.randn(7, 3, generator=stream(1))
    torch.testing.assert_close(trunk(x) @ last[0].mT + last[1], member(x))


def test_a_head_ends_with_a_linear_layer(stream: Stream) -> None:
    class Squashed(_Layers):
        def head_layers(self, outputs: int) -> Sequence[nn.Module]:
            return [nn.Linear(6, outputs), nn.Tanh()]

    with pytest.raises(TypeError, match="head of layers is not an nn"):
        Squashed(_Options(), (3,), 4).trunk(stream(0))
