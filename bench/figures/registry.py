"""Kinds of figures by name, those of `families` and those that a plugin adds."""

from __future__ import annotations

import importlib
import inspect
import pkgutil
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

from distillation_bench.bench.common.errors import UsageError, nearest
from distillation_bench.bench.common.registries import REGISTRIES

ORDER = (
    *("metrics", "forest", "maps", "bands", "histograms", "shift", "calibration", "reliability"),
    *("roc", "selective", "fidelity", "cost", "pareto", "ablation", "ranks", "training"),
)
"""The kinds of this package, in the order of lists and pages; those of plugins follow."""

Function = TypeVar("Function", bound=Callable[..., Any])


class NoData(Exception):
    """There is nothing to draw; the message is the reason in a few words."""


@dataclass(frozen=True)
class FigureKind:
    """A kind of figure.

    Attributes:
        name, summary: what it is called, and what it shows in one line.
        needs: which results it needs.
        function: draws it; see `figure`.
        over_datasets: whether a figure shows all datasets, and not one.
        is_plugin: whether it was registered from outside this package.
    """

    name: str
    summary: str
    needs: str
    function: Callable[..., Any]
    over_datasets: bool
    is_plugin: bool


_KINDS: dict[str, FigureKind] = {}
REGISTRIES["figure"] = _KINDS, lambda kind: str(kind.function.__module__)


def figure(
    name: str, summary: str = "", needs: str = "", over_datasets: bool | None = None
) -> Callable[[Function], Function]:
    """Register the decorated function as a kind of figure.

    A function whose first parameter is `data` draws the figures of one dataset from a `FigureData`,
    or of all with `over_datasets`; it returns or yields a `Drawing` for each. A function whose
    first parameter is `results` draws one figure from the selected results, and returns a Figure of
    matplotlib; with a second parameter `ax` it draws into these axes and returns nothing.

    Args:
        name: of the kind.
        summary: what it shows, by default the first line of the function's docstring.
        needs: which results it needs, for the message where there is nothing to draw.
        over_datasets: whether a figure shows all datasets, by default if it draws from `results`.

    Raises:
        UsageError: the name is taken, or the function has other parameters.
    """

    def register(function: Function) -> Function:
        first, *others = inspect.signature(function).parameters
        if first not in ("data", "results") or others not in ([], ["ax"]):
            raise UsageError(f"figure {name}: its function takes data, results, or results and ax")
        is_plugin = not function.__module__.startswith(__package__ or "")
        if name in _KINDS and not (is_plugin and _KINDS[name].is_plugin):
            raise UsageError(f"figure {name}: there is one of this name")
        said = summary or (function.__doc__ or "").strip().partition("\n")[0].rstrip(".")
        over = first == "results" if over_datasets is None else over_datasets
        _KINDS[name] = FigureKind(name, said, needs or "other results", function, over, is_plugin)
        return function

    return register


def figure_kinds() -> dict[str, FigureKind]:
    """Return every kind of figure by name."""
    from distillation_bench.bench.figures import families

    for module in pkgutil.iter_modules(families.__path__):
        importlib.import_module(f"{families.__name__}.{module.name}")
    own = [name for name in ORDER if name in _KINDS]
    return {name: _KINDS[name] for name in dict.fromkeys([*own, *_KINDS])}


def figure_kind(name: str) -> FigureKind:
    """Return a kind of figure; raise UsageError if there is none of this name."""
    kinds = figure_kinds()
    if name not in kinds:
        raise UsageError(f"figure {name}: unknown{nearest(name, kinds)}")
    return kinds[name]
