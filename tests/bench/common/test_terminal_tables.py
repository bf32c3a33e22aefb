"""Tables fit a terminal: columns go on below, texts are wrapped, names are repeated."""

from __future__ import annotations

import pytest

from distillation_bench.bench.common.terminal_tables import fitting_columns, text_table

ROWS = [["kd", "1.0 *", "2.0  ", "3"], ["hydra+", "0.1  ", "2.5 '", "10"]]
HEADERS = ["method", "A ↓", "B [nats]", "n"]
RIGHT = ["left", "right", "right", "right"]


def test_columns_are_aligned_with_their_signs() -> None:
    assert text_table(ROWS, HEADERS, align=RIGHT, width=80).splitlines() == [
        "method    A ↓  B [nats]   n",
        "------  -----  --------  --",
        "kd      1.0 *     2.0     3",
        "hydra+  0.1       2.5 '  10",
    ]


def test_columns_that_do_not_fit_go_on_below_with_the_names() -> None:
    text = text_table(ROWS, HEADERS, align=RIGHT, width=22)
    assert text.split("\n\n")[1] == "goes on: B [nats], n"
    assert text.count("\nhydra+ ") == text.count("method") == 2
    assert max(map(len, text.splitlines())) <= 22


def test_two_columns_of_names_are_repeated() -> None:
    rows = [["digits", "kd", *"12345678"]]
    text = text_table(
        rows, ["dataset", "method", *"abcdefgh"], align=["right"] * 10, names=2, width=30
    )
    assert text.count("digits") == 2 and text.count("kd") == 2


def test_the_last_column_of_text_and_long_names_are_wrapped() -> None:
    lines = text_table([["x", "what " * 20]], ["a", "b"], width=40).splitlines()
    assert len(lines) > 3 and max(map(len, lines)) <= 40
    lines = text_table(
        [["x" * 60, "1"]], ["a", "b"], align=["left", "right"], width=40
    ).splitlines()
    assert max(map(len, lines)) <= 40 and "".join(lines).count("x") == 60


def test_markdown_has_no_width() -> None:
    line = text_table([["a", "b" * 300]], ["x", "y"], style="pipe").splitlines()[-1]
    assert "b" * 300 in line


@pytest.mark.parametrize(
    ("sizes", "space", "counts"),
    [
        ([5] * 7, 17, [3, 2, 2]),
        ([5] * 4, 17, [2, 2]),
        ([50, 3, 3], 10, [1, 2]),
        ([5] * 3, 17, [3]),
        ([], 10, []),
    ],
)
def test_blocks_are_few_and_even(sizes: list[int], space: int, counts: list[int]) -> None:
    blocks = fitting_columns(sizes, space)
    assert sorted(map(len, blocks)) == sorted(counts)
    assert [i for block in blocks for i in block] == list(range(len(sizes)))
