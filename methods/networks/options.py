"""The options of each family of networks; this module does not import torch.

In the families of this suite, `member` describes the networks of the teacher, `core` the shared
part of a student and `head` its separate parts. So the teacher depends on neither core nor head.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, ClassVar, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, field_validator

Size = Annotated[int, Field(ge=1)]
Sizes = list[Size]
Batching = Literal["turn", "vmap"]
"""Networks computed one after another, or as one grouped convolution."""
STUDENT_PARTS = frozenset({"core", "head"})


class NetworkOptions(BaseModel):
    """The options of a family: typed, documented and frozen; unknown names are refused.

    Attributes:
        family: the name that a configuration gives.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)

    family: ClassVar[str]
    needs_images: ClassVar[bool] = False
    """Whether inputs have to be images."""
    of_students: ClassVar[frozenset[str]] = frozenset()
    """Options that no member depends on, so that teachers are the same whatever their values."""

    example: ClassVar[tuple[int, ...] | None] = None
    """The shape of an input that `check` tries; None: a small vector, or a small image."""

    def products(self, shape: Sequence[int], outputs: int) -> tuple[int, int, int] | None:
        """Return the multiplications of an input's pass through a member, a core and a head.

        The estimate of a run's duration needs them; None if they are not known.

        Args:
            shape: of one input, [C, H, W] for images.
            outputs: of the member and the head.
        """
        return None

    def narrowed(self, factor: float) -> Self:
        """Return the options of networks whose widths are multiplied by a factor.

        Raises:
            ValueError: the family has no networks of other widths.
        """
        if factor != 1:
            raise ValueError(f"networks of the family {self.family} have one width")
        return self


def _scaled(sizes: Sizes, factor: float) -> Sizes:
    """Return sizes times a factor, rounded, at least 1."""
    return [max(1, round(size * factor)) for size in sizes]


class MLPOptions(NetworkOptions):
    """Perceptrons with ReLU between layers."""

    family = "mlp"
    of_students = STUDENT_PARTS

    member: Sizes = Field(description="hidden widths of a member")
    core: Sizes = Field(description="hidden widths of the core")
    head: Sizes = Field(description="hidden widths of a head")

    def narrowed(self, factor: float) -> Self:
        return self.model_copy(update={name: _scaled(sizes, factor) for name, sizes in self})


class _Convolutional(NetworkOptions):
    """Options of all convolutional families."""

    needs_images = True

    batching: Batching = Field(
        "turn", description="networks one after another, or vmap: as one grouped convolution"
    )


class _Scaled(_Convolutional):
    """Options of families whose sizes have a common factor."""

    of_students = STUDENT_PARTS

    width: float = Field(1.0, gt=0, description="factor on every number of planes and width")

    def scaled(self, sizes: Sizes) -> Sizes:
        """Return sizes times `width`, rounded, at least 1."""
        return _scaled(sizes, self.width)

    def narrowed(self, factor: float) -> Self:
        return self.model_copy(update={"width": self.width * factor})


class LeNetOptions(_Scaled):
    """3×3 convolutions, each with a max pool, then dense layers on 4×4."""

    family = "lenet"

    # Images have at least 8 x 8 pixels, enough for three poolings.
    member: Sizes = Field(
        [32, 64], min_length=1, max_length=3, description="planes of a member's convolutions"
    )
    dense: Sizes = Field([128], description="hidden widths of a member's dense layers")
    core: Sizes = Field(
        [128, 32], min_length=1, max_length=3, description="planes of the core's convolutions"
    )
    head: Sizes = Field([128, 128], description="hidden widths of a head, which is dense")


class ResNetOptions(_Scaled):
    """Basic residual blocks with batch normalisation, in stages of halved sides."""

    family = "resnet"

    member: Sizes = Field([32, 64, 128, 256], min_length=1, description="planes of stages")
    core: Sizes = Field([96, 192, 256], min_length=1, description="planes of the core's stages")
    head: Sizes = Field([128], description="planes of a head's stages; none: a linear layer alone")
    blocks: int = Field(2, ge=1, description="residual blocks in every stage")


class ResNet18Options(ResNetOptions):
    """ResNet-18 for CIFAR: a student is a member whose last stage is the head."""

    family = "resnet18"

    member: Sizes = Field([64, 128, 256, 512], min_length=1, description="planes of stages")
    core: Sizes = Field([64, 128, 256], min_length=1, description="planes of the core's stages")
    head: Sizes = Field([512], description="planes of a head's stages; none: a linear layer alone")


class WideResNetOptions(_Convolutional):
    """Pre-activated wide residual networks: a student is a member whose last group is the head."""

    family = "wide-resnet"

    widen: int = Field(2, ge=1, description="w: planes are 16w, 32w, 64w")
    depth: int = Field(28, ge=10, description="layers: 4 + 6 times the blocks of a group")

    def narrowed(self, factor: float) -> Self:
        return self.model_copy(update={"widen": max(1, round(self.widen * factor))})

    @field_validator("depth")
    @classmethod
    def _whole_blocks(cls, value: int) -> int:
        if (value - 4) % 6:
            raise ValueError(f"{value} is not 4 + 6 times the blocks of a group: 10, 16, 22, 28, …")
        return value
