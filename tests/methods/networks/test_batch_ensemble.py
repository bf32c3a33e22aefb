"""A BatchEnsemble is M networks with weights W ∘ r sᵀ, and its mean is one ordinary network."""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy
from typing import Any

import pytest
import torch
from torch import Generator, Tensor, nn

from distillation_bench.methods.networks import network_builder
from distillation_bench.methods.networks.batch_ensemble import BatchEnsemble, RankOneLayer, merge
from distillation_bench.methods.networks.resnet import BatchNorm, SubsampledConvolution

Stream = Callable[[int], Generator]
Images = Callable[..., Tensor]

SHAPE = (3, 8, 8)
MEMBERS = 3


@pytest.fixture
def plain(small: dict[str, Any], stream: Stream) -> nn.Module:
    """A plain network of each family, in float64, with statistics and affine maps of all sizes."""
    network = network_builder(small, SHAPE, 4).network(stream(0)).double()
    for norm in network.modules():
        if isinstance(norm, BatchNorm):
            norm.weight.data.uniform_(0.5, 1.5, generator=stream(1))
            norm.bias.data.normal_(generator=stream(2))
            norm.running_mean.normal_(generator=stream(3))
            norm.running_var.uniform_(0.5, 1.5, generator=stream(4))
    return network


@pytest.fixture
def ensemble(plain: nn.Module, stream: Stream) -> BatchEnsemble:
    """Three members with different biases."""
    made = BatchEnsemble(deepcopy(plain), MEMBERS, stream(5), spread=0.5).double()
    for layer in rank_one(made).values():
        if layer.bias is not None:
            layer.bias.data.normal_(generator=stream(6))
    return made.eval()


def rank_one(ensemble: BatchEnsemble) -> dict[str, RankOneLayer]:
    return dict(ensemble.layers())


@torch.no_grad()
def with_weights(
    plain: nn.Module,
    ensemble: BatchEnsemble,
    value: Callable[[Tensor], Tensor],
) -> nn.Module:
    """A copy of the plain network with weights W_oi r_o s_i, entry by entry, and biases.

    Args:
        plain: from which the ensemble was made.
        ensemble: has the factors and biases, each [M, ...].
        value: the r, s or bias of the copy, given those of all members.
    """
    network = deepcopy(plain)
    for name, layer in ensemble.layers():
        own = network.get_submodule(name)
        assert isinstance(own, (nn.Linear, nn.Conv2d))
        r, s = value(layer.r), value(layer.s)
        for o in range(len(r)):
            for i in range(len(s)):
                own.weight[o, i] = layer.layer.weight[o, i] * r[o] * s[i]
        if layer.bias is not None:
            own.bias = nn.Parameter(value(layer.bias))
    return network


def members_of(plain: nn.Module, ensemble: BatchEnsemble) -> list[nn.Module]:
    return [with_weights(plain, ensemble, lambda v, m=m: v[m]) for m in range(MEMBERS)]  # type: ignore[misc]


def test_a_member_is_a_network_with_weights_times_a_factor_of_rank_one(
    plain: nn.Module, ensemble: BatchEnsemble, images: Images
) -> None:
    x = images(5, 3, 8)
    outputs = ensemble(x)
    assert outputs.shape == (MEMBERS, 5, 4)
    for output, member in zip(outputs, members_of(plain, ensemble), strict=True):
        torch.testing.assert_close(output, member.eval()(x), rtol=1e-10, atol=1e-10)


@torch.no_grad()
def test_in_training_statistics_are_those_of_all_members(
    plain: nn.Module, ensemble: BatchEnsemble, images: Images
) -> None:
    """Members as networks of their own, whose statistics are set one normalisation at a time."""
    x = images(5, 3, 8)
    members = [member.eval() for member in members_of(plain, ensemble)]
    norms = [name for name, module in plain.named_modules() if isinstance(module, BatchNorm)]
    running = dict(ensemble.network.named_buffers())
    before = {name: tensor.clone() for name, tensor in running.items()}
    outputs = ensemble.train()(x)
    for name in executed(members[0], norms, x):
        seen = torch.cat([input_of(member, name, x) for member in members])
        mean, variance = seen.mean((0, 2, 3)), seen.var((0, 2, 3), correction=0)
        for member in members:
            norm = member.get_submodule(name)
            assert isinstance(norm, BatchNorm)
            norm.running_mean.copy_(mean)
            norm.running_var.copy_(variance)
        expected = 0.9 * before[f"{name}.running_mean"] + 0.1 * mean
        torch.testing.assert_close(running[f"{name}.running_mean"], expected)
    for output, member in zip(outputs, members, strict=True):
        torch.testing.assert_close(output, member(x), rtol=1e-9, atol=1e-9)


