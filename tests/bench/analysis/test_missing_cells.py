"""How cells without values are counted and listed."""

from __future__ import annotations

import pandas as pd
import pytest

from distillation_bench.bench.analysis.missing_cells import describe_counts, describe_seeds


@pytest.mark.parametrize(
    ("statuses", "text"),
    [
        ([], ""),
        (["done", "done"], ""),
        (["failed"], "1 failed of 1"),
        (["missing", "done", "skipped", "missing"], "1 skipped and 2 missing of 4"),
    ],
)
def test_counts_are_in_the_order_of_statuses(statuses: list[str], text: str) -> None:
    assert describe_counts(statuses) == text


def test_seeds_are_listed_by_reason() -> None:
    reasons = [("failed", 2), ("nan", 0), ("nan", 1), ("nan", 5)]
    assert (
        describe_seeds(pd.DataFrame(reasons, columns=["reason", "seed"]))
        == "failed (seed 2), nan (seeds 0-1, 5)"
    )
