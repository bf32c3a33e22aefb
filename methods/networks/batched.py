"""n copies of any network as one module."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from typing import TypeVar

import torch
from torch import Generator, Tensor, nn
from torch.func import functional_call, vmap

from distillation_bench.methods.networks.options import Batching

AnyModule = TypeVar("AnyModule", bound=nn.Module)

ALIGNMENT = 64
"""Memory that torch allocates begins at a multiple of this many bytes."""


class Stacked(nn.Module, ABC):
    """n networks whose parameters are stacked along the first axis.

    A forward pass takes [B, ...] or [n, B, ...] and returns [n, B, K].

    Attributes:
        count: n.
    """

    count: int

    @abstractmethod
    def rows(self) -> Iterator[Tensor]:
        """Yield the weights and biases of linear and convolutional layers, [n, outputs, inputs]."""


class Batched(Stacked):
    """n copies of a plain module, each with its own weights and statistics.

    Computed one after another ("turn"), a network has the same bits whatever else is in the stack.
    Computed as one grouped convolution ("vmap"), the order of sums depends on the stack.

    Args:
        make: builds a plain module that takes [B, ...]; draws its weights from torch's global
            stream.
        generators: one per network; networks may share one.
        batching: "turn" or "vmap".
        rank: number of dimensions of [B, ...]; None: inputs always have an axis before these.
    """

    def __init__(
        self,
        make: Callable[[], nn.Module],
        generators: Sequence[Generator],
        batching: Batching = "turn",
        rank: int | None = 4,
    ) -> None:
        super().__init__()
        self.count = len(generators)
        self.batching = batching
        self.rank = rank
        # This module holds the stacks as its parameters and buffers; it is never called itself.
        self.network = _stack([initialised(make, generator) for generator in generators])

    def forward(self, x: Tensor) -> Tensor:
        stacked = self.rank is None or x.dim() > self.rank
        if stacked and len(x) == 1:
            x, stacked = x.squeeze(0), False
        if self.count > 1 and self.batching == "vmap":
            return self._at_once(x, stacked)
        return self._in_turn(x, stacked)

    def rows(self) -> Iterator[Tensor]:
        for layer in self.network.modules():
            parameters = list(layer.parameters(recurse=False))
            # Layers without a matrix, as normalisations, are left out.
            if any(parameter.dim() > 2 for parameter in parameters):
                for parameter in parameters:
                    yield parameter.flatten(2) if parameter.dim() > 2 else parameter[..., None]

    def _in_turn(self, x: Tensor, stacked: bool) -> Tensor:
        inputs = x.unbind(0) if stacked else [x] * self.count
        slices = {name: _slices(stack) for name, stack in self.network.named_parameters()}
        # Views, not copies, because buffers are updated in place.
        slices |= {name: stack.unbind(0) for name, stack in self.network.named_buffers()}
        outputs: list[Tensor] = []
        for index, x_of_network in enumerate(inputs):
            tensors = {name: of_networks[index] for name, of_networks in slices.items()}
            outputs.append(functional_call(self.network, tensors, (x_of_network,)))
        if self.count == 1:
            return outputs[0].unsqueeze(0)
        # Multiplied by 1, so that each network's gradient has its own, aligned memory.
        return torch.stack([output * 1 for output in outputs])

    def _at_once(self, x: Tensor, stacked: bool) -> Tensor:
        def forward(tensors: dict[str, Tensor], x: Tensor) -> Tensor:
            output: Tensor = functional_call(self.network, tensors, (x,))
            return output

        parameters, buffers = self.network.named_parameters(), self.network.named_buffers()
        dimensions = (0, 0 if stacked else None)
        outputs: Tensor = vmap(forward, in_dims=dimensions)(
            {**dict(parameters), **dict(buffers)}, x
        )
        return outputs


def _slices(stack: Tensor) -> Sequence[Tensor]:
    """Return each network's part of a stack, aligned as memory of its own would be.

    Kernels choose the order of a sum by the address of a matrix. `unbind` is used because its
    gradient is one stack, while the gradient of an index has the size of the stack for each
    network.
    """
    parts: Sequence[Tensor] = stack.unbind(0)
    aligned = len(stack) == 1 or stack[0].numel() * stack.element_size() % ALIGNMENT == 0
    return parts if aligned else [part.clone() for part in parts]


def initialised(make: Callable[[], AnyModule], generator: Generator) -> AnyModule:
    """Build a module with weights from a generator; torch's global stream is left unchanged."""
    seed = int(torch.randint(2**63 - 1, (), generator=generator))
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)
        module = make()
    for parameter in module.parameters():
        parameter.data = _with_layout(parameter)
    return module


def _stack(networks: Sequence[nn.Module]) -> nn.Module:
    """Return the first network, with the stacked parameters and buffers of all networks."""
    for first, *others in zip(*(network.modules() for network in networks), strict=True):
        for name, parameter in list(first.named_parameters(recurse=False)):
            parts = [parameter, *(other.get_parameter(name) for other in others)]
            setattr(first, name, nn.Parameter(torch.stack([part.detach() for part in parts])))
        for name, buffer in list(first.named_buffers(recurse=False)):
            stack = torch.stack([buffer, *(other.get_buffer(name) for other in others)])
            setattr(first, name, stack)
    return networks[0]


def _with_layout(parameter: nn.Parameter) -> Tensor:
    """Return a parameter in the memory layout that convolutions of channels-last images need."""
    # With one plane, both layouts are the same to torch, and some of its convolutions fail.
    planar = parameter.dim() == 4 and min(parameter.shape[:2]) > 1
    format = torch.channels_last if planar else torch.contiguous_format
    return parameter.detach().contiguous(memory_format=format)
