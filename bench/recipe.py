"""How teacher and students of one dataset are trained: what all methods share."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field


class Recipe(BaseModel):
    """Training values; a dataset gives its own defaults, a preset or `--set` others."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)

    members: int = Field(5, ge=1, le=1000, description="networks in the teacher")
    epochs: int = Field(200, ge=1, description="passes over the training split")
    batch_size: int = Field(256, ge=1, description="examples a step")
    learning_rate: float = Field(0.01, gt=0, description="Adam's, annealed to 0 by half a cosine")
    weight_decay: float = Field(1e-4, ge=0, description="½ wd ‖θ‖² in the teacher's loss")
    student_weight_decay: float = Field(1e-7, ge=0, description="the same in a student's loss")
    clip: float = Field(5.0, gt=0, description="bound on the norm of each network's gradient")
    select: Literal["last", "validation"] = Field(
        "last", description="weights kept: the last epoch's, or those best on validation"
    )
    data_seed: int | None = Field(None, ge=0, description="seed of the splits; none: the cell's")
    piece: int = Field(
        10, ge=1, description="members trained as one batch; no figure depends on it"
    )
    network: dict[str, Any] = Field(default_factory=dict, description="family and widths")

    def training(self) -> dict[str, Any]:
        """What figures depend on, as plain values."""
        return self.model_dump(exclude={"piece"})

    def for_teacher(self) -> dict[str, Any]:
        """What the teacher depends on: none of the students' own values."""
        values = self.training()
        del values["student_weight_decay"]
        values["network"] = {k: v for k, v in self.network.items() if k not in ("core", "head")}
        return values


def recipe_for(dataset_recipe: Any, network: Any, given: dict[str, Any]) -> Recipe:
    """The dataset's recipe with the given values over it.

    Raises:
        pydantic.ValidationError: an unknown name or a wrong value.
    """
    return Recipe(**{**dataset_recipe, "network": dict(network), **given})
