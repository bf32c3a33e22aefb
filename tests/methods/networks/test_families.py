from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import pytest
import torch
from torch import Generator, Tensor, nn
from torch.nn import functional

from distillation_bench.datasets import DATASETS
from distillation_bench.methods.networks import NetworkBuilder, network_builder
from distillation_bench.methods.networks.batched import Batched
from distillation_bench.methods.networks.heads import (
    DropoutLast,
    GaussianLast,
    core_and_heads,
    rows,
    shared_part,
)
from distillation_bench.methods.networks.resnet import BatchNorm

Stream = Callable[[int], Generator]
Images = Callable[..., Tensor]
State = Mapping[str, Tensor]

SHAPE = (3, 32, 32)


def parameters_of(module: nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters())


class Products:
    """Multiply-accumulates of a module's convolutions and products, from the shapes it met."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.total = 0
        for owner, name in [(functional, "conv2d"), (functional, "linear"), (torch, "baddbmm")]:
            monkeypatch.setattr(owner, name, self._counted(getattr(owner, name)))
        # A convolution's module does not look its function up by name.
        monkeypatch.setattr(nn.Conv2d, "forward", lambda conv, x: functional.conv2d(
            x, conv.weight, conv.bias, conv.stride, conv.padding
        ))  # fmt: skip

    def _counted(self, function: Callable[..., Tensor]) -> Callable[..., Tensor]:
        def counted(*args: Any) -> Tensor:
            output = function(*args)
            if function.__name__ == "baddbmm":
                self.total += output.numel() * args[1].shape[-1]
            else:
                self.total += output.numel() * args[1][0].numel()
            return output

        return counted

    def of(self, module: nn.Module, x: Tensor) -> int:
        """Of one example; x has four, with which no product needs padding."""
        self.total = 0
        module(x)
        return self.total // len(x)


@pytest.mark.parametrize(
    "family, member, students",
    [
        (
            "lenet",
            (151_882, 5_735_680),
            {
                1: (123_946, 13_059_328),
                5: (457_810, 13_392_128),
                10: (875_140, 13_808_128),
                20: (1_709_800, 14_640_128),
            },
        ),
        (
            "resnet",
            (2_797_610, 139_299_328),
            {
                1: (4_553_066, 801_408_256),
                5: (7_643_538, 850_696_448),
                10: (11_506_628, 912_306_688),
                20: (19_232_808, 1_035_527_168),
            },
        ),
        ("resnet18", (11_173_962, 555_422_720), {1: (11_173_962, 555_422_720)}),
    ],
)
def test_networks_have_the_published_sizes(
    family: str,
    member: tuple[int, int],
    students: Mapping[int, tuple[int, int]],
    stream: Stream,
    images: Images,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Parameters and multiply-accumulates of arXiv 2205.09526's networks for SVHN and CIFAR-10."""
    networks = network_builder({"family": family}, SHAPE, 10)
    products = Products(monkeypatch)
    x = images(4, 3, 32, torch.float32).to("meta")
    teacher = networks.members([stream(0)]).to("meta")
    assert (parameters_of(teacher), products.of(teacher, x)) == member
    for heads, size in students.items():
        student = core_and_heads(networks, heads, stream(0)).to("meta")
        assert (parameters_of(student), products.of(student, x)) == size


@pytest.mark.parametrize(
    "dataset, student, gauss, hydras",
    [
        ("spiral", 30_903, 31_206, {5: 72_515, 10: 124_530, 20: 228_560}),
        ("sine", 5_302, 5_404, {5: 15_910, 10: 29_170, 20: 55_690}),
    ],
)
def test_toy_students_have_the_original_codes_sizes(
    dataset: str, student: int, gauss: int, hydras: Mapping[int, int], stream: Stream
) -> None:
    toy = DATASETS[dataset]
    networks = network_builder(toy.network, toy.shape, toy.outputs)
    alike = [core_and_heads(networks, 1, stream(0)), DropoutLast(networks, 0.5, stream(0))]
    assert [parameters_of(network) for network in alike] == [student, student]
    assert parameters_of(GaussianLast(networks, -10.0, stream(0))) == gauss
    counted = {n: parameters_of(core_and_heads(networks, n, stream(0))) for n in hydras}
    assert counted == hydras


