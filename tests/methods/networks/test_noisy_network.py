"""A network of random inputs and features is a function for each draw."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Generator, Tensor, nn

from distillation_bench.methods.networks import network_builder
from distillation_bench.methods.networks.noisy_network import NoisyNetwork

FAMILIES: dict[str, tuple[dict[str, Any], tuple[int, ...], int]] = {
    # The description, the shape of an input, and the layers that noise is added before.
    "mlp": ({"family": "mlp", "member": [7], "core": [7, 6], "head": [5]}, (3,), 3),
    "lenet": ({"family": "lenet", "width": 0.1}, (1, 8, 8), 4),
    "resnet": ({"family": "resnet", "width": 0.05}, (3, 8, 8), 9),
}
EACH = pytest.mark.parametrize("family", FAMILIES)


def stream(seed: int) -> Generator:
    return torch.Generator().manual_seed(seed)


def made(family: str, channels: int = 2, deviation: float = 0.7) -> NoisyNetwork:
    description, shape, _ = FAMILIES[family]
    network = network_builder(description, shape, 4).network(stream(0), channels)
    return NoisyNetwork(network, channels, deviation).eval()


def inputs(family: str, count: int = 5) -> Tensor:
    return torch.randn(count, *FAMILIES[family][1], generator=stream(1))


@EACH
def test_each_draw_is_one_function_of_all_inputs(family: str) -> None:
    network, x = made(family), inputs(family)
    with torch.no_grad():
        twice = network(torch.cat([x, x]), 6, stream(2))
        again = network(torch.cat([x, x]), 6, stream(2))
        others = network(torch.cat([x, x]), 6, stream(3))
    assert twice.shape == (6, 10, 4)
    torch.testing.assert_close(twice[:, :5], twice[:, 5:], rtol=1e-4, atol=1e-5)
    assert torch.equal(twice, again) and not torch.equal(twice, others)
    assert twice.std(0).min() > 0


@EACH
def test_noise_is_before_each_layer_with_weights_but_the_first(family: str) -> None:
    network, x = made(family), inputs(family)
    assert len(network.scales) == FAMILIES[family][2]
    assert all(scale.item() == pytest.approx(0.7) for scale in network.scales)
    outputs = network(x, 3, stream(2))
    for gradient in torch.autograd.grad(outputs.square().sum(), list(network.parameters())):
        assert gradient.isfinite().all() and gradient.abs().max() > 0


@EACH
@pytest.mark.parametrize("channels", [0, 2])
def test_without_noise_it_is_the_plain_network(family: str, channels: int) -> None:
    network, x = made(family, channels, 0.0), inputs(family)
    shape = (len(x), channels, *x.shape[2:])
    with torch.no_grad():
        outputs = network(x, 3, stream(2))
        plain = network.network(torch.cat([x, torch.zeros(shape)], 1))
    assert list(network.scales) == []
    torch.testing.assert_close(outputs, plain.expand(3, -1, -1), rtol=1e-4, atol=1e-5)


def test_a_function_is_that_of_its_numbers() -> None:
    """Two layers, by hand: W₂(relu(W₁[x, d ξ₀] + b₁) + s ξ₁) + b₂."""
    one, two = nn.Linear(5, 4), nn.Linear(4, 2)
    plain = nn.Sequential(nn.Sequential(nn.Flatten(), one, nn.ReLU()), nn.Sequential(two))
    network = NoisyNetwork(plain, channels=2, deviation=0.3)
    with torch.no_grad():
        network.scales[0].fill_(1.5)
    x, noise = torch.randn(6, 3, generator=stream(1)), stream(2)
    first = 0.3 * torch.randn((4, 1, 2), generator=noise)
    second = 1.5 * torch.randn((4, 1, 4), generator=noise)
    outputs = network(x, 4, stream(2))
    for function in range(4):
        joined = torch.cat([x, first[function].expand(6, 2)], 1)
        hidden = (joined @ one.weight.T + one.bias).relu() + second[function]
        expected = hidden @ two.weight.T + two.bias
        torch.testing.assert_close(outputs[function], expected, rtol=1e-5, atol=1e-6)
