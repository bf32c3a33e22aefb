"""Whether bfloat16 saves time on this processor.

A processor without instructions for bfloat16 emulates it; a step then takes several times as long
as in float32.
"""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from pathlib import Path

import torch
from torch import nn

from distillation_bench.bench.training.hardware.compute import (
    Compute,
    prepare_process,
    process_device,
)

NATIVE = frozenset(("avx512_bf16", "amx_bf16", "bf16"))
"""Linux's names of the instructions for bfloat16, of x86 and of ARM."""
LIMITS = ("ATEN_CPU_CAPABILITY", "ONEDNN_MAX_CPU_ISA", "DNNL_MAX_CPU_ISA")
"""Environment variables that may keep torch from using instructions of the processor."""
ROUNDS = 3
"""Timed steps in each precision."""
NOTABLE = 1.1
"""The least slowdown that is reported; a smaller one may be noise of the measurement."""


def slowdown() -> float:
    """Return the time of a step in bfloat16 over one in float32; 1 if bfloat16 is not emulated."""
    if process_device().type != "cpu" or is_native(_processor_flags(), os.environ):
        return 1.0
    return measured_slowdown()


def is_native(flags: frozenset[str], environment: Mapping[str, str]) -> bool:
    """Return whether torch can use instructions of the processor for bfloat16.

    Args:
        flags: of the processor, as Linux names them.
        environment: environment variables.
    """
    return bool(flags & NATIVE) and not any(name in environment for name in LIMITS)


def measured_slowdown() -> float:
    """Measure the time of a small training step in bfloat16 over one in float32.

    The step has convolutions and matrix products; the measurement takes some tenths of a second.
    """
    prepare_process()
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

    # Alternating, so that both see the same load; the first step of each also chooses kernels.
    times = [(seconds("bfloat16"), seconds("float32")) for _ in range(ROUNDS + 1)][1:]
    return min(low for low, _ in times) / min(full for _, full in times)


def warning(ratio: float) -> str:
    """Return the warning about a slowdown; empty if it is smaller than `NOTABLE`."""
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
    fields = (line.partition(":") for line in lines)
    flags = (value for name, _, value in fields if name.strip() in ("flags", "Features"))
    return frozenset(next(flags, "").split())
