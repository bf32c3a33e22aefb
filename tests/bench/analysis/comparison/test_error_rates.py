"""Tests of simulated methods that do not differ are rarely significant."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.simulation.comparisons import on_each_dataset, together
from tests.simulation.null import NOISES
from tests.simulation.runs import frames_of as results_of

from distillation_bench.bench.analysis.comparison import (
    compare,
)
from distillation_bench.bench.analysis.comparison.comparison_values import comparison_json
from distillation_bench.bench.analysis.results import Results, load
from distillation_bench.bench.storage.tables import CellKey


def test_simulated_results_equal_results_read_from_a_run(
    make_run: Callable[..., Any], tmp_path: Path
) -> None:
    tables = np.random.default_rng(0).normal(size=(5, 8, 3))
    simulated = results_of(tables)
    figures = {slot: {"nll": tables[_index(slot)]} for slot in _slots(simulated)}
    on_disk = load(make_run(tmp_path / "run", figures).folder)
    for baseline in ("", "m1"):
        assert comparison_json(compare(on_disk, baseline=baseline)) == comparison_json(
            compare(simulated, baseline=baseline)
        )


def _slots(results: Results) -> list[CellKey]:
    return list(results.planned[["dataset", "label", "seed"]].itertuples(index=False, name=None))


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