@pytest.mark.parametrize(
    "dataset, lam, weights",
    [
        ("spiral", (4, 7, 9), (16_480, 14_420, 9_270)),
        ("sine", (0.002, 0.02, 0.6), (4.16, 20.8, 312)),
        ("cifar10", (0.002, 0.05, 0.1), (26.4, 330, 330)),
        ("svhn", (5e-4, 1e-3, 5e-3), (5.32, 5.32, 13.3)),
    ],
)
def test_the_papers_lambda_times_heads_and_rows(
    dataset: str, lam: tuple[float, ...], weights: tuple[float, ...], stream: Stream
) -> None:
    """As documented by `hydra+`: the largest possible sum, as the weight of a mean."""
    defaults = DATASETS[dataset]
    heads = network_builder(defaults.network, defaults.shape, defaults.outputs).heads(1, stream(0))
    rows_a_head = sum(layer.shape[1] for layer in heads.rows())
    sizes = [
        coefficient * count * rows_a_head
        for coefficient, count in zip(lam, (20, 10, 5), strict=True)
    ]
    assert sizes == pytest.approx(weights)


@pytest.mark.parametrize(
    "depth, widen, size", [(28, 2, 1_467_610), (16, 4, 2_748_890), (10, 1, 77_850)]
)
def test_wide_networks_have_the_published_sizes(
    depth: int, widen: int, size: int, stream: Stream
) -> None:
    """WRN-28-2 and 16-4 have 1.5 and 2.7 million; 10-1 counted by hand."""
    description = {"family": "wide-resnet", "depth": depth, "widen": widen}
    networks = network_builder(description, SHAPE, 10)
    assert parameters_of(networks.members([stream(0)])) == size
    assert parameters_of(core_and_heads(networks, 1, stream(0))) == size


@pytest.mark.parametrize("channels, side", [(1, 8), (1, 28), (3, 32), (3, 9)])
def test_every_part_takes_images_of_any_size(
    small: dict[str, Any], channels: int, side: int, stream: Stream, images: Images
) -> None:
    networks = network_builder(small, (channels, side, side), 4)
    x = images(3, channels, side, torch.float32)
    members = networks.members([stream(0), stream(1)])
    assert members(x).shape == (2, 3, 4)
    own = torch.stack([x, x])
    torch.testing.assert_close(members(own), members(x))
    assert core_and_heads(networks, 5, stream(2))(x).shape == (5, 3, 4)
    trunk, width = networks.trunk(stream(3))
    assert trunk(x).shape == (1, 3, width)
    assert DropoutLast(networks, 0.5, stream(4))(x, 6, stream(5)).shape == (6, 3, 4)
    assert GaussianLast(networks, -10.0, stream(4))(x, 6, stream(5)).shape == (6, 3, 4)


@pytest.mark.parametrize(("make", "spread"), [(DropoutLast, 0.5), (GaussianLast, -2.0)])
def test_a_shared_sample_is_a_function_of_the_input(
    make: Callable[..., nn.Module], spread: float, stream: Stream
) -> None:
    networks = network_builder({"family": "mlp", "member": [9], "core": [9], "head": [9]}, (2,), 3)
    network = make(networks, spread, stream(0))
    x = torch.randn(4, 2, generator=stream(1)).repeat(3, 1)
    with torch.no_grad():
        shared = network(x, 5000, stream(2), shared=True)
        anew = network(x, 5000, stream(3))
    torch.testing.assert_close(shared[:, :4], shared[:, 4:8])
    assert not torch.allclose(anew[:, :4], anew[:, 4:8])
    # Each input by itself has the same distribution.
    torch.testing.assert_close(shared.mean(0), anew.mean(0), atol=0.06, rtol=0.1)
    torch.testing.assert_close(shared.std(0), anew.std(0), atol=0.04, rtol=0.1)


