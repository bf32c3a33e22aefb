"""Profiles of the tests that draw their examples."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, settings

# Tests run side by side, one a core: torch's threads would wait for one another.
os.environ.setdefault("OMP_NUM_THREADS", "1")
# Tests send it, and what they start must end by it: under `nohup` it would be ignored.
signal.signal(signal.SIGHUP, signal.SIG_DFL)
# Lines are as wide wherever the tests run.
os.environ.pop("COLUMNS", None)

# The same examples every time, so that a change is what breaks a test.
settings.register_profile("stable", derandomize=True, deadline=None, max_examples=100)
# Others every time, and twenty times as many: minutes.
settings.register_profile(
    "long",
    deadline=None,
    max_examples=2_000,
    print_blob=True,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.load_profile("stable")


@pytest.fixture(autouse=True)
def tiny_numbers() -> Iterator[None]:
    """Undo that a task which ran in a test's own process had denormal numbers flushed to 0."""
    yield
    if "torch" in sys.modules:
        sys.modules["torch"].set_flush_denormal(False)


@pytest.fixture
def float64(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Everything in float64: noise, and outputs too, which a worker makes float32."""
    import torch

    from distillation_bench.bench.training.hardware.compute import Compute

    monkeypatch.setattr(Compute, "outputs", lambda self, function: function())
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)
