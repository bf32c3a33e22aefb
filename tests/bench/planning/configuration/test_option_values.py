"""Values of options: seeds, the notation of methods and settings."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from tests.bench.planning.configuration.mistakes import LONG, Mistake, assert_answered, thorough

from distillation_bench.bench.planning.configuration.option_values import (
    parse_seeds,
    parse_settings,
    parse_variant,
)

NOT_YAML = ["{", "*x", "[1", "'x", "@", "%", "!!float x", "a: b: c", "\x01"]


@pytest.mark.parametrize(
    ("texts", "seeds"),
    [
        (["0"], (0,)),
        (["0-2"], (0, 1, 2)),
        (["7-7"], (7,)),
        (["3", "1"], (1, 3)),
        (["5,0-2", "1-3"], (0, 1, 2, 3, 5)),
        ([" 1 , 2 "], (1, 2)),
    ],
)
def test_seeds_are_sorted_without_duplicates(texts: list[str], seeds: tuple[int, ...]) -> None:
    assert parse_seeds(texts) == seeds


@pytest.mark.parametrize(
    "text", ["", "1,", "a", "3-1", "-1", "1-2-3", "1.5", "0-100000", "0 1", LONG, f"0-{LONG}"]
)
def test_an_invalid_seed_is_reported(text: str, mistake: Mistake) -> None:
    assert mistake(parse_seeds, [text], "-x").startswith("-x: ")


@pytest.mark.parametrize(
    ("text", "method", "values"),
    [
        ("kd", "kd", {}),
        (" kd ", "kd", {}),
        ("kd[]", "kd", {}),
        ("hydra+[heads=5]", "hydra+", {"heads": [5]}),
        ("hydra+[heads=5,10]", "hydra+", {"heads": [5, 10]}),
        ("hydra+[heads=5,10,b=0,1]", "hydra+", {"heads": [5, 10], "b": [0, 1]}),
        ("hydra+[ heads = 5 , b = 1 ]", "hydra+", {"heads": [5], "b": [1]}),
        ("m[lam=linear(0, 4, 50, 150)]", "m", {"lam": ["linear(0, 4, 50, 150)"]}),
        (
            "m[lam=0,linear(0,4,50,150),cosine(1,0,0%,50%),b=0.5]",
            "m",
            {"lam": [0, "linear(0,4,50,150)", "cosine(1,0,0%,50%)"], "b": [0.5]},
        ),
    ],
)
def test_notation_of_a_method(text: str, method: str, values: dict[str, list[Any]]) -> None:
    variant = parse_variant(text, "-x")
    assert (variant.method, variant.values, variant.location) == (method, values, "-x")


@pytest.mark.parametrize(
    ("text", "value"),
    [
        *(("5", 5), ("-5", -5), ("0.5", 0.5), ("5e-4", 5e-4), ("1.0", 1.0)),
        *(("true", True), ("false", False), ("null", None), ("last", "last"), ("1x", "1x")),
        ("2024-13-45", "2024-13-45"),
    ],
)
def test_values_are_typed_as_in_yaml(text: str, value: Any) -> None:
    (parsed,) = parse_variant(f"m[p={text}]").values["p"]
    assert parsed == value and type(parsed) is type(value)
    assert parse_settings([f"p={text}"]) == {"p": value}


@pytest.mark.parametrize(
    "text",
    [
        *("", " ", "kd[", "kd]", "kd[a=1]x", "a b", "[a=1]", "kd[5]", "kd[=1]", "kd[a=]"),
        *("kd[a=1,]", "kd[,a=1]", "kd[a=1,,2]", "kd[a=1,a=2]", "kd[a=1][b=2]"),
        *(f"kd[a={value}]" for value in [*NOT_YAML, "[1,2]"]),
    ],
)
def test_an_invalid_variant_is_reported(text: str, mistake: Mistake) -> None:
    assert mistake(parse_variant, text, "-x").startswith("-x: ")


@pytest.mark.parametrize(
    "text", ["", "epochs", "=2", "epochs=", " =2", *(f"epochs={value}" for value in NOT_YAML)]
)
def test_an_invalid_setting_is_reported(text: str, mistake: Mistake) -> None:
    assert mistake(parse_settings, [text]).startswith("--set: ")


@thorough
@given(st.one_of(st.text(), st.text(alphabet="kd[]()=,{}*&!%@'\"#:-\\ \n09.", max_size=25)))
def test_any_text_is_a_variant_or_a_mistake(text: str) -> None:
    assert_answered(parse_variant, text)
    assert_answered(parse_variant, f"kd[a={text}]")


@thorough
@given(st.one_of(st.text(), st.text(alphabet="0123456789-, ²٣", max_size=25)))
@example(LONG)
def test_any_text_is_seeds_or_a_mistake(text: str) -> None:
    assert_answered(parse_seeds, [text])
