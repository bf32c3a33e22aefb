from __future__ import annotations

import zlib
from collections.abc import Callable

import numpy as np
import pytest

from distillation_bench.datasets import Stream


def _streams(seed: int) -> Stream:
    return lambda name: np.random.default_rng([zlib.crc32(name.encode()), seed])


@pytest.fixture(scope="session")
def streams() -> Callable[[int], Stream]:
    """Return a function from a data seed to its named random streams."""
    return _streams
