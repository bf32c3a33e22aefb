"""Arrays that are stored beside a cell's record, and whether they fit each other.

The arrays are described in bench/training/evaluation/figure_arrays.py.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from distillation_bench.bench.metrics.uncertainties import UNCERTAINTIES

Arrays = Mapping[str, np.ndarray]


def defined(arrays: Arrays) -> Arrays:
    """Return the arrays without arrays that are nan throughout, since a score of an example is."""
    by_score = ("roc/", "selective/")
    return {k: a for k, a in arrays.items() if not (k.startswith(by_score) and np.isnan(a).all())}


def are_consistent(arrays: Arrays) -> bool:
    """Return whether arrays, each of a valid shape, are finite or undefined and fit each other."""
    full = {k: a for k, a in defined(arrays).items() if not k.startswith("reliability/")}
    if not all(np.isfinite(array).all() for array in full.values()):
        return False
    for name, array in arrays.items():
        kind, _, rest = name.partition("/")
        if kind == "histogram" and not np.all(arrays.get(f"upper/{rest}", 0) > 0):
            return False
        if kind == "fidelity" and not array.size:
            return False
    has_canvas = any(name.startswith("canvas/") for name in arrays)
    return not has_canvas or _canvas_is_consistent(arrays)


def _canvas_is_consistent(arrays: Arrays) -> bool:
    required = [f"{kind}/{axis}" for kind in ("canvas", "train") for axis in "xy"]
    required += [f"canvas/{name}" for name in UNCERTAINTIES]
    if any(name not in arrays for name in required):
        return False
    points = {kind: arrays[f"{kind}/x"] for kind in ("canvas", "train")}
    if points["canvas"].shape[1] != points["train"].shape[1] or not points["canvas"].size:
        return False
    passes = arrays.get("canvas/passes")
    if passes is not None:
        if passes.ndim != 2 or not passes.size:
            return False
        if passes.shape[1] != len(points["canvas"][points_of_passes(arrays)]):
            return False
    return all(
        len(array) == len(points[name.partition("/")[0]])
        for name, array in arrays.items()
        if name.partition("/")[0] in points and name != "canvas/passes"
    )


def points_of_passes(arrays: Arrays) -> slice:
    """Return at which points of the canvas `canvas/passes` is stored."""
    return slice(None, None, -(-len(arrays["canvas/x"]) // arrays["canvas/passes"].shape[1]))
