"""Networks of any width train without writing beyond their memory."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable

import pytest
import torch
from torch import Generator, Tensor, nn

from distillation_bench.bench.common.paths import IMPORT_FOLDER
from distillation_bench.methods.networks import network_builder
from distillation_bench.methods.networks.resnet import convolution

# Each of its lines is a network that is about to be trained, so that the last one crashed.
TRAINING = """
import torch
from distillation_bench.methods.networks import network_builder
from distillation_bench.methods.networks.heads import DropoutLast, GaussianLast, core_and_heads

torch.set_num_threads(1)
g = torch.Generator().manual_seed(0)
widths = [.05, .1, .2, .4, 1.]
options = [{"family": "lenet", "width": w} for w in widths]
options += [{"family": f, "width": w, "blocks": 1} for f in ("resnet", "resnet18")
            for w in widths[: 5 if f == "resnet" else 3]]
options += [{"family": "wide-resnet", "depth": 10, "widen": w} for w in (1, 2)]
options += [{"family": "resnet", "member": [n, n], "core": [n], "head": [n], "blocks": 1}
            for n in range(1, 9)]
for number, option in enumerate(options):
    x = torch.randn(2, 14, 14, (1, 3)[number % 2], generator=g).movedim(3, 1)
    networks = network_builder(option, x.shape[1:], 4)
    grouped = network_builder({**option, "batching": "vmap"}, x.shape[1:], 4)
    students = [
        (networks.members([g, g]), ()),
        (core_and_heads(networks, 2, g), ()),
        (DropoutLast(networks, .5, g), (2, g)),
        (GaussianLast(networks, -3., g), (2, g)),
        (grouped.members([g, g]), ()),
        (core_and_heads(grouped, 2, g), ()),
    ]
    for network, more in students:
        print(option, tuple(x.shape), type(network).__name__, flush=True)
        for _ in range(2):
            loss = network(x, *more).square().sum()
            torch.autograd.grad(loss, list(network.parameters()))
print("all of them")
"""


def test_networks_of_every_width_train_within_their_memory() -> None:
    """Under glibc's checks of the heap, and with the kernels of a processor without AVX-512."""
    environment = os.environ | {
        "MALLOC_CHECK_": "3",
        "LD_PRELOAD": "libc_malloc_debug.so.0",
        "ONEDNN_MAX_CPU_ISA": "AVX2",
    }
    done = subprocess.run(
        [sys.executable, "-c", TRAINING],
        cwd=IMPORT_FOLDER,
        env=environment,
        capture_output=True,
        text=True,
        timeout=300,
    )
    last = (done.stdout.splitlines() or [""])[-1]
    assert (done.returncode, last) == (0, "all of them"), done.stderr


@pytest.mark.parametrize("inputs", [1, 3, 7, 8])
def test_a_strided_1x1_convolution_equals_torchs(
    inputs: int, images: Callable[..., Tensor]
) -> None:
    ours = convolution(inputs, 5, stride=2, side=1).double()
    strided = nn.Conv2d(inputs, 5, 1, 2, bias=False).double()
    strided.load_state_dict(ours.state_dict())
    for side in (8, 9):
        # Channels first, which all of torch's kernels take.
        x = images(3, inputs, side).contiguous().requires_grad_()
        results = [layer(x) for layer in (ours, strided)]
        torch.testing.assert_close(*results)
        sums = [result.square().sum() for result in results]
        gradients = [
            torch.autograd.grad(total, [x, *conv.parameters()])
            for total, conv in zip(sums, (ours, strided), strict=True)
        ]
        torch.testing.assert_close(*gradients)


@pytest.mark.parametrize("inputs", [1, 2, 7, 8, 9])
def test_no_convolution_is_of_the_kind_that_torch_computes_wrongly(inputs: int) -> None:
    networks = network_builder(
        {"family": "resnet", "member": [inputs, 16], "core": [inputs], "head": [3]}, (3, 8, 8), 4
    )
    parts = networks.members([Generator()]), networks.heads(1, Generator())
    convolutions = [
        module for part in parts for module in part.modules() if isinstance(module, nn.Conv2d)
    ]
    assert len(convolutions) > 4
    for layer in convolutions:
        strided = layer.kernel_size == (1, 1) and layer.stride != (1, 1)
        assert not strided or layer.in_channels >= 8
