"""The leaderboard: means, deviations, ranks and marks, each with its n."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from tests.bench.analysis.tables.paper_table_values import board_of
from tests.bench.generated_runs import generate

from distillation_bench.bench.analysis.results import Results
from distillation_bench.bench.analysis.tables.leaderboard import (
    average_ranks,
    leaderboards,
    leaderboards_text,
)
from distillation_bench.bench.analysis.tables.table import Table
from distillation_bench.bench.cli.leaderboard import board_text
from distillation_bench.bench.common.errors import UsageError

ResultsOf = Callable[..., Results]


@pytest.fixture
def boards_of(results_of: ResultsOf) -> ResultsOf:
    """boards_of(values, dataset): results of accuracies by label; a word stands for a status."""

    def make(figures: dict[str, list[Any]], dataset: str = "d") -> Results:
        cells = {(dataset, k, seed): v for k, row in figures.items() for seed, v in enumerate(row)}
        done = {
            cell: {"accuracy": value, "nll": 1 - value}
            for cell, value in cells.items()
            if isinstance(value, float)
        }
        options: dict[str, Any] = {
            status: {cell: f"a {status} reason" for cell, v in cells.items() if v == status}
            for status in ("failed", "skipped")
        }
        missing = [cell for cell, value in cells.items() if value is None]
        return results_of(done, missing=missing, **options)

    return make


def ranked(board: Table, header: str) -> list[str]:
    """Return the ranked labels from best to worst in one column."""
    own = board.entries[board.entries["column"].eq(board.columns.index(header))]
    return list(own.dropna(subset="rank").sort_values("rank")["label"])


def test_best_and_second_are_marked_among_students(boards_of: ResultsOf) -> None:
    results = boards_of({"ensemble": [0.99], "kd": [0.8], "hydra": [0.9], "gauss": [0.7]})
    board = board_of(results, "d")
    assert ranked(board, "Error [%] ↓") == ["hydra", "kd", "gauss"]
    assert ranked(board, "NLL [nats] ↓") == ["hydra", "kd", "gauss"]
    text = leaderboards_text(results)
    assert "10.00 *" in text and "20.00 '" in text and "1.00 *" not in text.replace("10", "")
    assert "**10.00**" in board.to_markdown() and "_20.00_" in board.to_markdown()


def test_values_are_printed_as_in_tables(boards_of: ResultsOf) -> None:
    board = board_of(boards_of({"kd": [0.8, 0.7], "hydra": [0.9, 0.8]}), "d")
    assert list(board.table.columns) == ["Error [%] ↓", "NLL [nats] ↓", "n"]
    assert list(board.table.loc["kd"]) == ["25.00 ± 7.07", "0.250 ± 0.071", "2"]


def test_methods_with_few_seeds_are_not_ranked(boards_of: ResultsOf) -> None:
    results = boards_of({"kd": [0.8, 0.8], "hydra": [0.7, 0.7], "gauss": [0.9, "failed"]})
    assert ranked(board_of(results, "d"), "Error [%] ↓") == ["kd", "hydra"]
    assert "10.00 *" not in leaderboards_text(results)


def test_missing_failed_and_skipped_cells_are_shown(boards_of: ResultsOf) -> None:
    results = boards_of({"kd": [0.8, None, None], "gauss": [0.9, "failed"], "hydra": ["skipped"]})
    board = board_of(results, "d")
    assert board.missing == {
        "kd on d: 2 missing of 3": "",
        "gauss on d: 1 failed of 2": "a failed reason",
        "hydra on d: 1 skipped of 1": "a skipped reason",
    }
    assert dict(zip(board.rows, board.counts, strict=True)) == {
        "kd": "1",
        "gauss": "1",
        "hydra": "0",
    }
    for phrase in ("2 missing of 3", "a failed reason", "1 skipped of 1"):
        assert phrase in leaderboards_text(results)


def test_labels_that_lack_cells_for_the_same_reason_are_named_together(
    boards_of: ResultsOf,
) -> None:
    board = board_of(boards_of({"kd": [0.8], "a": ["skipped"], "b": ["skipped"]}), "d")
    assert board.notes == ["a, b on d: 1 skipped of 1: a skipped reason."]


def test_a_run_without_values_still_has_a_leaderboard(boards_of: ResultsOf) -> None:
    results = boards_of({"kd": ["failed"], "gauss": [None]})
    text = leaderboards_text(results)
    assert "kd on d: 1 failed of 1: a failed reason." in text
    assert "gauss on d: 1 missing of 1." in text
    assert "gauss" in leaderboards_text(results, markdown=True)


def test_a_value_over_fewer_seeds_than_the_row_says_so(results_of: ResultsOf) -> None:
    row = {"nll": 0.1, "ece": 0.1}
    results = results_of({("d", "kd", 0): row, ("d", "kd", 1): {"nll": 0.3}})
    board = board_of(results, "d")
    assert list(board.table.loc["kd"]) == ["10.00 (1)", "0.200 ± 0.141", "2"]
    assert "(n) after a value: over n seeds only" in " ".join(leaderboards_text(results).split())


def test_ranks_equal_the_calculation_by_hand(results_of: ResultsOf) -> None:
    accuracies = {"a": {"kd": 0.8, "hydra": 0.9, "gauss": 0.7}, "b": {"kd": 0.8, "hydra": 0.8}}
    results = results_of(
        {
            (dataset, label, 0): {"accuracy": value}
            for dataset, row in accuracies.items()
            for label, value in row.items()
        },
        failed={("b", "gauss", 0): "no"},
    )
    ranks = average_ranks(pd.concat([board.entries for board in leaderboards(results)]))
    assert ranks["Error"].to_dict() == {"kd": 1.75, "hydra": 1.25}
    assert "average rank over datasets with the metric" in leaderboards_text(results)
    assert "average rank" not in leaderboards_text(results, datasets=["a"])


def test_equal_means_share_a_rank_whatever_the_order_of_their_values(
    results_of: ResultsOf,
) -> None:
    accuracies = {"kd": (0.1, 0.2, 0.6), "hydra": (0.6, 0.2, 0.1), "gauss": (0.3, 0.3, 0.3)}
    results = results_of(
        {
            (dataset, label, seed): {"accuracy": value}
            for dataset in ("a", "b")
            for label, values in accuracies.items()
            for seed, value in enumerate(values)
        }
    )
    ranks = average_ranks(pd.concat([board.entries for board in leaderboards(results)]))
    assert ranks["Error"].to_dict() == {"kd": 2, "hydra": 2, "gauss": 2}


def test_labels_and_datasets_are_selected(boards_of: ResultsOf) -> None:
    results = boards_of({"kd": [0.8], "hydra": [0.9], "gauss": [0.7]})
    board = board_of(results, "d", ["gauss", "kd"])
    assert board.rows == ["gauss", "kd"] and ranked(board, "Error [%] ↓") == ["kd", "gauss"]
    with pytest.raises(UsageError, match="--method gaus: not in these runs; did you mean 'gauss'"):
        leaderboards(results, labels=["gaus"])


def test_rows_are_in_natural_order(results_of: ResultsOf) -> None:
    labels = [f"hydra+[heads={heads}]" for heads in (5, 10, 20)]
    results = results_of(
        {("d", label, 0): {"nll": 0.1} for label in reversed(labels)},
        methods=dict.fromkeys(labels, "hydra+"),
    )
    assert board_of(results, "d").rows == labels


def test_several_runs_are_one_leaderboard(tmp_path: Path) -> None:
    for name, label in (("mine", "kd"), ("reference", "gauss")):
        generate(tmp_path / name, {("d", label, 0): {"nll": 0.1}})
    text = board_text([tmp_path / "mine", tmp_path / "reference"])
    assert "\nkd " in text and "\ngauss " in text
    assert "Runs: " in text and str(tmp_path / "reference") in text.replace("\n", " ")
    assert "Runs: " not in board_text([tmp_path / "mine"])


def test_the_ood_sets_below_chance_are_named(results_of: ResultsOf) -> None:
    """A mean of .6 over sets may hide one of .3."""
    aurocs = {"ood_auroc": 0.6, "ood_auroc@ood:near": 0.9, "ood_auroc@ood:far": 0.3}
    results = results_of(
        {("d", label, seed): aurocs for label in ("ensemble", "kd", "hydra") for seed in range(2)},
        ood={"d": {"near": "near", "far": "far", "gone": "absent: no file"}},
    )
    (remark,) = board_of(results, "d").remarks
    assert remark == (
        "On d, OOD AUROC is a mean over far (far; there the teacher itself is worse than chance, "
        "30.00 %), near (near); absent OOD sets: gone."
    )


def test_pipes_do_not_break_markdown(boards_of: ResultsOf) -> None:
    assert "a\\|b" in board_of(boards_of({"a|b": [0.5]}), "d").to_markdown()


def test_marks_are_aligned_and_lines_fit_the_terminal(
    boards_of: ResultsOf, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "60")
    results = boards_of({"kd": [0.8, 0.7], "hydra": [0.9, 0.8], "gauss": [0.7, "failed"]})
    lines = leaderboards_text(results).splitlines()
    kd, hydra, gauss = (next(line for line in lines if line.startswith(x)) for x in ("k", "h", "g"))
    assert kd.index("±") == hydra.index("±")
    assert kd.index("'") == hydra.index("*") == kd.index("±") + 7
    assert gauss.index("30.00") == kd.index("±") + 1
    assert max(map(len, lines)) <= 60
    assert "gauss on d: 1 failed of 2: a failed reason." in lines


def test_names_send_no_control_characters(boards_of: ResultsOf) -> None:
    results = boards_of({"a\x1b[2J\nb": [0.5], "kd": [0.6]}, "d\n\x07")
    for markdown in (False, True):
        # In Markdown, brackets are escaped.
        text = leaderboards_text(results, markdown=markdown).replace("\\[", "[")
        assert "a\N{REPLACEMENT CHARACTER}[2J b" in text and "\x1b" not in text


def test_a_notebook_shows_an_escaped_table_with_marks(boards_of: ResultsOf) -> None:
    board = board_of(boards_of({"<b>kd": [0.8], "hydra": [0.9], "gauss": [0.7]}), "d")
    page = board._repr_html_()
    assert "<b>kd" not in page and "&lt;b&gt;kd" in page
    assert "font-weight: bold" in page and "text-decoration: underline" in page
    assert "Bold: best, underlined: second student" in page
    assert r"\textbf{10.00}" in board.to_latex() and r"\newcommand{\tablenote}" in board.to_latex()
