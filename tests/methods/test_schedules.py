from __future__ import annotations

import math
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from distillation_bench.methods import Cosine, Linear
from distillation_bench.methods.kd import KD
from distillation_bench.methods.schedules import Ramp, parse_schedule, value_at

NUMBERS = st.floats(0, 1e6, allow_subnormal=False)
"""What a weight or temperature may be."""


@st.composite
def ramps(draw: st.DrawFn) -> Ramp:
    first, last = sorted([draw(NUMBERS), draw(NUMBERS)])
    kind = draw(st.sampled_from([Linear, Cosine]))
    return kind(draw(NUMBERS), draw(NUMBERS), first, last, draw(st.booleans()))


@given(ramps())
@settings(deadline=None)
def test_a_ramp_is_read_from_its_notation(ramp: Ramp) -> None:
    assert parse_schedule(str(ramp)) == ramp


@given(ramps(), st.integers(1, 1000))
@settings(deadline=None)
def test_a_ramp_goes_from_its_start_to_its_end(ramp: Ramp, epochs: int) -> None:
    """It reaches both exactly and never exceeds them."""
    unit = epochs / 100 if ramp.relative else 1.0
    assert value_at(ramp, math.floor(ramp.first * unit) - 1, epochs) == ramp.start
    assert value_at(ramp, math.ceil(ramp.last * unit) + 1, epochs) == ramp.end
    low, high = sorted([ramp.start, ramp.end])
    slack = 1e-12 * high
    for epoch in range(0, epochs, max(1, epochs // 7)):
        assert low - slack <= value_at(ramp, epoch, epochs) <= high + slack


@pytest.mark.parametrize(
    "notation, epoch, expected",
    [
        ("linear(0, 4, 50, 150)", 0, 0),
        ("linear(0, 4, 50, 150)", 50, 0),
        ("linear(0, 4, 50, 150)", 75, 1),
        ("linear(0, 4, 50, 150)", 150, 4),
        ("linear(0, 4, 50, 150)", 199, 4),
        ("linear(10, 1, 25%, 75%)", 50, 10),
        ("linear(10, 1, 25%, 75%)", 100, 5.5),
        ("linear(10, 1, 25%, 75%)", 150, 1),
        ("cosine(0, 4, 0, 100)", 25, 4 * (1 - math.sqrt(0.5)) / 2),
        ("cosine(0, 4, 0, 100)", 50, 2),
        ("cosine(0, 4, 0, 100)", 100, 4),
        ("linear(2, 3, 60, 60)", 59, 2),
        ("linear(2, 3, 60, 60)", 60, 3),
        ("linear(2, 3, 30%, 30%)", 59, 2),
        ("linear(2, 3, 30%, 30%)", 60, 3),
        ("constant(0.25)", 123, 0.25),
        (" linear( 0 ,4,50 , 150 ) ", 75, 1),
        ("linear(0, 4e0, 5e1, 150)", 75, 1),
        (3, 0, 3.0),
        (0.5, 199, 0.5),
    ],
)
def test_value_at_an_epoch_of_200(notation: Any, epoch: int, expected: float) -> None:
    assert value_at(parse_schedule(notation), epoch, 200) == pytest.approx(expected, rel=1e-12)


def test_percentages_scale_with_the_training_and_epochs_do_not() -> None:
    for epochs in (10, 200, 1000):
        assert value_at(parse_schedule("linear(0, 1, 0%, 100%)"), epochs // 2, epochs) == 0.5
        assert value_at(parse_schedule("linear(0, 1, 0, 100)"), 5, epochs) == 0.05


@pytest.mark.parametrize(
    "value",
    [
        "",
        "linear",
        "linear()",
        "linear(0, 1)",
        "linear(0, 1, 2)",
        "linear(0, 1, 2, 3, 4)",
        "linear(0, 1, 10%, 50)",
        "linear(0, 1, 10, 50%)",
        "linear(0%, 1, 10, 50)",
        "linear(0, 1, 50, 10)",
        "linear(0, 1, -5, 10)",
        "linear(0, nan, 0, 10)",
        "linear(0, inf, 0, 10)",
        "linear(0, 1, 0, inf)",
        "linear(a, 1, 0, 10)",
        "linear(0, 1, 0, 10",
        "linear(0, 1, 0, 10) + 1",
        "linear(linear(0, 1, 0, 10), 1, 0, 10)",
        "exponential(0, 1, 0, 10)",
        "Linear(0, 1, 0, 10)",
        "constant()",
        "constant(1, 2)",
        "constant(nan)",
        "constant(5%)",
        "ramp(0, 1, 0, 10)",
        "four",
        None,
        True,
        False,
        math.nan,
        math.inf,
        [1.0],
        {"start": 0},
    ],
    ids=str,
)
def test_other_notation_is_refused(value: Any) -> None:
    with pytest.raises(ValueError):
        parse_schedule(value)


@pytest.mark.parametrize(
    "name, value, bound",
    [
        ("a", 1.5, "at most 1"),
        ("a", -0.1, "at least 0"),
        ("a", "linear(0, 1.5, 0, 10)", "at most 1"),
        ("a", "cosine(-1, 0, 0, 10)", "at least 0"),
        ("temperature", 0, "above 0"),
        ("temperature", "linear(10, 0, 0, 10)", "above 0"),
        ("temperature", "constant(-2)", "above 0"),
    ],
)
def test_a_schedule_must_keep_the_bounds_of_its_parameter(
    name: str, value: Any, bound: str
) -> None:
    with pytest.raises(ValueError, match=bound):
        KD.Parameters.model_validate({name: value})


@pytest.mark.parametrize("value", ["linear(0.1, 1, 0, 10)", "cosine(0.3, 0.1, 33%, 67%)", 0.25])
def test_parameters_are_written_as_they_are_read(value: Any) -> None:
    parameters = KD.Parameters(a=value)
    written = parameters.model_dump(mode="json")
    assert written["a"] == value
    assert KD.Parameters.model_validate(written) == parameters


def test_different_schedules_are_written_differently() -> None:
    written = {str(Linear(0, 1 + step * 1e-9, 0, 1_000_000 + step)) for step in range(5)}
    assert len(written) == 5
