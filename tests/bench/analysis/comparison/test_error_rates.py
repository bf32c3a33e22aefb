"""Tests of simulated methods that do not differ are rarely significant."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.simulation.comparisons import on_each_dataset, together
from tests.simulation.null import NOISES
from tests.simulation.runs import results_of

from distillation_bench.bench.analysis.comparison.csv_and_json import (
    comparison_json,
)
from distillation_bench.bench.analysis.comparison.method_comparison import (
    compare,
)
from distillation_bench.bench.analysis.old_results import read
from distillation_bench.bench.analysis.tables.table_builder import make_tables
from distillation_bench.bench.analysis.tables.table_model import TableOptions
from distillation_bench.bench.storage.tables import CellKey


def test_simulated_results_equal_results_read_from_a_run(
    make_run: Callable[..., Any], tmp_path: Path
) -> None:
    tables = np.random.default_rng(0).normal(size=(5, 8, 3))
    simulated = results_of(tables)
    figures = {slot: {"nll": tables[_index(slot)]} for slot in simulated.cells}
    on_disk = read([make_run(tmp_path / "run", figures).folder])
    for baseline in ("", "m1"):
        assert comparison_json(compare(on_disk, baseline=baseline)) == comparison_json(
            compare(simulated, baseline=baseline)
        )
    choice = TableOptions(metrics=("nll",))
    assert make_tables(on_disk, choice) == make_tables(simulated, choice)


def _index(slot: CellKey) -> tuple[int, ...]:
    dataset, label, seed = slot
    return int(dataset[1:]), seed, int(label[1:])


@pytest.mark.parametrize("pairs", ["all", "fixed"])
@pytest.mark.parametrize("noise", NOISES)
def test_families_hold_their_level_when_no_method_differs(pairs: str, noise: str) -> None:
    rate = on_each_dataset(400, 3, 8, noise, pairs)
    assert rate.share <= 0.05 + 3 * rate.error


def test_tests_across_datasets_hold_their_level() -> None:
    for rate in together(60, 6):
        assert rate.share <= 0.05 + 3 * rate.error
