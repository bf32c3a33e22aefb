"""Some kills at random moments, others each time; `python -m tests.faults` is the long form."""

from __future__ import annotations

import os

import pytest
from tests.faults.injection import injected

KILLS = 4


DASK = pytest.param(("--executor", "dask"), id="dask", marks=pytest.mark.slow)


@pytest.mark.parametrize("options", [pytest.param((), id="local"), DASK])
def test_random_kills_lose_nothing(options: tuple[str, ...]) -> None:
    seed = int.from_bytes(os.urandom(2))
    *_, outcome = injected(KILLS, options, seed)
    assert not outcome.faults, f"seed {seed}: {outcome}"
