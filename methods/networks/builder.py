"""What every family of networks can build."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Generator, nn

    from distillation_bench.methods.networks.batched import Stacked


class NetworkBuilder(ABC):
    """Builders of one family, for a dataset's inputs and outputs K.

    Every module takes inputs [B, ...] or, with a row for each of its n networks, [n, B, ...], and
    gives [n, B, ...]. A plain network is one with n = 1.
    """

    outputs: int

    @abstractmethod
    def members(self, generators: Sequence[Generator]) -> nn.Module:
        """A batch of teacher members, one per generator: [M, B, K]."""

    @abstractmethod
    def core(self, generator: Generator) -> nn.Module:
        """A student's shared part: features [1, B, ...]."""

    @abstractmethod
    def heads(self, count: int, generator: Generator) -> Stacked:
        """A student's separate parts on the core's features: [count, B, K]."""

    @abstractmethod
    def trunk(self, generator: Generator) -> tuple[nn.Module, int]:
        """Core and one head without its last layer: features [1, B, F], and F."""
