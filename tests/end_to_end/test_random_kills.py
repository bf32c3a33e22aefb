"""A dozen kills at random moments; `python -m tests.faults` is the long form."""

from __future__ import annotations

import os

import pytest
from tests.faults.injection import injected

KILLS = 6


@pytest.mark.parametrize("options", [(), ("--executor", "dask")], ids=["local", "dask"])
def test_random_kills_lose_nothing(options: tuple[str, ...]) -> None:
    seed = int.from_bytes(os.urandom(2))
    *_, outcome = injected(KILLS, options, seed)
    assert not outcome.faults, f"seed {seed}: {outcome}"