def test_training_in_bfloat16_reaches_every_parameter(
    small: dict[str, Any], stream: Stream, images: Images
) -> None:
    networks = network_builder(small, (3, 8, 8), 4)
    x = images(8, 3, 8, torch.float32)
    students: list[Callable[[], tuple[nn.Module, Tensor]]] = [
        lambda: (student := core_and_heads(networks, 3, stream(0)), student(x)),
        lambda: (student := DropoutLast(networks, 0.5, stream(0)), student(x, 3, stream(1))),
        lambda: (student := GaussianLast(networks, -3.0, stream(0)), student(x, 3, stream(1))),
    ]
    for build in students:
        with torch.autocast("cpu", torch.bfloat16):
            student, outputs = build()
        loss = outputs.float().square().sum()
        for gradient in torch.autograd.grad(loss, list(student.parameters())):
            assert gradient.isfinite().all()
            assert gradient.dtype == torch.float32


@pytest.mark.parametrize("shape", [(3,), (1, 7, 8), (2, 3, 8, 8)])
def test_other_inputs_are_refused(convolutional: dict[str, Any], shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="×".join(map(str, shape))):
        network_builder(convolutional, shape, 4)


def test_width_and_depth_change_every_part(stream: Stream) -> None:
    def sizes(description: dict[str, Any]) -> tuple[int, int, int]:
        networks: NetworkBuilder = network_builder(description, SHAPE, 10)
        parts = (
            networks.members([stream(0)]),
            networks.core(stream(0)),
            networks.heads(1, stream(0)),
        )
        first, second, third = (parameters_of(part) for part in parts)
        return first, second, third

    for family in ("lenet", "resnet"):
        full, half = sizes({"family": family}), sizes({"family": family, "width": 0.5})
        assert all(2 < a / b < 4 for a, b in zip(full, half, strict=True))
    deep = sizes({"family": "resnet", "blocks": 3})
    assert all(a > b for a, b in zip(deep, sizes({"family": "resnet"}), strict=True))
    linear = sizes({"family": "resnet", "head": []})
    assert linear[2] == 256 * 10 + 10


