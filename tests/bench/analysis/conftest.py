"""Results that several tests of the analysis share."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from tests.bench.analysis.two_datasets import ABOVE, BELOW

from distillation_bench.bench.analysis.results import Results


@pytest.fixture
def two_datasets(results_of: Callable[..., Results]) -> Results:
    return results_of({**BELOW, **ABOVE})
