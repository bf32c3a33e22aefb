"""What was measured of a cell. The driver reads it, so this module does not import torch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np


@dataclass(frozen=True)
class CellResult:
    """What was measured of one cell, as its record keeps it.

    Attributes:
        headline: the metrics of the table of results, by name.
        sets: one entry per evaluation set with its metrics by name, and one with the costs.
        timings: seconds, memory in bytes and the host; they may differ between equal runs.
        environment: versions and hardware.
        history: one row per epoch of training.
        curves: the arrays that figures are drawn from, by name.
    """

    headline: dict[str, float]
    sets: list[dict[str, Any]]
    timings: dict[str, Any]
    environment: dict[str, Any]
    history: list[dict[str, float | int | str]]
    curves: dict[str, np.ndarray]
