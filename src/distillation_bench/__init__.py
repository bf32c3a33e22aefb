"""Compares methods that distil a deep ensemble into one network and keep its uncertainty.

From Python: `run`, `load`, and what they return and raise; docs/python.md shows them.

The program is `distillation-bench` (`python -m distillation_bench`, `run_bench.py` in a clone).
Plugins, which add methods, datasets and metrics, import what they need from these modules:

- `distillation_bench.methods`: the contract of a method, its parameters, `register`
- `distillation_bench.methods.predictions`: what outputs can be turned into
- `distillation_bench.methods.networks`: the builder of a dataset's networks
- `distillation_bench.methods.networks.heads`: students with several heads or samples
- `distillation_bench.datasets`: the contract of a dataset, `register`
- `distillation_bench.bench.metrics`: what a metric gets, `metric` to add one

Public are the names in the `__all__` of these modules; CONTRIBUTING.md lists them. Everything else
may change without notice. The rooms of `distillation_bench.bench` name in their `__all__` the
modules that other rooms may import.
"""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from distillation_bench.bench import Results, UsageError, figure, load, run

__all__ = ["Results", "UsageError", "__version__", "figure", "load", "run"]

__version__ = "0.1.0"

_FOLDER = Path(__file__).parent
if not (_FOLDER / "bench").is_dir():
    # Unpacked without symbolic links: the folders are where the links would lead.
    __path__.append(str(_FOLDER.parents[1]))

if not TYPE_CHECKING:

    def __getattr__(name: str) -> Any:
        """Import a public name when it is used, so that importing the package takes no time."""
        if name not in __all__:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        return getattr(importlib.import_module(f"{__name__}.bench"), name)

    def __dir__() -> list[str]:
        return sorted({*globals(), *__all__})
