"""The checks of a metric."""

from __future__ import annotations

import math
from collections.abc import Iterator
from functools import partial

import torch

from distillation_bench.bench.check.checks import Check, require
from distillation_bench.bench.check.synthetic_data import (
    EXAMPLES,
    MEMBERS,
    OUTPUTS,
    synthetic_data,
)
from distillation_bench.bench.common.random_streams import torch_stream
from distillation_bench.bench.metrics.outcome import Outcome
from distillation_bench.bench.metrics.registry import Metric
from distillation_bench.bench.training.data import EvaluationSet
from distillation_bench.bench.training.evaluation.evaluate import DETECTION_KINDS
from distillation_bench.bench.training.evaluation.outcomes import outcome_of
from distillation_bench.methods.tasks import TASKS

FORWARD, REVERSED = slice(None), slice(None, None, -1)
"""Two orders of the same examples."""


def metric_checks(metric: Metric) -> Iterator[Check]:
    """Yield the checks of a metric, for each task that it applies to."""
    for task in TASKS:
        if metric.applies(task):
            name = f"{metric.name}, {task}: gives a number, the same one for any order of rows"
            yield name, partial(_check_value, metric, task)


def _check_value(metric: Metric, task: str) -> None:
    first, second = (_value(metric, task, examples) for examples in (FORWARD, REVERSED))
    if first is None or second is None:
        require(first is second, f"{first}, then {second}")
        return
    require(isinstance(first, float), f"gives {type(first).__name__}, not float")
    require(math.isclose(first, second, rel_tol=1e-9, abs_tol=1e-12), f"{first}, then {second}")


def _value(metric: Metric, task: str, examples: slice) -> float | None:
    student, teacher = (_outcome(task, name, examples) for name in ("student", "teacher"))
    if metric.kind in DETECTION_KINDS:
        return metric.function(student.total, teacher.total)
    if metric.kind == "fidelity":
        return metric.function(student, teacher)
    return metric.function(student)


def _outcome(task: str, name: str, examples: slice) -> Outcome:
    """Return the outcome of random outputs on the test set, with examples in this order."""
    test = synthetic_data(task).sets[0]
    assert test.y is not None
    outputs = torch.randn(
        MEMBERS, EXAMPLES, OUTPUTS[task], generator=torch_stream(0, "outcome", name)
    )
    indices = torch.arange(EXAMPLES).numpy()[examples].copy()
    ordered = EvaluationSet("test", test.x[indices], test.y[indices])
    return outcome_of(TASKS[task].prediction(outputs[:, indices]), ordered)
