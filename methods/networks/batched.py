"""n networks as one module, whatever they are made of."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence

import torch
from torch import Generator, Tensor, nn
from torch.func import functional_call, vmap

from distillation_bench.methods.networks.options import Batching

ALIGNMENT = 64
"""Bytes: memory that torch hands out begins at a multiple."""


class Stacked(nn.Module, ABC):
    """n networks whose parameters are stacks, networks first: [B, ...] or [n, B, ...] -> [n, B, K].

    Attributes:
        count: n.
    """

    count: int

    @abstractmethod
    def rows(self) -> Iterator[Tensor]:
        """Weights and biases of linear and convolutional layers: [n, outputs, rest], rest ≥ 1."""


class Batched(Stacked):
    """n copies of a plain module, each with weights and statistics of its own.

    In turn, a network's outputs have the same bits whatever else is in the stack. As one grouped
    convolution the sums have another order in other stacks.

    Args:
        make: builds a plain module that takes [B, ...], its weights from torch's global stream.
        generators: n of them, one per network; the same one may stand in several places.
        batching: one network after another, or all in one grouped convolution.
        rank: dimensions of [B, ...].
    """

    def __init__(
        self,
        make: Callable[[], nn.Module],
        generators: Sequence[Generator],
        batching: Batching = "turn",
        rank: int = 4,
    ) -> None:
        super().__init__()
        self.count = len(generators)
        self.batching = batching
        self.rank = rank
        # Never called as it is: its parameters and buffers are the stacks.
        self.network = _stack([_drawn(make, generator) for generator in generators])

    def forward(self, x: Tensor) -> Tensor:
        if x.dim() > self.rank and len(x) == 1:
            x = x.squeeze(0)
        if self.count > 1 and self.batching == "vmap":
            return self._at_once(x)
        return self._in_turn(x)

    def rows(self) -> Iterator[Tensor]:
        for layer in self.network.modules():
            parameters = list(layer.parameters(recurse=False))
            # A normalisation scales and shifts, but has no matrix.
            if any(parameter.dim() > 2 for parameter in parameters):
                for parameter in parameters:
                    yield parameter.flatten(2) if parameter.dim() > 2 else parameter[..., None]

    def _in_turn(self, x: Tensor) -> Tensor:
        inputs = x.unbind(0) if x.dim() > self.rank else [x] * self.count
        apart = {name: _slices(stack) for name, stack in self.network.named_parameters()}
        # Updated in place, so never copies.
        apart |= {name: stack.unbind(0) for name, stack in self.network.named_buffers()}
        outputs: list[Tensor] = [
            functional_call(self.network, {name: each[i] for name, each in apart.items()}, (one,))
            for i, one in enumerate(inputs)
        ]
        if self.count == 1:
            return outputs[0].unsqueeze(0)
        # Times 1, so that each network's gradient too begins where memory of its own would.
        return torch.stack([output * 1 for output in outputs])

    def _at_once(self, x: Tensor) -> Tensor:
        def one(tensors: dict[str, Tensor], x: Tensor) -> Tensor:
            output: Tensor = functional_call(self.network, tensors, (x,))
            return output

        parameters, buffers = self.network.named_parameters(), self.network.named_buffers()
        dimensions = (0, 0 if x.dim() > self.rank else None)
        outputs: Tensor = vmap(one, in_dims=dimensions)({**dict(parameters), **dict(buffers)}, x)
        return outputs


def _slices(stack: Tensor) -> Sequence[Tensor]:
    """Each network's part of a stack, beginning where memory of its own would.

    Kernels choose the order of sums by where a matrix begins. The backward pass of `unbind` is one
    stack; that of an index is as large as the stack, for each network.
    """
    parts: Sequence[Tensor] = stack.unbind(0)
    aligned = len(stack) == 1 or stack[0].numel() * stack.element_size() % ALIGNMENT == 0
    return parts if aligned else [part.clone() for part in parts]


def _drawn(make: Callable[[], nn.Module], generator: Generator) -> nn.Module:
    """A module whose weights come from the generator alone; the global stream is left as it is."""
    seed = int(torch.randint(2**63 - 1, (), generator=generator))
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)
        return make()


def _stack(networks: Sequence[nn.Module]) -> nn.Module:
    """The first network, with the stacks of all networks' parameters and buffers."""
    for first, *others in zip(*(network.modules() for network in networks), strict=True):
        for name, parameter in list(first.named_parameters(recurse=False)):
            parts = [parameter, *(other.get_parameter(name) for other in others)]
            setattr(first, name, nn.Parameter(torch.stack([_laid_out(part) for part in parts])))
        for name, buffer in list(first.named_buffers(recurse=False)):
            stack = torch.stack([buffer, *(other.get_buffer(name) for other in others)])
            setattr(first, name, stack)
    return networks[0]


def _laid_out(parameter: nn.Parameter) -> Tensor:
    """Kernels as convolutions of images with channels last want them and give their gradients."""
    # With one plane, torch calls any strides both layouts, and some of its convolutions fail.
    planar = parameter.dim() == 4 and min(parameter.shape[:2]) > 1
    format = torch.channels_last if planar else torch.contiguous_format
    return parameter.detach().contiguous(memory_format=format)
