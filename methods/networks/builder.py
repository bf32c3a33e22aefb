"""What every family of networks builds."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Generator, nn

    from distillation_bench.methods.networks.batched import Stacked


class NetworkBuilder(ABC):
    """Builds networks of one family for the inputs and the K outputs of a dataset.

    Every module holds n networks. It takes inputs [B, ...] or, different for each network,
    [n, B, ...], and returns [n, B, ...]. A single network is a module with n = 1.
    """

    outputs: int

    @abstractmethod
    def members(self, generators: Sequence[Generator]) -> nn.Module:
        """Return M members of a teacher as one module, one per generator: [M, B, K]."""

    @abstractmethod
    def core(self, generator: Generator) -> nn.Module:
        """Return the shared part of a student: features [1, B, ...]."""

    @abstractmethod
    def heads(self, count: int, generator: Generator) -> Stacked:
        """Return the separate parts of a student, on the core's features: [count, B, K]."""

    @abstractmethod
    def trunk(self, generator: Generator) -> tuple[nn.Module, int]:
        """Return a core and one head without its last layer, features [1, B, F]; and F."""