def executed(network: nn.Module, names: list[str], x: Tensor) -> list[str]:
    """Return names of modules in the order in which they are computed."""
    order: list[str] = []
    hooks = [
        network.get_submodule(name).register_forward_hook(lambda *_, name=name: order.append(name))
        for name in names
    ]
    network(x)
    for hook in hooks:
        hook.remove()
    return order


def input_of(network: nn.Module, name: str, x: Tensor) -> Tensor:
    """Return the input of a module; a copy, as later layers change it in place."""
    seen: list[Tensor] = []
    module = network.get_submodule(name)
    hook = module.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0].clone()))
    network(x)
    hook.remove()
    return seen[0]


def test_all_members_are_computed_at_once(ensemble: BatchEnsemble, images: Images) -> None:
    sizes: list[int] = []
    layers = [layer.layer for layer in rank_one(ensemble).values()]
    for layer in layers:
        layer.register_forward_hook(lambda _, inputs, __: sizes.append(len(inputs[0])))
    ensemble(images(5, 3, 8))
    assert sizes == [MEMBERS * 5] * len(layers)


def test_every_layer_with_weights_has_factors(plain: nn.Module, ensemble: BatchEnsemble) -> None:
    layers = [n for n, m in plain.named_modules() if isinstance(m, (nn.Linear, nn.Conv2d))]
    assert list(rank_one(ensemble)) == layers
    factors = {id(factor) for factor in ensemble.factors()}
    named = {name for name, p in ensemble.named_parameters() if id(p) in factors}
    assert named == {f"network.{name}.{factor}" for name in layers for factor in ("r", "s")}


@pytest.mark.parametrize("channels", [1, 3])
def test_images_keep_channels_last(
    channels: int, convolutional: dict[str, Any], stream: Stream, images: Images
) -> None:
    """With one channel the layout is in the strides alone."""
    network = network_builder(convolutional, (channels, 8, 8), 4).network(stream(0))
    made = BatchEnsemble(network, 2, stream(1), 0.5)
    strides: list[int] = []
    for layer in rank_one(made).values():
        if isinstance(layer.layer, nn.Conv2d):
            layer.layer.register_forward_hook(
                lambda _, inputs, output: strides.extend((inputs[0].stride(1), output.stride(1)))
            )
    made(images(5, channels, 8, torch.float32))
    assert strides and set(strides) == {1}


# The start


def test_one_member_without_spread_is_the_plain_network(
    plain: nn.Module, stream: Stream, images: Images
) -> None:
    x = images(5, 3, 8)
    made = BatchEnsemble(deepcopy(plain), 1, stream(0))
    for training in (False, True):
        expected = plain.train(training)(x)
        assert torch.equal(made.double().train(training)(x)[0], expected)


def test_factors_start_around_one(stream: Stream) -> None:
    def start(**options: Any) -> tuple[Tensor, ...]:
        network = nn.Sequential(nn.Linear(200, 300))
        made = BatchEnsemble(network, 4, stream(1), **options)
        return tuple(factor.detach() for factor in made.factors())

    r, s = start(spread=0.5)
    assert (r.shape, s.shape) == ((4, 300), (4, 200))
    for values in (r, s):
        bound = 5 * 0.5 / values.numel() ** 0.5
        assert abs(values.mean().item() - 1) < bound
        assert abs(values.std().item() - 0.5) < bound
    assert all((values == 1).all() for values in start())
    for values in start(signs=True):
        assert set(values.flatten().tolist()) == {-1, 1}
        assert abs(values.mean().item()) < 5 / values.numel() ** 0.5
        assert len({tuple(member.tolist()) for member in values}) == 4
    assert all(map(torch.equal, start(spread=0.5), (r, s)))