@pytest.mark.parametrize("channels", [1, 3])
def test_convolutions_keep_channels_last(
    convolutional: dict[str, Any],
    channels: int,
    stream: Stream,
    images: Images,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    layouts: list[tuple[int, ...]] = []
    forward = nn.Conv2d.forward

    def noted(conv: nn.Conv2d, x: Tensor) -> Tensor:
        output = forward(conv, x)
        # With one plane or pixel, torch calls any strides both layouts.
        if x.shape[1] > 1 and min(x.shape[2:]) > 1:
            layouts.append(x.stride()[1:2])
        return output

    monkeypatch.setattr(nn.Conv2d, "forward", noted)
    networks = network_builder(convolutional, (channels, 16, 16), 4)
    x = images(2, channels, 16, torch.float32)
    networks.members([stream(0), stream(1)])(x)
    core_and_heads(networks, 2, stream(0))(x)
    assert len(layouts) > 2
    assert set(layouts) == {(1,)}


def test_the_shared_part_is_what_all_outputs_depend_on(
    small: dict[str, Any], stream: Stream, images: Images
) -> None:
    networks = network_builder(small, (3, 8, 8), 4)
    student = core_and_heads(networks, 3, stream(0))
    assert shared_part(student) is student.core
    dropout, gauss = DropoutLast(networks, 0.5, stream(0)), GaussianLast(networks, 0.0, stream(0))
    assert shared_part(dropout) is dropout.trunk
    assert shared_part(gauss) is gauss.trunk
    assert shared_part(networks.members([stream(0)])) is None
    x = images(2, 3, 8, torch.float32)
    torch.testing.assert_close(student.heads(student.shared(x)), student(x))


def test_rows_have_every_parameter_of_the_heads_layers_once(
    small: dict[str, Any], stream: Stream
) -> None:
    student = core_and_heads(network_builder(small, (3, 8, 8), 4), 3, stream(0))
    row_blocks = list(rows(student))
    norms = [module for module in student.heads.modules() if isinstance(module, BatchNorm)]
    layers = parameters_of(student.heads) - sum(map(parameters_of, norms))
    assert sum(block.numel() for block in row_blocks) == layers
    assert all(len(block) == 3 and block.dim() == 3 for block in row_blocks)


def test_normalisation_equals_torchs(images: Images) -> None:
    ours, plain = BatchNorm(3).double(), nn.BatchNorm2d(3).double()
    for step in range(3):
        x = 2 + images(4 + step, 3, 8)
        torch.testing.assert_close(ours(x), plain(x))
    ours.eval(), plain.eval()
    torch.testing.assert_close(ours(x), plain(x))
    torch.testing.assert_close(ours.running_var, plain.running_var)


def state_of(stack: nn.Module) -> dict[str, Tensor]:
    assert isinstance(stack, Batched)
    return {name: tensor[0] for name, tensor in stack.network.state_dict().items()}


def test_lenet_is_that_of_the_paper(stream: Stream, images: Images) -> None:
    """Convolution, ReLU, pool, twice; average pool to 4×4; dense."""
    member = network_builder({"family": "lenet"}, (1, 28, 28), 10).members([stream(0)]).double()
    x = images(3, 1, 28)
    weights = iter(state_of(member).values())
    out = x
    for _ in range(2):
        out = functional.conv2d(out, next(weights), next(weights), padding=1)
        out = functional.max_pool2d(functional.relu(out), 2)
    out = functional.adaptive_avg_pool2d(out, 4).flatten(1)
    assert out.shape[1] == 1024
    out = functional.relu(out @ next(weights).T + next(weights))
    out = out @ next(weights).T + next(weights)
    torch.testing.assert_close(member(x)[0], out)


def centred(x: Tensor, state: State, name: str) -> Tensor:
    """Normalised by the batch's own mean and variance."""
    mean = x.mean((0, 2, 3), keepdim=True)
    spread = ((x - mean) ** 2).mean((0, 2, 3), keepdim=True).add(1e-5).sqrt()
    weight, bias = (state[f"{name}.{kind}"][:, None, None] for kind in ("weight", "bias"))
    return (x - mean) / spread * weight + bias


def convolved(x: Tensor, kernel: Tensor, stride: int) -> Tensor:
    return functional.conv2d(x, kernel, stride=stride, padding=kernel.shape[-1] // 2)


def test_resnet_is_that_of_the_paper(stream: Stream, images: Images) -> None:
    """Stem, stages of two basic blocks with strides 1-2-2-2, average pool, linear layer."""
    description = {"family": "resnet", "member": [4, 6, 7, 8]}
    member = network_builder(description, SHAPE, 10).members([stream(0)]).double()
    x, state = images(3, 3, 32), state_of(member)

    def unit(out: Tensor, name: str, stride: int = 1) -> Tensor:
        inner = convolved(out, state[f"{name}.convolution.weight"], stride)
        return centred(inner, state, f"{name}.norm")

    out = unit(x, "0").relu()
    for block, stride in enumerate([1, 1, 2, 1, 2, 1, 2, 1], start=2):
        inner = unit(unit(out, f"{block}.first", stride).relu(), f"{block}.second")
        beside = unit(out, f"{block}.shortcut", stride) if stride == 2 else out
        out = (inner + beside).relu()
    assert out.shape[1:] == (8, 4, 4)
    expected = out.mean((2, 3)) @ state["11.weight"].T + state["11.bias"]
    torch.testing.assert_close(member(x)[0], expected)


def test_wide_resnet_is_that_of_the_paper(stream: Stream, images: Images) -> None:
    """Stem; three groups of blocks that activate first; normalisation, ReLU, average pool."""
    description = {"family": "wide-resnet", "widen": 2, "depth": 16}
    member = network_builder(description, SHAPE, 10).members([stream(0)]).double()
    x, state = images(2, 3, 32), state_of(member)
    out = convolved(x, state["0.weight"], 1)
    for block, stride in enumerate([1, 1, 2, 1, 2, 1], start=1):
        active = centred(out, state, f"{block}.first_norm").relu()
        inner = convolved(active, state[f"{block}.first.weight"], stride)
        inner = centred(inner, state, f"{block}.second_norm").relu()
        inner = convolved(inner, state[f"{block}.second.weight"], 1)
        kernel = state.get(f"{block}.shortcut.weight")
        out = inner + (out if kernel is None else convolved(active, kernel, stride))
    assert out.shape[1:] == (128, 8, 8)
    features = centred(out, state, "7").relu().mean((2, 3))
    expected = features @ state["10.weight"].T + state["10.bias"]
    torch.testing.assert_close(member(x)[0], expected)
