"""Streams, small descriptions of each family, and inputs in the engine's memory layout."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Generator, Tensor

SMALL: dict[str, dict[str, Any]] = {
    "mlp": {"member": [6], "core": [5], "head": [4]},
    "lenet": {"member": [3, 4], "dense": [5], "core": [4, 3], "head": [6, 5]},
    "resnet": {"member": [4, 6], "core": [4, 5], "head": [6], "blocks": 2},
    "resnet18": {"width": 0.05},
    "wide-resnet": {"widen": 1, "depth": 10},
}


@pytest.fixture(params=SMALL)
def small(request: pytest.FixtureRequest) -> dict[str, Any]:
    """A small network of each family."""
    return {"family": request.param, **SMALL[request.param]}


@pytest.fixture(params=[name for name in SMALL if name != "mlp"])
def convolutional(request: pytest.FixtureRequest) -> dict[str, Any]:
    """A small network of each family of images."""
    return {"family": request.param, **SMALL[request.param]}


@pytest.fixture(scope="session")
def stream() -> Callable[[int], Generator]:
    """stream(3): a generator of its own."""
    return lambda seed: Generator().manual_seed(seed)


@pytest.fixture(scope="session")
def images() -> Callable[..., Tensor]:
    """images(5, 3, 8): five of three channels and 8×8, channels last also with one channel."""

    def make(count: int, channels: int, side: int, dtype: torch.dtype = torch.float64) -> Tensor:
        generator = Generator().manual_seed(count)
        shape = (count, side, side, channels)
        flat = torch.randn(shape, generator=generator, dtype=dtype)
        strides = (side * side * channels, 1, side * channels, channels)
        return flat.as_strided((count, channels, side, side), strides)

    return make
