"""The promises of a metric."""

from __future__ import annotations

import math
from collections.abc import Iterator
from functools import partial

import torch

from distillation_bench.bench.check.promises import Check, require
from distillation_bench.bench.check.small_data import EXAMPLES, MEMBERS, OUTPUTS, small_data
from distillation_bench.bench.common.random_streams import torch_stream
from distillation_bench.bench.metrics.outcome import Outcome
from distillation_bench.bench.metrics.registry import Metric
from distillation_bench.bench.training.data import EvaluationSet
from distillation_bench.bench.training.evaluation.outcomes import outcome_of
from distillation_bench.methods.tasks import TASKS


def metric_checks(metric: Metric) -> Iterator[Check]:
    """The promises of a metric, for each task that it applies to."""
    for task in TASKS:
        if metric.applies(task):
            name = f"{metric.name}, {task}: gives a number, the same one for any order of rows"
            yield name, partial(_metric_is_function, metric, task)


def _metric_is_function(metric: Metric, task: str) -> None:
    values = [_value(metric, task, order) for order in (slice(None), slice(None, None, -1))]
    require(isinstance(values[0], float), f"gives {type(values[0]).__name__}, not float")
    require(math.isclose(*values, rel_tol=1e-9, abs_tol=1e-12), f"{values[0]}, then {values[1]}")


def _value(metric: Metric, task: str, order: slice) -> float:
    student_, teacher_ = _outcome(task, "student", order), _outcome(task, "teacher", order)
    if metric.kind == "ood":
        return metric.function(student_.total, teacher_.total)
    if metric.kind == "fidelity":
        return metric.function(student_, teacher_)
    return metric.function(student_)


def _outcome(task: str, name: str, order: slice) -> Outcome:
    data = small_data(task)
    test = data.sets[0]
    assert test.y is not None
    outputs = torch.randn(
        MEMBERS, EXAMPLES, OUTPUTS[task], generator=torch_stream(0, "outcome", name)
    )
    indices = torch.arange(EXAMPLES).numpy()[order].copy()
    rows = EvaluationSet("test", test.x[indices], test.y[indices])
    return outcome_of(TASKS[task].prediction(outputs[:, indices]), rows)
