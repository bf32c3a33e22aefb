"""A network that is a random function: numbers are drawn as inputs and added to features."""

from __future__ import annotations

import torch
from torch import Generator, Tensor, nn


class NoisyNetwork(nn.Module):
    """A plain network with further, random inputs and noise of learned scale before its layers.

    Noise is drawn once for each function, and is the same for all inputs of a batch. It is added
    before each child of the core and the head that has parameters, except the first, which has the
    random inputs: before each linear layer, convolution or residual block.

    Args:
        network: a core and a head, for inputs with more channels.
        channels: their number.
        deviation: standard deviation of the random inputs, and of the other noise at the start; 0:
            no noise.
    """

    def __init__(self, network: nn.Sequential, channels: int, deviation: float) -> None:
        super().__init__()
        self.network = network
        self.channels, self.deviation = channels, deviation
        weighted = [i for i, layer in enumerate(self._layers()) if list(layer.parameters())]
        self.noisy = weighted[1:] if deviation > 0 else []
        self.scales = nn.ParameterList(torch.tensor(deviation) for _ in self.noisy)

    def _layers(self) -> list[nn.Module]:
        return [layer for part in self.network.children() for layer in part.children()]

    def forward(self, x: Tensor, functions: int, generator: Generator) -> Tensor:
        """[B, ...] -> [functions, B, K]."""

        def noise(shape: tuple[int, ...]) -> Tensor:
            """Return numbers [functions, B, ...], the same for all B."""
            drawn = torch.randn((functions, 1, *shape), generator=generator, device=x.device)
            return drawn.expand(-1, len(x), *shape)

        inputs = x.expand(functions, *x.shape)
        if self.channels:
            more = self.deviation * noise((self.channels, *x.shape[2:]))
            inputs = torch.cat([inputs, more], dim=2)
        features = inputs.flatten(0, 1)
        scales = dict(zip(self.noisy, self.scales, strict=True))
        for index, layer in enumerate(self._layers()):
            if index in scales:
                features = features + scales[index] * noise(features.shape[1:]).flatten(0, 1)
            features = layer(features)
        return features.view(functions, len(x), -1)
