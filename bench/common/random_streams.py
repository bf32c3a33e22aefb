"""Named random streams: a seed and what the numbers are for give a stream of its own.

Nothing is drawn from a global state, so neither the order of cells nor a new consumer of random
numbers changes another's.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import torch


def stream_name(dataset: str) -> str:
    """What streams call a dataset: its name, less the path of a folder."""
    return dataset.partition(":")[0]


def stream_seed(seed: int, *names: str | int) -> int:
    """64 bits from SHA-256 of the seed and the names."""
    text = "\x1f".join(map(str, (seed, *names)))
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big")


def numpy_stream(seed: int, *names: str | int) -> np.random.Generator:
    """A numpy stream."""
    return np.random.default_rng(stream_seed(seed, *names))


def torch_stream(
    seed: int, *names: str | int, device: torch.device | str = "cpu"
) -> torch.Generator:
    """A torch stream on a device; another kind of device gives other numbers."""
    import torch

    return torch.Generator(device).manual_seed(stream_seed(seed, *names))


def seed_global_streams(seed: int, *names: str | int) -> None:
    """Give plugins that draw from torch's or numpy's global state a stream of their own too."""
    import torch

    value = stream_seed(seed, *names)
    # Not torch.manual_seed: it would note where it was called from, for a GPU that may never come.
    torch.default_generator.manual_seed(value)
    if torch.cuda.is_initialized():  # type: ignore[no-untyped-call, unused-ignore]
        torch.cuda.manual_seed_all(value)
    np.random.seed(value % 2**32)
