"""BatchEnsemble: M networks that share their weights, up to a factor of rank one in each layer."""

from __future__ import annotations

from collections.abc import Iterator
from copy import deepcopy

import torch
from torch import Generator, Tensor, nn

Layer = nn.Linear | nn.Conv2d


class BatchEnsemble(nn.Module):
    """M networks made from one, Wen et al. 2020 (arXiv 2002.06715): [B, ...] -> [M, B, K].

    In member m, the weight W of each linear or convolutional layer is W ∘ r_m s_mᵀ, and the bias is
    its own. All members are computed in one product or convolution, r ∘ (W (s ∘ x)) + b. All else
    is shared: a normalisation's statistics are those of the examples of all members.

    Args:
        network: a plain network, [B, ...] -> [B, K], which becomes a part of this module.
        count: M.
        generator: for r and s.
        spread: standard deviation of r and s around 1.
        signs: whether each of them has a random sign.
    """

    def __init__(
        self,
        network: nn.Module,
        count: int,
        generator: Generator,
        spread: float = 0.0,
        signs: bool = False,
    ) -> None:
        super().__init__()
        self.count = count
        self.network = network

        def factors(width: int) -> Tensor:
            values = 1 + spread * torch.randn((count, width), generator=generator)
            signed = torch.randn((count, width), generator=generator).sign() * values
            return signed if signs else values

        for name, layer in list(network.named_modules()):
            if isinstance(layer, Layer):
                outputs, inputs = widths(layer)
                network.set_submodule(name, RankOneLayer(layer, factors(outputs), factors(inputs)))

    def forward(self, x: Tensor) -> Tensor:
        # Not `repeat`, which would lose the memory layout.
        outputs: Tensor = self.network(torch.cat([x] * self.count))
        return outputs.view(self.count, -1, *outputs.shape[1:])

    def layers(self) -> Iterator[tuple[str, RankOneLayer]]:
        """Yield the layers that differ between members, with their names in the network."""
        for name, layer in self.network.named_modules():
            if isinstance(layer, RankOneLayer):
                yield name, layer

    def factors(self) -> list[nn.Parameter]:
        """Return r and s of each layer."""
        return [factor for _, layer in self.layers() for factor in (layer.r, layer.s)]

    def deviation(self) -> Tensor:
        """Return ½ Σ [(1 − r)² + (1 − s)²] / M, over all layers and members."""
        factors = torch.cat([factor.flatten() for factor in self.factors()])
        return (1 - factors).square().sum() / (2 * self.count)


class RankOneLayer(nn.Module):
    """A layer of a BatchEnsemble: r ∘ (W (s ∘ x)) + b for the members' inputs [M · B, ...].

    Args:
        layer: has the weight W; its bias is where each member's starts, if it has one.
        r: factors of outputs [M, outputs].
        s: factors of inputs [M, inputs].
    """

    def __init__(self, layer: Layer, r: Tensor, s: Tensor) -> None:
        super().__init__()
        bias = layer.bias
        self.layer = layer
        self.r, self.s = nn.Parameter(r), nn.Parameter(s)
        self.bias = None if bias is None else nn.Parameter(bias.detach().repeat(len(r), 1))
        layer.bias = None

    def forward(self, x: Tensor) -> Tensor:
        outputs: Tensor = self.layer(x * _of_examples(self.s, x))
        r = _of_examples(self.r, outputs)
        if self.bias is None:
            return outputs * r
        return torch.addcmul(_of_examples(self.bias, outputs), outputs, r)

    def mean(self) -> Layer:
        """Return the plain layer whose r, s and bias are the means over members."""
        layer = deepcopy(self.layer)
        outputs, _ = widths(layer)
        groups = getattr(layer, "groups", 1)
        # Output o of group g sees the inputs of group g alone.
        s = self.s.mean(0).view(groups, 1, -1).expand(-1, outputs // groups, -1).flatten(0, 1)
        scale = self.r.mean(0)[:, None] * s
        more = [1] * (layer.weight.dim() - 2)
        layer.weight = nn.Parameter(layer.weight.detach() * scale.view(*scale.shape, *more))
        if self.bias is not None:
            layer.bias = nn.Parameter(self.bias.mean(0))
        return layer


def merge(ensemble: BatchEnsemble) -> nn.Module:
    """Return the ordinary network [B, ...] -> [B, K] whose r, s and biases are the members' means.

    Nam et al. 2022 (arXiv 2206.15047). r and s are averaged each for itself, not their products.
    """
    with torch.no_grad():
        network = deepcopy(ensemble.network)
        for name, layer in ensemble.layers():
            network.set_submodule(name, layer.mean())
    return network


def widths(layer: Layer) -> tuple[int, int]:
    """Return the number of outputs and inputs of a layer, for images those of planes."""
    if isinstance(layer, nn.Linear):
        return layer.out_features, layer.in_features
    return layer.out_channels, layer.in_channels


def _of_examples(values: Tensor, x: Tensor) -> Tensor:
    """Return values [M, F] as those of each example of x, [M · B, F, ...]."""
    members, width = values.shape
    each = values[:, None].expand(-1, len(x) // members, -1)
    return each.reshape(len(x), width, *[1] * (x.dim() - 2))
