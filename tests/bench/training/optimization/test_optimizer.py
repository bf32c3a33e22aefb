from __future__ import annotations

from collections.abc import Sequence
from itertools import count

import pytest
import torch
from torch import Tensor, nn

from distillation_bench.bench.training.optimization.optimizer import Adam

STEPS = 6
NETWORKS = 3
SHAPES = [(NETWORKS, 4, 5), (NETWORKS, 1, 5), (NETWORKS, 7)]
DECAYS = [0.1, 0.0, 0.3]
RATES = [0.1, 0.05, 0.02, 0.1, 0.01, 0.001]

CLIPS = pytest.mark.parametrize("clip", [0.1, 3.0, 1e6])
"""Always, sometimes and never at work on gradients of norm about 1 to 8."""


@pytest.fixture
def start() -> list[Tensor]:
    generator = torch.Generator().manual_seed(0)
    return [torch.randn(shape, generator=generator, dtype=torch.float64) for shape in SHAPES]


@pytest.fixture
def gradients() -> list[list[Tensor]]:
    """Return gradients by step and parameter, of different sizes by network and step."""
    generator = torch.Generator().manual_seed(1)
    sizes = torch.tensor([0.2, 1.0, 0.01], dtype=torch.float64)
    return [
        [
            (step + 1)
            / 3
            * sizes.view(-1, *[1] * (len(shape) - 1))
            * torch.randn(shape, generator=generator, dtype=torch.float64)
            for shape in SHAPES
        ]
        for step in range(STEPS)
    ]


def ours(
    start: Sequence[Tensor], gradients: Sequence[Sequence[Tensor]], clip: float, batched: bool
) -> tuple[list[Tensor], list[Tensor]]:
    """Return the parameters after all steps, and the norm of each step."""
    parameters = [nn.Parameter(tensor.clone()) for tensor in start]
    adam = Adam(parameters, DECAYS, clip, batched)
    norms = [adam.step(step, rate) for step, rate in zip(gradients, RATES, strict=True)]
    return [parameter.detach() for parameter in parameters], norms


def torchs(
    start: Sequence[Tensor], gradients: Sequence[Sequence[Tensor]], clip: float
) -> tuple[list[Tensor], list[Tensor]]:
    """The same by torch.optim.Adam: L2 as a term of the loss, then clip_grad_norm_."""
    parameters = [nn.Parameter(tensor.clone()) for tensor in start]
    adam = torch.optim.Adam(parameters)
    norms = []
    for step, rate in zip(gradients, RATES, strict=True):
        adam.param_groups[0]["lr"] = rate
        adam.zero_grad()
        loss = torch.zeros((), dtype=torch.float64)
        for parameter, gradient, decay in zip(parameters, step, DECAYS, strict=True):
            loss = loss + (parameter * gradient).sum() + decay / 2 * parameter.square().sum()
        loss.backward()  # type: ignore[no-untyped-call]
        norms.append(nn.utils.clip_grad_norm_(parameters, clip))
        adam.step()
    return [parameter.detach() for parameter in parameters], norms


def network(tensors: Sequence[Tensor], index: int) -> list[Tensor]:
    """One network of a batch, its axis kept."""
    return [tensor[index : index + 1] for tensor in tensors]


@CLIPS
def test_one_network_equals_torchs_adam(
    start: list[Tensor], gradients: list[list[Tensor]], clip: float
) -> None:
    actual, norms = ours(start, gradients, clip, batched=False)
    expected, expected_norms = torchs(start, gradients, clip)
    torch.testing.assert_close(actual, expected, rtol=1e-12, atol=1e-13)
    torch.testing.assert_close(torch.cat(norms), torch.stack(expected_norms), rtol=1e-12, atol=0)


@CLIPS
def test_each_network_of_a_batch_equals_torchs_adam(
    start: list[Tensor], gradients: list[list[Tensor]], clip: float
) -> None:
    actual, norms = ours(start, gradients, clip, batched=True)
    for index in range(NETWORKS):
        alone, alone_norms = torchs(
            network(start, index), [network(step, index) for step in gradients], clip
        )
        torch.testing.assert_close(network(actual, index), alone, rtol=1e-12, atol=1e-13)
        own = torch.stack([norm[index] for norm in norms])
        torch.testing.assert_close(own, torch.stack(alone_norms), rtol=1e-12, atol=0)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@CLIPS
