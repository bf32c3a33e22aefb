"""Arrays that are stored beside a cell's record, and the values of cells that have them.

The arrays are described in bench/training/evaluation/figure_arrays.py.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import numpy as np
import pandas as pd

from distillation_bench.bench.common.errors import nearest
from distillation_bench.bench.figures.registry import NoData
from distillation_bench.bench.metrics.uncertainties import UNCERTAINTIES

Curves = Mapping[str, np.ndarray]


def defined(curves: Curves) -> Curves:
    """Return the arrays without curves that are nan throughout, since a score of an example is."""
    by_score = ("roc/", "selective/")
    return {k: a for k, a in curves.items() if not (k.startswith(by_score) and np.isnan(a).all())}


def are_consistent(curves: Curves) -> bool:
    """Return whether arrays, each of a valid shape, are finite or undefined and fit each other."""
    full = {k: a for k, a in defined(curves).items() if not k.startswith("reliability/")}
    if not all(np.isfinite(array).all() for array in full.values()):
        return False
    for name, array in curves.items():
        kind, _, rest = name.partition("/")
        if kind == "histogram" and not np.all(curves.get(f"upper/{rest}", 0) > 0):
            return False
        if kind == "fidelity" and not array.size:
            return False
    has_canvas = any(name.startswith("canvas/") for name in curves)
    return not has_canvas or _canvas_is_consistent(curves)


def _canvas_is_consistent(curves: Curves) -> bool:
    required = [f"{kind}/{axis}" for kind in ("canvas", "train") for axis in "xy"]
    required += [f"canvas/{name}" for name in UNCERTAINTIES]
    if any(name not in curves for name in required):
        return False
    points = {kind: curves[f"{kind}/x"] for kind in ("canvas", "train")}
    if points["canvas"].shape[1] != points["train"].shape[1] or not points["canvas"].size:
        return False
    passes = curves.get("canvas/passes")
    if passes is not None:
        if passes.ndim != 2 or not passes.size:
            return False
        if passes.shape[1] != len(points["canvas"][points_of_passes(curves)]):
            return False
    return all(
        len(array) == len(points[name.partition("/")[0]])
        for name, array in curves.items()
        if name.partition("/")[0] in points and name != "canvas/passes"
    )


def points_of_passes(curves: Curves) -> slice:
    """Return at which points of the canvas `canvas/passes` is stored."""
    return slice(None, None, -(-len(curves["canvas/x"]) // curves["canvas/passes"].shape[1]))


def set_name(selector: str) -> str:
    """Return an evaluation set as arrays name it: `rotation/3` is `test/rotation/3`."""
    return f"test/{selector}" if "/" in selector and not selector.startswith("test/") else selector


def sets_to_show(selectors: Sequence[str], curves: Iterable[Curves], prefix: str) -> list[str]:
    """Return the selected evaluation sets, by default the test set and the first OOD set.

    Args:
        selectors: selected sets; none for the default.
        curves: arrays of each label.
        prefix: what the names of the needed arrays begin with, before the set.

    Raises:
        NoData: no array of a selected set is stored.
    """
    stored = {name.removeprefix(prefix) for c in curves for name in c if name.startswith(prefix)}
    selected = [set_name(selector) for selector in selectors]
    for name in selected:
        if name not in stored:
            raise NoData(f"no set {name}{nearest(name, stored)}")
    default = ["test", *sorted(name for name in stored if name.startswith("ood:"))][:2]
    return selected or [name for name in default if name in stored]


def with_arrays(values: pd.DataFrame, arrays: Mapping[str, Mapping[int, object]]) -> pd.DataFrame:
    """Return the rows of values whose cells have arrays, by label and seed."""
    cells = zip(values["label"], values["seed"], strict=True)
    return values[[seed in arrays.get(label, ()) for label, seed in cells]]
