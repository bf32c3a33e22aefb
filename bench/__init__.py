"""The public API, imported when it is used; in it the engine, which knows no particular method.

Names of `distillation_bench`:

run         runs cells, as the command `run` does, and returns their results
load        reads the results of runs
Results     what both return
UsageError  a mistake of the user, in one line
figure      registers a kind of figure, as a decorator
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from distillation_bench.bench.api.results import Results, load
    from distillation_bench.bench.api.run import run
    from distillation_bench.bench.common.errors import UsageError
    from distillation_bench.bench.figures.registry import figure

__all__ = ["Results", "UsageError", "figure", "load", "run"]

_MODULES = {
    "Results": "api.results",
    "UsageError": "common.errors",
    "figure": "figures.registry",
    "load": "api.results",
    "run": "api.run",
}
"""The modules of public names: the program and its help need not wait for pandas."""

if not TYPE_CHECKING:

    def __getattr__(name: str) -> Any:
        """Import a public name; from then on messages are in the words of Python."""
        if name not in _MODULES:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        importlib.import_module(f"{__name__}.api.python_words").use_python_words()
        return getattr(importlib.import_module(f"{__name__}.{_MODULES[name]}"), name)
