"""Predicted probabilities and targets shared by the tests of metrics."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import strategies as st
from numpy.typing import NDArray

Array = NDArray[np.float64]


Targets = NDArray[np.int64]


Case = tuple[Array, Targets]


Metric = Callable[[Any, Any], float]


def table(kind: str, examples: int, classes: int, seed: int = 0) -> Case:
    """Return probabilities and targets: smooth, tied (multiples of 1/4) or certain (0 and 1)."""
    rng = np.random.default_rng(seed)
    targets = rng.integers(0, classes, examples)
    if kind == "smooth":
        return rng.dirichlet(np.full(classes, 0.3), examples), targets
    draws = 4 if kind == "tied" else 1
    return rng.multinomial(draws, np.full(classes, 1 / classes), examples) / draws, targets


SHAPES = [
    (kind, examples, classes)
    for kind in ("smooth", "tied", "sure")
    for examples, classes in ((1, 3), (2, 1), (10, 2), (500, 10))
]


CASES = [pytest.param(*table(*shape), id="-".join(map(str, shape))) for shape in SHAPES]


@st.composite
def cases(draw: st.DrawFn) -> Case:
    kind = draw(st.sampled_from(["smooth", "tied", "sure"]))
    return table(kind, draw(st.integers(1, 60)), draw(st.integers(1, 5)), draw(st.integers(0, 999)))
