"""A student with two heads of their own widths on a shared core."""

from __future__ import annotations

from torch import Generator, Tensor, nn

from distillation_bench.methods.networks.builder import NetworkBuilder
from distillation_bench.methods.networks.heads import CoreAndHeads


class TwoHeads(nn.Module):
    """A shared core with two heads: [B, ...] -> [1, B, K] and [1, B, outputs].

    Args:
        networks: builds the core and the heads, as `Setting.networks`.
        outputs: of the second head; the first has the dataset's, K.
        generator: for the initial weights.
    """

    def __init__(self, networks: NetworkBuilder, outputs: int, generator: Generator) -> None:
        super().__init__()
        self.core = networks.core(generator)
        self.first = networks.heads(1, generator)
        self.second = networks.heads(1, generator, outputs)

    @property
    def shared(self) -> nn.Module:
        """The part that all outputs share; one pass of it is enough."""
        return self.core

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        features = self.core(x)
        return self.first(features), self.second(features)

    def second_alone(self) -> CoreAndHeads:
        """Return the core with the second head, as a student of its own that shares the weights."""
        return CoreAndHeads(self.core, self.second)
