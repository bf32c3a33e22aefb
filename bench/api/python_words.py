"""Messages in the words of Python: `methods=` where the command line has `--method`."""

from __future__ import annotations

import re

from distillation_bench.bench.common import errors

OPTIONS = {
    "methods": "-m",
    "datasets": "-d",
    "seeds": "-s",
    "recipe": "--set",
    "plugins": "--plugin",
}
"""The options of arguments that have another name than their option."""
_ARGUMENTS = {
    **{option: name for name, option in OPTIONS.items()},
    "--method": "methods",
    "--dataset": "datasets",
    "--label": "methods",
    "--seeds": "seeds",
}
_FLAGS = ("download", "fail_fast", "force", "mixed", "retry_failed")
_NAMES = (
    *("baseline", "cache", "cells_per_gpu", "checkpoint", "corruptions", "data_root", "device"),
    *("executor", "jobs", "metric", "ood", "preset", "results", "scheduler", "timeout"),
    *("font", "on", "seed", "width"),
)
_OPTION = re.compile(r"(?<![\w'\"/-])(--?[a-z][a-z-]*)(?![\w=/-])(:| (?!or |and |to |twice))?")


def option_of(argument: str) -> str:
    """Return the command line's option of an argument of `run`."""
    return OPTIONS.get(argument) or f"--{argument.replace('_', '-')}"


def in_python_words(message: str) -> str:
    """Return a message about options as one about arguments."""
    message = re.sub(r"\b(the )?same command\b", r"\1same call", message)
    message = re.sub(r"--plugin (?!or |and |to )(\S+)$", r'plugins=["\1"]', message)
    return _OPTION.sub(_argument, message)


def _argument(match: re.Match[str]) -> str:
    option, end = match[1], match[2] or ""
    name = _ARGUMENTS.get(option) or option.lstrip("-").replace("-", "_")
    if name in _FLAGS:
        return f"{name}=True{end}"
    if name in _NAMES or option in _ARGUMENTS:
        return f"{name}:" if end == ":" else f"{name}="
    # An option of another program, such as a cluster's.
    return match[0]


def use_python_words() -> None:
    """Let all errors of this process be worded for Python."""
    errors.word(in_python_words)
