"""Cores, heads and members as batched modules, and the families that build them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from methods.networks.base import Networks
from methods.networks.mlp import MLPNetworks

__all__ = ["FAMILIES", "Networks", "build_networks"]

FAMILIES: dict[str, Callable[..., Networks]] = {"mlp": MLPNetworks}


def build_networks(description: Mapping[str, Any], inputs: int, outputs: int) -> Networks:
    """The builders for a dataset's `network` description, whose `family` names them.

    Raises:
        KeyError: an unknown family.
    """
    options = {name: value for name, value in description.items() if name != "family"}
    return FAMILIES[description["family"]](inputs=inputs, outputs=outputs, **options)
