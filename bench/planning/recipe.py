"""The recipe: how the teacher and the students of a dataset are trained, whatever the method."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationInfo, field_validator

from distillation_bench.bench.storage.formats.limits import MAX_SEED
from distillation_bench.methods.networks.families import FAMILIES

VIEWS = ("crop", "flip", "mixup")
"""Augmentations, in the order in which they are applied."""


class Recipe(BaseModel):
    """Values of training: a dataset's defaults, replaced by those of a preset or of `--set`."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)

    members: int = Field(5, ge=1, le=1000, description="networks in the teacher")
    epochs: int = Field(200, ge=1, le=1_000_000, description="passes over the training split")
    batch_size: int = Field(256, ge=1, description="examples a step")
    learning_rate: float = Field(0.01, gt=0, description="Adam's, annealed to 0 by half a cosine")
    weight_decay: float = Field(1e-4, ge=0, description="½ wd ‖θ‖² in the teacher's loss")
    student_weight_decay: float = Field(1e-7, ge=0, description="the same in a student's loss")
    clip: float = Field(5.0, gt=0, description="bound on the norm of each network's gradient")
    select: Literal["last", "validation"] = Field(
        "last", description="weights kept: the last epoch's, or those best on validation"
    )
    augment: str = Field("", description="views of images: crop, flip, mixup, joined by +")
    precision: Literal["float32", "bfloat16"] = Field(
        "float32", description="of convolutions and products"
    )
    examples: int | None = Field(None, ge=1, description="training examples used; none: all")
    test_examples: int | None = Field(
        None, ge=1, description="of the test split, of each shift of it and each OOD set; none: all"
    )
    data_seed: int | None = Field(
        None, ge=0, le=MAX_SEED, description="seed of the splits; none: the cell's"
    )
    piece: int | None = Field(
        None,
        ge=1,
        description="members trained as one job; none: 10 perceptrons, 1 other network",
    )
    network: dict[str, Any] = Field(
        default_factory=dict, description="family and its options: network.width=0.5"
    )

    @field_validator("augment")
    @classmethod
    def _check_views(cls, value: str) -> str:
        views = value.split("+") if value else []
        unknown = [view for view in views if view not in VIEWS]
        if unknown or len(set(views)) < len(views):
            raise ValueError(f"{value!r} is not made of {', '.join(VIEWS)}, joined by +")
        return "+".join(view for view in VIEWS if view in views)

    @field_validator("network")
    @classmethod
    def _check_batching(cls, value: dict[str, Any], info: ValidationInfo) -> dict[str, Any]:
        # Under vmap, torch's autocast does not reach convolutions.
        if value.get("batching") == "vmap" and info.data.get("precision") == "bfloat16":
            raise ValueError("batching=vmap computes in float32 alone; give batching=turn")
        return value

    @property
    def views(self) -> tuple[str, ...]:
        """The augmentations, in the order in which they are applied."""
        return tuple(self.augment.split("+")) if self.augment else ()

    @property
    def piece_size(self) -> int:
        """The number of members that one job trains."""
        if self.piece is not None:
            return self.piece
        if self._stacked:
            return self.members
        return 10 if self.network.get("family") == "mlp" else 1

    @property
    def _stacked(self) -> bool:
        return self.network.get("batching") == "vmap"

    @property
    def _of_students(self) -> frozenset[str]:
        """The options of the network that no member depends on."""
        return FAMILIES[self.network["family"]].options.of_students

    def training(self) -> dict[str, Any]:
        """Return the values that a cell's results depend on, as plain values.

        How members are cut into pieces is not one of them, except for convolutional networks that
        are computed as one grouped convolution: the order of its sums depends on the groups.
        """
        values = self.model_dump(exclude={"piece"})
        return values | {"piece": self.piece_size} if self._stacked else values

    def for_teacher(self) -> dict[str, Any]:
        """Return the values that the teacher depends on, without those of students and data."""
        values = self.training()
        for name in ("student_weight_decay", "examples", "test_examples", "data_seed"):
            del values[name]
        values["network"] = {k: v for k, v in self.network.items() if k not in self._of_students}
        return values


def recipe_for(dataset_recipe: Any, network: Any, values: dict[str, Any]) -> Recipe:
    """Return a dataset's recipe with the given values over it.

    Raises:
        pydantic.ValidationError: a name is unknown, or a value is wrong.
    """
    return Recipe(**{**dataset_recipe, "network": dict(network), **values})
