"""The promises of a method."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Iterator
from functools import partial

from pydantic import ValidationError

from distillation_bench.bench.check.method_trial import TestBed
from distillation_bench.bench.check.promises import Broken, Check, require
from distillation_bench.bench.check.whole_cell import Journeys
from distillation_bench.methods import Method
from distillation_bench.methods.tasks import TASKS


def method_checks(method: type[Method], journeys: Journeys) -> Iterator[Check]:
    """The promises of a method, for each task that it does not refuse."""
    yield f"{method.name}: parameters are documented", lambda: _documented(method)
    yield f"{method.name}: a wrong parameter is refused", lambda: _refuses_unknown(method)
    for task in TASKS:
        start = f"{method.name}, {task}:"
        if task in method.refuses:
            yield f"{start} refused with a reason", partial(_gives_reason, method, task)
            continue
        # Made within the first check: a method that can't be made fails that, not the program.
        bed = functools.cache(partial(TestBed, method, task))
        for promise, check in PROMISES.items():
            yield f"{start} {promise}", partial(_kept, bed, check)
        yield f"{start} {AGAIN}", partial(_kept, bed, journeys.repeat)


def resume_checks(methods: Iterable[type[Method]], journeys: Journeys) -> Iterator[Check]:
    """That cells go on elsewhere; after all the others, since one process does all of them."""
    for method in methods:
        for task in [each for each in TASKS if each not in method.refuses]:
            name = f"{method.name}, {task}: an interrupted run goes on in another process"
            yield name, partial(journeys.resume, method.name, task)


def _kept(bed: Callable[[], TestBed], check: Callable[[TestBed], None]) -> None:
    check(bed())


def _documented(method: type[Method]) -> None:
    bare = [name for name, f in method.Parameters.model_fields.items() if not f.description]
    require(not bare, f"without help: {', '.join(bare)}")
    method.Parameters()


def _refuses_unknown(method: type[Method]) -> None:
    try:
        method.Parameters(**{"no such parameter": 1})
    except ValidationError:
        return
    raise Broken("an unknown parameter was accepted; derive Parameters from methods.Parameters")


def _gives_reason(method: type[Method], task: str) -> None:
    require(bool(method.refuses[task].strip()), "the reason is empty")


AGAIN = "a whole run gives the same values twice"
PROMISES: dict[str, Callable[[TestBed], None]] = {
    "gives outputs [S, B, K]": TestBed.outputs_have_shape,
    "finite terms and a gradient for every parameter": TestBed.gradients_reach_all,
    "terms are finite at extreme outputs": TestBed.terms_are_robust,
    "weights name terms of the loss": TestBed.weights_name_terms,
    "some term has a weight": TestBed.learns,
    "the prediction is a distribution": TestBed.predicts_distribution,
    "the same after save and load": TestBed.survives_saving,
}
