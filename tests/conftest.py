"""Profiles of hypothesis, and fixtures for all tests."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, settings

# Tests run in parallel, one on each core: threads of torch would compete.
os.environ.setdefault("OMP_NUM_THREADS", "1")
# Tests send SIGHUP to their processes, which would ignore it under `nohup`.
signal.signal(signal.SIGHUP, signal.SIG_DFL)
# The width of lines does not depend on the terminal.
os.environ.pop("COLUMNS", None)

# The same examples every time, so that only a change of the code breaks a test.
settings.register_profile("stable", derandomize=True, deadline=None, max_examples=100)
# Other examples every time, and twenty times as many: takes minutes.
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
    """Stop flushing denormal numbers to 0, which jobs in the test's process turn on."""
    yield
    if "torch" in sys.modules:
        sys.modules["torch"].set_flush_denormal(False)


@pytest.fixture(autouse=True)
def words_of_the_command_line() -> Iterator[None]:
    """Word messages neither for the program nor for Python after a test that used one of them."""
    yield
    if "distillation_bench.bench.common.errors" in sys.modules:
        sys.modules["distillation_bench.bench.common.errors"].word(None)


@pytest.fixture
def one_thread() -> Iterator[None]:
    """Give torch one thread, as in a worker."""
    import torch

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture
def float64(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Everything in float64: noise, and outputs too, which a worker makes float32."""
    import torch

    from distillation_bench.bench.training.hardware.compute import Compute

    monkeypatch.setattr(Compute, "outputs", lambda self, function: function())
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)