def test_another_networks_gradient_changes_no_bit(
    start: list[Tensor], gradients: list[list[Tensor]], clip: float, dtype: torch.dtype
) -> None:
    """Clipping is per network: one with huge gradients does not change the others."""
    begin = [tensor.to(dtype) for tensor in start]
    calm = [[gradient.to(dtype) for gradient in step] for step in gradients]
    wild = [[gradient.clone() for gradient in step] for step in calm]
    for step in wild:
        for gradient in step:
            gradient[1] *= 1e6
    calm_result, _ = ours(begin, calm, clip, batched=True)
    wild_result, norms = ours(begin, wild, clip, batched=True)
    for index in (0, 2):
        for tensor, other_tensor in zip(
            network(calm_result, index), network(wild_result, index), strict=True
        ):
            assert torch.equal(tensor, other_tensor)
    assert not torch.equal(calm_result[0][1], wild_result[0][1])
    assert all(norm.shape == (NETWORKS,) and norm[1] > 1e3 * norm[2] for norm in norms)


def test_the_first_step_is_the_rate_with_the_gradients_sign() -> None:
    parameter = nn.Parameter(torch.zeros(4, dtype=torch.float64))
    gradient = torch.tensor([3.0, -2.0, 1e-3, 0.0], dtype=torch.float64)
    norm = Adam([parameter], [0.0], 1e6, batched=False).step([gradient], 0.1)
    assert norm.item() == pytest.approx(gradient.norm().item(), rel=1e-12)
    expected = -0.1 * gradient / (gradient.abs() + 1e-8)
    torch.testing.assert_close(parameter.detach(), expected, rtol=1e-12, atol=0)


@pytest.mark.parametrize("batched", [False, True])
@pytest.mark.parametrize("rates", [(1.0, 0.5, 0.5, 2.0), (0.25, 1.0, 0.25, 1.0)])
def test_each_parameter_has_its_rate(
    rates: tuple[float, ...],
    batched: bool,
    start: list[Tensor],
    gradients: list[list[Tensor]],
) -> None:
    """A parameter moves as it does where all parameters have its rate."""
    free = [0.0] * len(start)
    factors = [rates[index % len(rates)] for index in range(len(start))]
    mixed = [nn.Parameter(tensor.clone()) for tensor in start]
    adam = Adam(mixed, free, 0.1, batched, factors)
    for step, rate in zip(gradients, RATES, strict=True):
        adam.step(step, rate)
    for index, factor in enumerate(factors):
        alone = [nn.Parameter(tensor.clone()) for tensor in start]
        adam = Adam(alone, free, 0.1, batched)
        for step, rate in zip(gradients, RATES, strict=True):
            adam.step(step, rate * factor)
        assert torch.equal(mixed[index], alone[index])


def test_the_norm_is_that_with_decay_before_clipping() -> None:
    parameter = nn.Parameter(torch.tensor([[3.0], [0.0]], dtype=torch.float64))
    adam = Adam([parameter], [2.0], 0.01, batched=True)
    gradient = torch.tensor([[1.0], [-4.0]], dtype=torch.float64)
    assert adam.step([gradient], 0.1).tolist() == pytest.approx([7.0, 4.0], rel=1e-12)


def test_gradients_are_not_changed(start: list[Tensor], gradients: list[list[Tensor]]) -> None:
    before = [[gradient.clone() for gradient in step] for step in gradients]
    ours(start, gradients, 0.1, batched=True)
    for step, index in zip(gradients, count(), strict=False):
        for gradient, copy in zip(step, before[index], strict=True):
            assert torch.equal(gradient, copy)


@pytest.mark.parametrize("batched", [False, True])
def test_parameters_keep_their_layout(batched: bool) -> None:
    """Kernels stay channels last, which convolutions need to avoid copies."""
    generator = torch.Generator().manual_seed(0)
    kernels = torch.randn(4, 3, 5, 5, generator=generator, dtype=torch.float64)
    kernels = kernels.to(memory_format=torch.channels_last)
    start = torch.stack([kernels, 2 * kernels]) if batched else kernels
    gradient = torch.randn(start.shape, generator=generator, dtype=torch.float64)
    parameter = nn.Parameter(start.clone())
    plain = nn.Parameter(start.clone(memory_format=torch.contiguous_format))
    for tensor in (parameter, plain):
        adam = Adam([tensor], [0.1], 1e6, batched)
        adam.step([gradient], 0.1)
        adam.step([gradient], 0.1)
    assert parameter.stride()[-4:] == kernels.stride()
    assert not torch.equal(parameter, start)
    torch.testing.assert_close(parameter, plain, rtol=1e-12, atol=0)


def test_parameters_of_several_types_are_refused() -> None:
    parameters = [nn.Parameter(torch.zeros(2)), nn.Parameter(torch.zeros(2).double())]
    with pytest.raises(ValueError, match=r"several types: torch\.float32, torch\.float64"):
        Adam(parameters, [0.0, 0.0], 1.0, batched=False)
