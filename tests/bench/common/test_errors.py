"""The nearest name that an error message gives."""

from __future__ import annotations

import pytest

from distillation_bench.bench.common.errors import did_you_mean, nearest


@pytest.mark.parametrize(
    ("word", "name"),
    [
        ("kdd", "kd"),
        ("KD", "kd"),
        ("nil", "nll"),
        ("mien", "mine"),
        ("emthods", "methods"),
        ("seed-spiral", "original-spiral"),
        ("NLL", "nll"),
    ],
)
def test_a_mistyped_name_is_answered_with_the_name(word: str, name: str) -> None:
    assert nearest(word, ["other", name]) == f"; did you mean {name!r}?"


@pytest.mark.parametrize(
    ("word", "name"), [("nope.py", "shots.py"), ("jpg", "png"), ("x.py", "a.py"), ("gpu", "cpu")]
)
def test_another_word_is_not_taken_for_a_name(word: str, name: str) -> None:
    assert did_you_mean(word, [name]) == ""
    assert nearest(word, [name, "b"]) == f"; there is {', '.join(sorted([name, 'b']))}"


def test_without_names_nothing_is_said() -> None:
    assert nearest("kd", []) == did_you_mean("kd", []) == ""
