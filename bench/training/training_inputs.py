"""What every training of one dataset and seed has in common."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Self

from distillation_bench.bench.planning.recipe import Recipe
from distillation_bench.bench.training.data import PreparedData
from distillation_bench.bench.training.hardware.compute import CPU, Compute


@dataclass(frozen=True, kw_only=True)
class TrainingInputs:
    """What the members of a teacher are trained with, and its students too.

    Attributes:
        data: the splits and the evaluation sets.
        recipe: how networks are trained.
        seed, dataset: what the random streams are named after.
        compute: the device and the precision.
    """

    data: PreparedData
    recipe: Recipe
    seed: int
    dataset: str
    compute: Compute = CPU

    def on_device(self) -> Self:
        """Return the same inputs with the data for training on the device."""
        return replace(self, data=self.data.to(self.compute.device))
