"""pydantic's errors in one line."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ValidationError

from distillation_bench.bench.common.errors import nearest


def first_error(error: ValidationError, model: type[BaseModel]) -> tuple[tuple[Any, ...], str]:
    """Return the path of one wrong value and the reason; an unknown name comes before others.

    Args:
        error: what the model raised.
        model: its fields are suggested for an unknown name.
    """
    errors = error.errors(include_url=False)
    # A misspelt name also leaves the right name missing: report the misspelling.
    first = next((entry for entry in errors if entry["type"] == "extra_forbidden"), errors[0])
    path = first["loc"]
    name = ".".join(str(part) for part in path if not isinstance(part, int))
    if first["type"] == "extra_forbidden":
        return path, f"unknown name {name!r}{nearest(str(path[-1]), model.model_fields)}"
    if first["type"] == "value_error":
        return path, f"{name}: {first['msg'].removeprefix('Value error, ')}"
    reason = first["msg"][0].lower() + first["msg"][1:]
    if first["type"] == "missing":
        return path, f"{name}: {reason}"
    return path, f"{name}: {reason}, not {first['input']!r}"
