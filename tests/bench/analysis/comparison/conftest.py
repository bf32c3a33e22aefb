"""Fixtures of comparisons."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tests.bench.analysis.comparison.compared_runs import (
    MakeResults,
    Table,
)

from distillation_bench.bench.analysis.results import Results, load


@pytest.fixture
def make_results(make_run: Callable[..., Any], tmp_path: Path) -> MakeResults:
    """make_results({label: figures by seed}, datasets=…, metric=…): a run that was read."""

    def make(
        table: Table,
        datasets: tuple[str, ...] = ("digits",),
        metric: str = "nll",
        folder: str = "run",
        **options: Any,
    ) -> Results:
        figures = {
            (dataset, label, seed): {metric: value}
            for dataset in datasets
            for label, values in table.items()
            for seed, value in enumerate(values)
        }
        return load(make_run(tmp_path / folder, figures, **options).folder)

    return make
