"""Cores, heads and members as batched modules, and the families that build them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from distillation_bench.methods.networks.builder import NetworkBuilder
from distillation_bench.methods.networks.options import options_of

__all__ = ["NetworkBuilder", "network_builder"]


def network_builder(
    description: Mapping[str, Any], shape: tuple[int, ...], outputs: int
) -> NetworkBuilder:
    """The builders for a dataset's `network` description.

    Args:
        description: `family` and its options; what is not given has its default.
        shape: of one input, [channels, side, side] of images.
        outputs: of each network, K.

    Raises:
        ValueError: an unknown family, or inputs that it can't take.
        pydantic.ValidationError: an unknown option or a wrong value.
    """
    # Not at the top: options are read without torch.
    from distillation_bench.methods.networks.families import FAMILIES

    options = options_of(description)
    return FAMILIES[options.family](options, shape, outputs)
