"""What every family of networks builds."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import OrderedDict
from collections.abc import Sequence
from typing import TYPE_CHECKING, Self

from distillation_bench.methods.lazy import batched, torch
from distillation_bench.methods.networks.options import Batching, NetworkOptions

if TYPE_CHECKING:
    from torch import Generator, nn

    from distillation_bench.methods.networks.batched import Stacked

MIN_SIDE = 8
"""The smallest height and width of images for networks that need images."""


class NetworkBuilder(ABC):
    """Builds networks of one family for the inputs and the K outputs of a dataset.

    A family says which layers its core and its head have; all else follows. It may replace
    what it computes faster, such as many perceptrons in one product.

    Every module that `members`, `core`, `heads` and `trunk` return holds n networks. It takes
    inputs [B, ...] or, different for each network, [n, B, ...], and returns [n, B, ...]. A single
    network is a module with n = 1; `network` returns a plain one.

    Attributes:
        options: of the family.
        shape: of one input, [C, H, W] for images.
        outputs: of each network, K.
    """

    def __init__(self, options: NetworkOptions, shape: tuple[int, ...], outputs: int) -> None:
        if options.needs_images:
            _require_images(shape)
        self.options = options
        self.shape = shape
        self.outputs = outputs

    @abstractmethod
    def core_layers(self, shape: tuple[int, ...]) -> Sequence[nn.Module]:
        """Return the layers of a core for inputs of a shape: [B, *shape] -> features [B, ...]."""

    @abstractmethod
    def head_layers(self, outputs: int) -> Sequence[nn.Module]:
        """Return the layers of a head, the last an `nn.Linear`: features -> [B, outputs]."""

    def member(self) -> nn.Module:
        """Return a plain member of a teacher, [B, ...] -> [B, K]: by default core and head."""
        return self._core_and_head()

    def members(self, generators: Sequence[Generator]) -> nn.Module:
        """Return M members of a teacher as one module, one per generator: [M, B, K]."""
        return batched.Batched(self.member, generators, self._batching, self._rank)

    def stack(self, count: int, generator: Generator) -> nn.Module:
        """Return networks with a core and a head of their own as one module: [count, B, K]."""
        streams = [generator] * count
        return batched.Batched(self._core_and_head, streams, self._batching, self._rank)

    def narrowed(self, factor: float) -> Self:
        """Return a builder of the same networks, all their widths multiplied by a factor."""
        return type(self)(self.options.narrowed(factor), self.shape, self.outputs)

    def core(self, generator: Generator) -> nn.Module:
        """Return the shared part of a student: features [1, B, ...]."""

        def core() -> nn.Module:
            return torch.nn.Sequential(*self.core_layers(self.shape))

        return batched.Batched(core, [generator], rank=self._rank)

    def heads(self, count: int, generator: Generator, outputs: int | None = None) -> Stacked:
        """Return the separate parts of a student: [count, B, outputs].

        They take the core's features, [1, B, ...], or those of each head, [count, B, ...].

        Args:
            count: their number.
            generator: for the initial weights.
            outputs: of each head; by default K.
        """
        width = outputs or self.outputs

        def head() -> nn.Module:
            return torch.nn.Sequential(*self.head_layers(width))

        return batched.Batched(head, [generator] * count, self._batching, rank=None)

    def trunk(self, generator: Generator) -> tuple[nn.Module, int]:
        """Return a core and one head without its last layer, features [1, B, F]; and F."""
        trunk = batched.Batched(self._core_and_head, [generator], rank=self._rank)
        layers = trunk.network
        assert isinstance(layers, torch.nn.Sequential)
        last = layers.pop(-1)
        if not isinstance(last, torch.nn.Linear):
            family = self.options.family
            raise TypeError(f"the last layer of a head of {family} is not an nn.Linear")
        return trunk, last.in_features

    def network(
        self, generator: Generator, channels: int = 0, outputs: int | None = None
    ) -> nn.Sequential:
        """Return a core and a head as one plain module, [B, ...] -> [B, outputs].

        Its parts are named `core` and `head`. Its weights are in instances of `nn.Linear`,
        `nn.Conv2d` and normalisations, which a method may replace, or call by
        `torch.func.functional_call`.

        Args:
            generator: for the initial weights, distributed as those of members.
            channels: more inputs along the first axis of an input: [B, C + channels, H, W] for
                images, [B, D + channels] for vectors.
            outputs: of the network; by default K.
        """
        first, *others = self.shape

        def network() -> nn.Sequential:
            core = torch.nn.Sequential(*self.core_layers((first + channels, *others)))
            head = torch.nn.Sequential(*self.head_layers(outputs or self.outputs))
            return torch.nn.Sequential(OrderedDict(core=core, head=head))

        return batched.initialised(network, generator)

    def _core_and_head(self) -> nn.Sequential:
        core = self.core_layers(self.shape)
        return torch.nn.Sequential(*core, *self.head_layers(self.outputs))

    @property
    def _rank(self) -> int:
        """The number of dimensions of a batch of inputs."""
        return len(self.shape) + 1

    @property
    def _batching(self) -> Batching:
        batching: Batching = getattr(self.options, "batching", "turn")
        return batching


def _require_images(shape: tuple[int, ...]) -> None:
    """Raise ValueError unless inputs of a shape are images [C, H, W] that are large enough."""
    if len(shape) != 3 or min(shape[1:]) < MIN_SIDE:
        size = "×".join(map(str, shape))
        raise ValueError(
            f"convolutional networks take images of {MIN_SIDE}×{MIN_SIDE} and more, "
            f"not inputs {size}"
        )
