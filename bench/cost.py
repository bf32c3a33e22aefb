"""What a student costs: parameters, operations, size, latency."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import flop_registry

from methods.base import Method

REPEATS = 5


class _FlopCounter(TorchDispatchMode):  # type: ignore[no-untyped-call, unused-ignore]
    """Adds up torch's own formulas, as FlopCounterMode does, which first takes a second to import
    the compiler in order to keep it away."""

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
    """Exact figures: parameters, FLOPs per example and bytes of the weights.

    A multiply-accumulate counts as 2 FLOPs; the tables of arXiv 2205.09526 count it once.

    Args:
        x: inputs; the first is used.
    """
    counter = _FlopCounter()
    with torch.no_grad(), counter:
        method.forward(network, x[:1], torch.Generator())
    tensors = list(network.parameters()) + list(network.buffers())
    return {
        "parameters": float(sum(parameter.numel() for parameter in network.parameters())),
        "flops": float(counter.total),
        "bytes": float(sum(tensor.numel() * tensor.element_size() for tensor in tensors)),
    }


def latencies(method: Method, network: nn.Module, x: Tensor) -> dict[str, float]:
    """Seconds an example of a forward pass, in batches of 1 and of 256; the fastest of 5."""
    stream = torch.Generator()

    def seconds(size: int) -> float:
        batch = x[torch.arange(size) % len(x)]
        return _fastest(lambda: method.forward(network, batch, stream)) / size

    with torch.no_grad():
        return {f"latency_seconds_batch_{size}": seconds(size) for size in (1, 256)}


def _fastest(function: Callable[[], object]) -> float:
    times = []
    for _ in range(REPEATS):
        start = time.perf_counter()
        function()
        times.append(time.perf_counter() - start)
    return min(times)
