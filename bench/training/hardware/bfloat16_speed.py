"""Whether bfloat16 saves time on this processor: where it has no instructions for it, it is
emulated, and a step takes several times as long as in float32."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from pathlib import Path

import torch
from torch import nn

from distillation_bench.bench.training.hardware.compute import Compute, process_device

NATIVE = frozenset(("avx512_bf16", "amx_bf16", "bf16"))
"""What Linux calls the instructions of x86 and of ARM."""
LIMITS = ("ATEN_CPU_CAPABILITY", "ONEDNN_MAX_CPU_ISA", "DNNL_MAX_CPU_ISA")
"""Environment variables by which torch may be told not to use instructions that there are."""
ROUNDS = 3
NOTABLE = 1.1
"""A slowdown that is said; a smaller one may be the clock's."""


def slowdown() -> float:
    """A step in bfloat16 as a multiple of one in float32, where it may be emulated; else 1."""
    if process_device().type != "cpu" or is_native(_processor_flags(), os.environ):
        return 1.0
    return measured_slowdown()


def is_native(flags: frozenset[str], environment: Mapping[str, str]) -> bool:
    """Whether a processor with these flags has instructions for bfloat16 that torch may use."""
    return bool(flags & NATIVE) and not any(name in environment for name in LIMITS)


def measured_slowdown() -> float:
    """The same measured: a small step of convolutions and products, some tenths of a second."""
    network = nn.Sequential(
        nn.Conv2d(16, 32, 3, padding=1),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Flatten(),
        nn.Linear(32 * 14 * 14, 64),
    )
    x = torch.randn(32, 16, 28, 28).contiguous(memory_format=torch.channels_last)
    parameters = list(network.parameters())

    def seconds(precision: str) -> float:
        compute = Compute(torch.device("cpu"), precision)
        start = time.perf_counter()
        torch.autograd.grad(compute.outputs(lambda: network(x)).square().mean(), parameters)
        return time.perf_counter() - start

    # In turn, so that both meet the same machine; the first of each also chooses its kernels.
    times = [(seconds("bfloat16"), seconds("float32")) for _ in range(ROUNDS + 1)][1:]
    return min(low for low, _ in times) / min(full for _, full in times)


def warning(ratio: float) -> str:
    """What there is to say of a slowdown; nothing where there is none to speak of."""
    if ratio < NOTABLE:
        return ""
    return (
        f"precision=bfloat16: this processor emulates it; a step takes {ratio:.1f} times as long "
        "as in float32 (--set precision=float32)"
    )


def _processor_flags() -> frozenset[str]:
    try:
        lines = Path("/proc/cpuinfo").read_text(errors="replace").splitlines()
    except OSError:
        return frozenset()
    told = (line.partition(":") for line in lines)
    flags = (text for name, _, text in told if name.strip() in ("flags", "Features"))
    return frozenset(next(flags, "").split())
