"""Results as DataFrames, of runs that are generated."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tests.bench.generated_runs import Figures, generate

from distillation_bench.bench.analysis.results import Results, load


@pytest.fixture
def results_of(tmp_path: Path) -> Callable[..., Results]:
    """results_of(values, **options): the results of a generated run; see `generate`."""

    def make(figures: Figures, **options: Any) -> Results:
        return load(generate(tmp_path / "run", figures, **options).folder, unfinished=True)

    return make
