"""Networks as batched modules: members of a teacher, cores and heads of students.

heads       students: a core with heads, dropout or a Gaussian in the last layer
options     the options of each family of networks; does not import torch
mlp         perceptrons, and the batched linear layer
builder     what every family of networks builds
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from distillation_bench.methods.networks.builder import NetworkBuilder
from distillation_bench.methods.networks.options import options_of

__all__ = ["NetworkBuilder", "network_builder"]


def network_builder(
    description: Mapping[str, Any], shape: tuple[int, ...], outputs: int
) -> NetworkBuilder:
    """Return the builder for a dataset's `network` description.

    Args:
        description: `family` and its options; an option that is not given has its default.
        shape: of one input, [C, H, W] for images.
        outputs: of each network, K.

    Raises:
        ValueError: the family is unknown, or does not support inputs of this shape.
        pydantic.ValidationError: an option is unknown or has a wrong value.
    """
    # Imported here, because it imports torch.
    from distillation_bench.methods.networks.families import FAMILIES

    options = options_of(description)
    return FAMILIES[options.family](options, shape, outputs)
