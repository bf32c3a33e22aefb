"""Named random streams: a seed and the purpose of the numbers identify a stream.

Nothing is drawn from a global state, so that neither the order of cells nor another consumer of
random numbers changes the numbers of a stream.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import torch


def stream_name(dataset: str) -> str:
    """Return the name of a dataset in streams: without the path, if it is a folder."""
    return dataset.partition(":")[0]


def stream_seed(seed: int, *names: str | int) -> int:
    """Return 64 bits of the SHA-256 of the seed and the names."""
    text = "\x1f".join(map(str, (seed, *names)))
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big")


def numpy_stream(seed: int, *names: str | int) -> np.random.Generator:
    """Return a stream of numpy."""
    return np.random.default_rng(stream_seed(seed, *names))


def torch_stream(
    seed: int, *names: str | int, device: torch.device | str = "cpu"
) -> torch.Generator:
    """Return a stream of torch on a device; each kind of device has other numbers."""
    import torch

    return torch.Generator(device).manual_seed(stream_seed(seed, *names))


def seed_global_streams(seed: int, *names: str | int) -> None:
    """Seed the global states of torch and numpy, for plugins that draw from them."""
    import torch

    value = stream_seed(seed, *names)
    # torch.manual_seed would also store a call for CUDA, in case it is initialised later.
    torch.default_generator.manual_seed(value)
    if torch.cuda.is_initialized():  # type: ignore[no-untyped-call, unused-ignore]
        torch.cuda.manual_seed_all(value)
    np.random.seed(value % 2**32)
