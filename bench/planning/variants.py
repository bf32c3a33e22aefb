"""Variants of methods: their combinations of values, parameters on a dataset, and labels."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping
from typing import Any

from pydantic import ValidationError

from distillation_bench.bench.common.errors import UsageError
from distillation_bench.bench.common.text import truncated
from distillation_bench.bench.planning.configuration.config import Variant
from distillation_bench.bench.planning.configuration.validation_errors import first_error
from distillation_bench.bench.storage.formats.limits import MAX_NAME_LENGTH, is_plain
from distillation_bench.datasets.base import Dataset
from distillation_bench.methods.base import Method


def combinations(variant: Variant) -> Iterator[dict[str, Any]]:
    """Return every combination of a variant's values, by parameter."""
    for values in itertools.product(*variant.values.values()):
        yield dict(zip(variant.values, values, strict=True))


def resolve_parameters(
    method: type[Method], dataset: type[Dataset], values: Mapping[str, Any], variant: Variant
) -> dict[str, Any]:
    """Return all parameters of a method on a dataset: given, else the dataset's, else the default.

    Raises:
        UsageError: a parameter is unknown, or a value is wrong or cannot be stored in a run.
    """
    try:
        parameters = method.Parameters(**{**_dataset_defaults(method, dataset), **values})
    except ValidationError as error:
        path, reason = first_error(error, method.Parameters)
        location = variant.location_of(str(path[0]) if path else "")
        raise UsageError(f"{location}: method {method.name!r}: {reason}") from None
    resolved = parameters.model_dump()
    for name, value in resolved.items():
        if not is_plain(value):
            raise UsageError(
                f"{variant.location_of(name)}: method {method.name!r}: the "
                f"value of {name} can't be recorded: it is not finite, too large, nested too "
                "deeply, or of a kind that YAML lacks"
            )
    return resolved


def _dataset_defaults(method: type[Method], dataset: type[Dataset]) -> dict[str, Any]:
    """Return a dataset's values of the parameters that are marked as depending on it."""
    return {
        name: dataset.defaults[name]
        for name, field in method.Parameters.model_fields.items()
        if isinstance(field.json_schema_extra, dict)
        and field.json_schema_extra.get("dataset")
        and name in dataset.defaults
    }


def label_of(variant: Variant, values: Mapping[str, Any]) -> str:
    """Return `method[parameter=value,…]` with the given values in canonical form.

    The label of a variant that has one of its own shows only the parameters with several values.

    Raises:
        UsageError: the label is too long, or not printable.
    """
    if variant.label:
        values = {name: value for name, value in values.items() if len(variant.values[name]) > 1}
    name = variant.label or variant.method
    shown = ",".join(f"{key}={_format(value)}" for key, value in sorted(values.items()))
    label = f"{name}[{shown}]" if shown else name
    if len(label) > MAX_NAME_LENGTH or not label.isprintable():
        raise UsageError(
            f"{variant.location}: {truncated(label)!r} can't be used as a label: it is longer than "
            f"{MAX_NAME_LENGTH:,} characters, or can't be printed"
        )
    return label


def _format(value: Any) -> str:
    if value is None or isinstance(value, bool):
        return str(value).lower()
    return f"{value:g}" if isinstance(value, float) else str(value).replace(" ", "")
