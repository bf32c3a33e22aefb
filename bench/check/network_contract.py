"""The checks of a family of networks."""

from __future__ import annotations

import functools
import json
from collections.abc import Callable, Iterator
from functools import partial

from pydantic import ValidationError

from distillation_bench.bench.check.checks import Check, ContractBroken, require
from distillation_bench.bench.check.network_under_test import NetworkUnderTest
from distillation_bench.methods.networks.families import Family, describe

BUILD_CHECKS: dict[str, Callable[[NetworkUnderTest], None]] = {
    "members give outputs [M, B, K]": NetworkUnderTest.check_members,
    "core and heads give outputs [S, B, K] of any width": NetworkUnderTest.check_core_and_heads,
    "a trunk gives features [1, B, F]": NetworkUnderTest.check_trunk,
    "a plain network gives outputs [B, K] of any width": NetworkUnderTest.check_network,
    "a plain network has the parameters of a core and a head": NetworkUnderTest.check_parameters,
    "a finite gradient for every parameter": NetworkUnderTest.check_gradients,
    "outputs are finite in training and evaluation": NetworkUnderTest.check_finite,
    "in evaluation, an output is that of its example": NetworkUnderTest.check_examples,
    "weights come from the given generator alone": NetworkUnderTest.check_generator,
    "a member is the same alone and among others": NetworkUnderTest.check_stack,
    "batching, if it is an option, changes no output": NetworkUnderTest.check_batching,
    "the same after save and load": NetworkUnderTest.check_saving,
    "products, if given, are numbers": NetworkUnderTest.check_products,
}
"""The checks of what a family builds, by what holds."""


def network_checks(family: Family) -> Iterator[Check]:
    """Yield the checks of a family of networks."""
    start = f"network {family.name}:"
    yield f"{start} options are documented and have defaults", partial(_check_options, family)
    # Made within the first check, so that networks that cannot be made fail a check.
    make = functools.cache(partial(NetworkUnderTest, family))
    for name, check in BUILD_CHECKS.items():
        yield f"{start} {name}", partial(_check_build, make, check)


def _check_build(
    make: Callable[[], NetworkUnderTest], check: Callable[[NetworkUnderTest], None]
) -> None:
    check(make())


def _check_options(family: Family) -> None:
    fields = family.options.model_fields.items()
    undocumented = [name for name, field in fields if not field.description]
    require(not undocumented, f"without description: {', '.join(undocumented)}")
    required = [name for name, field in fields if field.is_required()]
    require(not required, f"without default: {', '.join(required)}; a dataset gives none")
    unknown = family.options.of_students - family.options.model_fields.keys()
    require(not unknown, f"of_students: {', '.join(sorted(unknown))} is no option")
    described = describe({"family": family.name})
    try:
        again = describe(json.loads(json.dumps(described)))
    except (TypeError, ValueError, ValidationError) as error:
        raise ContractBroken(f"options change when they are stored as JSON: {error}") from None
    require(again == described, f"stored as JSON, {described} becomes {again}")
