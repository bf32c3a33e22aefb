"""Results that several tests of the analysis share."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from tests.bench.analysis.two_datasets import ABOVE, BELOW

from distillation_bench.bench.analysis.results import Results


@pytest.fixture
def two_datasets(results_of: Callable[..., Results]) -> Results:
    return results_of({**BELOW, **ABOVE})


@pytest.fixture
def clamped(results_of: Callable[..., Results]) -> Results:
    """Variances of the teacher and of hydra are at their bounds on `sine`, and none on `digits`."""
    flags = {"teacher_variance_capped": 0.02}
    return results_of(
        {
            ("sine", "kd", 0): {"nll": 0.5, "variance_capped": 0.0, **flags},
            ("sine", "hydra", 0): {"nll": 0.4, "variance_capped": 0.5, **flags},
            ("digits", "kd", 0): {"nll": 0.5},
        }
    )
