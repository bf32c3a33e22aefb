"""Typer's error messages in the form of our own: parameter, value, reason."""

from __future__ import annotations

from typing import Any

import typer
from typer.exceptions import TyperException

REASONS = {
    "greater_than_equal": "must be at least {ge:.12g}",
    "less_than_equal": "must be at most {le:.12g}",
    "int_parsing": "not a whole number",
    "float_parsing": "not a number",
}
"""Reasons by pydantic's type of the error."""


def message(error: TyperException) -> str:
    """Return one line, such as `--jobs 0: must be at least 1`, or Typer's own text."""
    if isinstance(error, typer.BadParameter) and error.param:
        # The value that Typer gave to pydantic is in pydantic's error alone.
        cause: Any = error.__cause__
        first = cause.errors(include_url=False)[0] if hasattr(cause, "errors") else {}
        if reason := REASONS.get(first.get("type", "")):
            reason = reason.format(**first.get("ctx", {}))
            return f"{_name(error.param)} {first['input']}: {reason}"
        if not error.message:
            return f"{_name(error.param)}: missing; give {vars(error.param)['help']}"
    return " ".join(error.format_message().split()) + _hint(error)


def _hint(error: TyperException) -> str:
    """Return what to type instead of a recipe's option or of a folder without its option."""
    context: Any = getattr(error, "ctx", None)
    if not context or context.command.name not in ("run", "plan"):
        return ""
    option = str(getattr(error, "option_name", "")).removeprefix("--").replace("-", "_")
    if option:
        from distillation_bench.bench.planning.recipe import Recipe

        is_known = option in Recipe.model_fields
        return f"; values of the recipe are --set {option}=VALUE" if is_known else ""
    return "; the run's folder is --results FOLDER" if "extra argument" in str(error) else ""


def _name(parameter: Any) -> str:
    """Return the name of an option as it is typed, or of an argument as help shows it."""
    option: str = parameter.opts[-1]
    return option if option.startswith("-") else parameter.metavar or option