def test_biases_start_as_those_of_the_network(plain: nn.Module, stream: Stream) -> None:
    """A layer without a bias, which a normalisation follows, has none."""
    made = BatchEnsemble(deepcopy(plain), MEMBERS, stream(0))
    for name, layer in made.layers():
        own = plain.get_submodule(name)
        assert isinstance(own, (nn.Linear, nn.Conv2d))
        bias = own.bias
        assert (bias is None) == (layer.bias is None)
        if bias is not None and layer.bias is not None:
            assert torch.equal(layer.bias, torch.stack([bias] * MEMBERS))
        assert layer.layer.bias is None


def test_deviation_is_half_the_squared_distance_from_one(ensemble: BatchEnsemble) -> None:
    squares = [
        (1 - value) ** 2
        for layer in rank_one(ensemble).values()
        for factor in (layer.r, layer.s)
        for value in factor.flatten().tolist()
    ]
    assert ensemble.deviation().item() == pytest.approx(0.5 * sum(squares) / MEMBERS, rel=1e-12)


# The mean


def test_the_merged_network_has_mean_factors_and_not_mean_products(
    plain: nn.Module, ensemble: BatchEnsemble, images: Images
) -> None:
    x = images(5, 3, 8)
    before = {name: tensor.clone() for name, tensor in ensemble.state_dict().items()}
    merged = merge(ensemble)
    expected = with_weights(plain, ensemble, lambda values: values.sum(0) / MEMBERS)
    torch.testing.assert_close(merged(x), expected.eval()(x), rtol=1e-10, atol=1e-10)
    for name, tensor in ensemble.state_dict().items():
        assert torch.equal(tensor, before[name])


def test_the_merged_network_is_an_ordinary_one(plain: nn.Module, ensemble: BatchEnsemble) -> None:
    merged = merge(ensemble)
    assert {name: t.shape for name, t in merged.state_dict().items()} == {
        name: t.shape for name, t in plain.state_dict().items()
    }
    assert [type(m) for m in merged.modules()] == [type(m) for m in plain.modules()]
    assert not merged.training
    for parameter in merged.parameters():
        assert parameter.is_leaf and parameter.requires_grad
    for module in merged.modules():
        if isinstance(module, nn.Conv2d) and min(module.weight.shape[:2]) > 1:
            assert module.weight.is_contiguous(memory_format=torch.channels_last)


def test_equal_members_merge_into_one_of_them(ensemble: BatchEnsemble, images: Images) -> None:
    with torch.no_grad():
        for layer in rank_one(ensemble).values():
            for values in (layer.r, layer.s, layer.bias):
                if values is not None:
                    values.copy_(values[:1].expand_as(values).clone())
    x = images(5, 3, 8)
    for output in ensemble(x):
        torch.testing.assert_close(merge(ensemble)(x), output, rtol=1e-10, atol=1e-10)


def test_a_subsampled_convolution_stays_one(stream: Stream, images: Images) -> None:
    layer = SubsampledConvolution(3, 4, 2)
    made = BatchEnsemble(nn.Sequential(layer), 2, stream(0), 0.5)
    x = images(5, 3, 8, torch.float32)
    for m, output in enumerate(made(x)):
        (own,) = rank_one(made).values()
        weight = layer.weight[:, :, 0, 0] * own.r[m, :, None] * own.s[m]
        expected = torch.einsum("oi,bihw->bohw", weight, x[:, :, ::2, ::2])
        torch.testing.assert_close(output, expected)
    assert isinstance(merge(made).get_submodule("0"), SubsampledConvolution)


def test_groups_of_a_convolution_have_their_own_inputs(stream: Stream, images: Images) -> None:
    layer = nn.Conv2d(6, 4, 3, groups=2)
    made = BatchEnsemble(nn.Sequential(deepcopy(layer)), 1, stream(0), 0.5)
    x = images(5, 6, 8, torch.float32)
    torch.testing.assert_close(merge(made)(x), made(x)[0])


def test_members_are_computed_in_bfloat16(
    ensemble: BatchEnsemble, images: Images, stream: Stream
) -> None:
    x = images(5, 3, 8, torch.float32)
    made = ensemble.float()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        outputs = made(x)
    scale = made(x).abs().max().item()
    torch.testing.assert_close(outputs.float(), made(x), rtol=0, atol=0.05 * scale)
