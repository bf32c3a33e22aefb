"""The leaderboard: means, deviations, ranks and marks, each with its n."""

from __future__ import annotations

import math
from typing import Any

import pytest

from distillation_bench.bench.analysis.old_summaries import summarise
from distillation_bench.bench.analysis.tables.leaderboard import (
    make_leaderboards,
    ranks_by_metric,
)
from distillation_bench.bench.analysis.tables.leaderboard_text import (
    leaderboard_markdown,
    leaderboard_text,
)

METRICS = {
    "accuracy": {"better": "higher", "headline": True},
    "nll": {"better": "lower", "headline": True},
}
METHODS = [{"name": "ensemble", "reference": True}] + [
    {"name": name, "reference": False} for name in ("kd", "hydra", "gauss")
]


def boards(figures: dict[str, list[Any]], dataset: str = "d", reasons: Any = None) -> Any:
    """Return the leaderboards of accuracies by label; a word stands for a status."""
    cells, results = {}, []
    for label, values in figures.items():
        for seed, value in enumerate(values):
            name = {"dataset": dataset, "method": label, "label": label, "seed": seed}
            cells[f"{label}{seed}"] = name
            if isinstance(value, str):
                results.append({**map_text(name), "status": value, "accuracy": ""})
            elif value is not None:
                row = {"status": "done", "accuracy": str(value), "nll": str(1 - value)}
                results.append({**map_text(name), **row})
    manifest = {"cells": cells, "metrics": METRICS, "methods": METHODS}
    return make_leaderboards(manifest, results, reasons or {})


def map_text(values: dict[str, Any]) -> dict[str, str]:
    return {name: str(value) for name, value in values.items()}


def test_deviations_have_n_minus_one() -> None:
    summary = summarise([1.0, 2.0, 4.0])
    assert summary.mean == pytest.approx(7 / 3)
    assert summary.deviation == pytest.approx(math.sqrt(7 / 3))
    assert str(summarise([0.5])) == "0.500"
    assert str(summarise([0.5, math.nan])) == "nan"
    assert str(summarise([0.5, math.inf])) == "inf"


def test_best_and_second_are_marked_among_students() -> None:
    (board,) = boards({"ensemble": [0.99], "kd": [0.8], "hydra": [0.9], "gauss": [0.7]})
    assert board.ranked("accuracy") == ["hydra", "kd", "gauss"]
    assert board.ranked("nll") == ["hydra", "kd", "gauss"]
    text = leaderboard_text([board])
    assert "0.900 *" in text and "0.800 '" in text and "0.990 *" not in text
    assert "**0.900**" in leaderboard_markdown([board])


def test_methods_with_few_seeds_are_not_ranked() -> None:
    (board,) = boards({"kd": [0.8, 0.8], "hydra": [0.7, 0.7], "gauss": [0.9, "failed"]})
    assert board.ranked("accuracy") == ["kd", "hydra"]
    assert "0.900 *" not in leaderboard_text([board])


def test_missing_failed_and_skipped_cells_are_shown() -> None:
    reasons = {("d", "gauss"): "ValueError: no"}
    (board,) = boards(
        {"kd": [0.8, None, None], "gauss": [0.9, "failed"], "hydra": ["skipped"]}, reasons=reasons
    )
    assert board.notes == {
        "kd": "2 missing of 3",
        "gauss": "1 failed of 2: ValueError: no",
        "hydra": "1 skipped of 1",
    }
    assert board.counts == {"kd": 1, "gauss": 1, "hydra": 0}
    for phrase in ("2 missing of 3", "ValueError: no", "1 skipped of 1"):
        assert phrase in leaderboard_text([board])


def test_ranks_equal_the_calculation_by_hand() -> None:
    first = boards({"kd": [0.8], "hydra": [0.9], "gauss": [0.7]}, "a")
    second = boards({"kd": [0.8], "hydra": [0.8], "gauss": ["failed"]}, "b")
    assert ranks_by_metric([*first, *second], "accuracy") == {"kd": 1.75, "hydra": 1.25}


def test_pipes_do_not_break_markdown() -> None:
    (board,) = boards({"a|b": [0.5]})
    assert "a\\|b" in leaderboard_markdown([board])


def test_marks_are_aligned_and_lines_fit_the_terminal() -> None:
    (board,) = boards({"kd": [0.8, 0.7], "hydra": [0.9, 0.8], "gauss": [0.7, "failed"]})
    lines = leaderboard_text([board], width=60).splitlines()
    kd, hydra, gauss = (next(line for line in lines if line.startswith(x)) for x in ("k", "h", "g"))
    assert kd.index("±") == hydra.index("±")
    assert kd.index("'") == hydra.index("*") == kd.index("±") + 8
    assert gauss.index("0.700") == kd.index("±") + 2
    assert max(map(len, lines)) <= 60
    assert "gauss: 1 failed of 2" in lines


def test_names_send_no_control_characters() -> None:
    figures = {"a\x1b[2J\nb": [0.5], "kd": [0.6]}
    for text_of in (leaderboard_text, leaderboard_markdown):
        # In Markdown, brackets are escaped.
        text = text_of(boards(figures, "d\n\x07")).replace("\\[", "[")
        assert "a\N{REPLACEMENT CHARACTER}[2J b" in text and "\x1b" not in text
