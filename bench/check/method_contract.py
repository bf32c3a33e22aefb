"""The checks of a method."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Iterator
from functools import partial

from pydantic import ValidationError

from distillation_bench.bench.check.checks import Check, ContractBroken, require
from distillation_bench.bench.check.method_under_test import MethodUnderTest
from distillation_bench.bench.check.repeatability import Repeatability
from distillation_bench.methods import Method
from distillation_bench.methods.tasks import TASKS

HOOK_CHECKS: dict[str, Callable[[MethodUnderTest], None]] = {
    "what it fits is finite, and the same twice": MethodUnderTest.check_fit,
    "gives outputs whose axis 1 is the batch": MethodUnderTest.check_output_shape,
    "the same draws give the same outputs": MethodUnderTest.check_draws,
    "finite terms and a gradient for every parameter": MethodUnderTest.check_gradients,
    "terms are finite at extreme outputs": MethodUnderTest.check_extreme_outputs,
    "groups have parameters of the network": MethodUnderTest.check_groups,
    "weights name terms of the loss": MethodUnderTest.check_weights,
    "some term has a weight": MethodUnderTest.check_some_weight,
    "the prediction is a distribution": MethodUnderTest.check_prediction,
    "the same after save and load": MethodUnderTest.check_saving,
}
"""The checks of a method's hooks, by what holds."""
REPEAT_CHECK = "a whole run gives the same values twice"
RESUME_CHECK = "an interrupted run can be resumed in another process"


def method_checks(method: type[Method], repeatability: Repeatability) -> Iterator[Check]:
    """Yield the checks of a method, for each task that it does not refuse."""
    yield f"{method.name}: parameters are documented", partial(_check_documented, method)
    yield f"{method.name}: a wrong parameter is refused", partial(_check_refusal, method)
    for task in TASKS:
        start = f"{method.name}, {task}:"
        if task in method.refuses:
            yield f"{start} refused with a reason", partial(_check_reason, method, task)
            continue
        # Made within the first check, so that a method that cannot be made fails a check.
        make = functools.cache(partial(MethodUnderTest, method, task))
        for name, check in {**HOOK_CHECKS, REPEAT_CHECK: repeatability.check_repeated}.items():
            yield f"{start} {name}", partial(_check_method, make, check)


def resume_checks(methods: Iterable[type[Method]], repeatability: Repeatability) -> Iterator[Check]:
    """Yield the checks that cells can be resumed; they follow those that interrupt the cells."""
    for method in methods:
        for task in TASKS:
            if task not in method.refuses:
                name = f"{method.name}, {task}: {RESUME_CHECK}"
                yield name, partial(repeatability.check_resumed, method.name, task)


def _check_method(
    make: Callable[[], MethodUnderTest], check: Callable[[MethodUnderTest], None]
) -> None:
    check(make())


def _check_documented(method: type[Method]) -> None:
    fields = method.Parameters.model_fields.items()
    undocumented = [name for name, field in fields if not field.description]
    require(not undocumented, f"without help: {', '.join(undocumented)}")
    method.Parameters()


def _check_refusal(method: type[Method]) -> None:
    try:
        method.Parameters(**{"no such parameter": 1})
    except ValidationError:
        return
    raise ContractBroken(
        "an unknown parameter was accepted; derive Parameters from methods.Parameters"
    )


def _check_reason(method: type[Method], task: str) -> None:
    require(bool(method.refuses[task].strip()), "the reason is empty")
