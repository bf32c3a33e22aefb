"""The cost of a student: parameters, operations, size and latency."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import flop_registry

from distillation_bench.bench.training.hardware.compute import CPU, Compute
from distillation_bench.methods.base import Method
from distillation_bench.methods.networks.heads import shared_part
from distillation_bench.methods.networks.mlp import unpadded

ROUNDS = 100
MIN_ROUNDS = 3
"""Timed forward passes of each batch size: as many as fit into `ROUNDS_SECONDS`, within these."""
ROUNDS_SECONDS = 0.05
BLOCK = 12
"""Rounds after which the weights are moved in memory."""
BATCH_SIZES = (1, 256)
"""Batch sizes for which latency is measured."""
_QUARTILES = {"": 0.5, "_low": 0.25, "_high": 0.75}


class _FlopCounter(TorchDispatchMode):  # type: ignore[no-untyped-call, unused-ignore]
    """Sums torch's own FLOP formulas.

    `FlopCounterMode` does the same, but spends a second on importing the compiler.
    """

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        return False

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call, unused-ignore]
        self.total = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        formula = flop_registry.get(func._overloadpacket)
        if formula is not None:
            self.total += formula(*args, **(kwargs or {}), out_val=result)
        return result


def counts(method: Method, network: nn.Module, x: Tensor) -> dict[str, float]:
    """Return exact costs: parameters, FLOPs per example, both of core and heads too, and bytes.

    The core is what all heads share, the heads are the rest, with all that is computed from their
    outputs; an ensemble has no core. A multiply-accumulate counts as 2 FLOPs; the tables of arXiv
    2205.09526 count it once. What the method has fitted is a part of the bytes.

    Args:
        method: makes predictions from the network.
        network: a trained student.
        x: inputs of the network [N, ...], of which the first is used.
    """
    x, stream = x[:1], torch.Generator(x.device)
    shared = shared_part(network)
    flops = _flops(lambda: method.predict(method.infer(network, x, stream)))
    core_flops = _flops(lambda: shared(x)) if shared is not None else 0
    parameters = _parameters(network)
    core = _parameters(shared) if shared is not None else 0
    tensors = [*network.parameters(), *network.buffers(), *method.fitted.values()]
    return {
        "parameters": float(parameters),
        "parameters_core": float(core),
        "parameters_heads": float(parameters - core),
        "flops": float(flops),
        "flops_core": float(core_flops),
        "flops_heads": float(flops - core_flops),
        "bytes": float(sum(tensor.numel() * tensor.element_size() for tensor in tensors)),
    }


def _parameters(module: nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters())


def _flops(function: Callable[[], object]) -> int:
    """Return the FLOPs of a call, without those that padding adds."""
    counter = _FlopCounter()
    with torch.no_grad(), counter, unpadded():
        function()
    return counter.total


def latencies(
    method: Method, network: nn.Module, x: Tensor, compute: Compute = CPU
) -> dict[str, float]:
    """Return the seconds per example of a prediction, in batches of 1 and of 256.

    Each is the median of many passes, which other work of the machine hardly moves, so that equal
    networks tie; `…_low` and `…_high` are the quartiles. Passes of both sizes alternate, and each
    follows an untimed one that fills the processor's caches.

    Args:
        method: makes predictions from the network.
        network: a trained student.
        x: inputs of the network [N, ...]; repeated to fill a batch.
        compute: device and precision.
    """
    stream = torch.Generator(x.device)
    batches = [x[torch.arange(size, device=x.device) % len(x)] for size in BATCH_SIZES]

    def forward(batch: Tensor) -> None:
        method.predict(compute.outputs(lambda: method.infer(network, batch, stream)))
        if x.is_cuda:
            torch.cuda.synchronize(x.device)

    with torch.no_grad():
        calls = [partial(forward, batch) for batch in batches]
        rounds = _timed_rounds(calls, partial(_move, network))
    seconds = np.quantile(rounds, list(_QUARTILES.values()), axis=0) / BATCH_SIZES
    return {
        f"latency_seconds_batch_{size}{suffix}": float(value)
        for suffix, values in zip(_QUARTILES, seconds, strict=True)
        for size, value in zip(BATCH_SIZES, values, strict=True)
    }


def _timed_rounds(
    functions: Sequence[Callable[[], object]], move: Callable[[], object]
) -> np.ndarray:
    """Return the seconds of each function, called in turn, [rounds, functions]."""
    rounds: list[list[float]] = []
    # What was moved stays, so that each place is a new one.
    places: list[object] = []
    start = time.perf_counter()
    while len(rounds) < MIN_ROUNDS or (
        len(rounds) < ROUNDS and time.perf_counter() - start < ROUNDS_SECONDS
    ):
        if rounds and len(rounds) % BLOCK == 0:
            places.append(move())
        rounds.append([_seconds(function) for function in functions])
    return np.array(rounds)


def _move(network: nn.Module) -> list[Tensor]:
    """Copy the weights to another place in memory, and return those at the former place."""
    tensors = [*network.parameters(), *network.buffers()]
    former = [tensor.data for tensor in tensors]
    for tensor in tensors:
        tensor.data = tensor.data.clone()
    return former


def _seconds(function: Callable[[], object]) -> float:
    """Return the seconds of a call that follows another."""
    function()
    start = time.perf_counter()
    function()
    return time.perf_counter() - start
