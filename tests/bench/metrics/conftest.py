from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, settings
from numpy.typing import NDArray

from distillation_bench.datasets.image_files.torchvision_import import torchvision_datasets

# A busy machine must not decide whether a test passes.
settings.register_profile(
    "metrics", max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("metrics")


@pytest.fixture(scope="session")
def torchmetrics() -> Any:
    """torchmetrics.functional as a second opinion."""
    # It imports torchvision, which needs our import helper beside a CPU-only torch.
    torchvision_datasets()
    reason = "torchmetrics is not installed: its figures were not compared"
    pytest.importorskip("torchmetrics", reason=reason)
    import torchmetrics.functional

    return torchmetrics.functional


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(20240229)


def pytest_make_parametrize_id(val: object, argname: str) -> str | None:
    """Name functions by their name and arrays by their shape."""
    if isinstance(val, np.ndarray):
        array: NDArray[Any] = val
        return f"{argname}{array.shape}"
    return getattr(val, "__name__", None)
