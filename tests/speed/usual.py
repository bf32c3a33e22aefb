"""A deep ensemble trained the usual way: images decoded by loader processes, members in turn."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from tests.speed.measure import JOBS, timed
from torch import nn
from torch.nn import functional
from torch.utils.data import DataLoader, Dataset, Subset

from distillation_bench.datasets.image_files.torchvision_import import torchvision_datasets

LOADERS = 2


class Pictures(Dataset[tuple[Any, int]]):
    """Random images of MNIST's size, given as torchvision's MNIST gives them."""

    def __init__(self, count: int, transform: Any) -> None:
        self.images = np.random.default_rng(0).integers(256, size=(count, 28, 28), dtype=np.uint8)
        self.transform = transform

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, index: int) -> tuple[Any, int]:
        return self.transform(Image.fromarray(self.images[index], mode="L")), index % 10


class UsualTeacher:
    """LeNet members one after another, float32, default layout: images × members a second.

    Loading is part of it; the start of the loader's processes is not.
    """

    def __init__(self, images: int, batch: int, members: int, root: Path | None) -> None:
        self.images = images
        self.members = members
        self.loader: DataLoader[Any] = DataLoader(
            _dataset(images, root),
            batch_size=batch,
            shuffle=True,
            num_workers=LOADERS,
            persistent_workers=True,
        )
        next(iter(self.loader))
        self._train(members=1)

    def rate(self) -> float:
        torch.set_num_threads(JOBS)
        return self.images * self.members / timed(lambda: self._train(self.members))

    def _train(self, members: int) -> None:
        for _ in range(members):
            network = lenet(1, (32, 64), (128,))
            optimizer = torch.optim.Adam(network.parameters(), lr=0.001, weight_decay=1e-4)
            for x, y in self.loader:
                optimizer.zero_grad()
                torch.autograd.backward(functional.cross_entropy(network(x), y))
                nn.utils.clip_grad_norm_(network.parameters(), 5.0)
                optimizer.step()


def _dataset(images: int, root: Path | None) -> Dataset[Any]:
    library = torchvision_datasets()
    transforms: Any = importlib.import_module("torchvision.transforms")
    transform = transforms.Compose(
        [transforms.ToTensor(), transforms.Normalize((0.1307,), (0.3081,))]
    )
    if root is None:
        return Pictures(images, transform)
    return Subset(library.MNIST(root, transform=transform), range(images))


def lenet(channels: int, planes: tuple[int, ...], dense: tuple[int, ...]) -> nn.Sequential:
    """Convolutions each with a ReLU and a max pool, then dense layers; 10 outputs."""
    layers: list[nn.Module] = []
    for outputs in planes:
        layers += [nn.Conv2d(channels, outputs, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2)]
        channels = outputs
    layers += [nn.AdaptiveAvgPool2d(4), nn.Flatten()]
    width = 16 * channels
    for outputs in dense:
        layers += [nn.Linear(width, outputs), nn.ReLU()]
        width = outputs
    return nn.Sequential(*layers, nn.Linear(width, 10)) if dense else nn.Sequential(*layers)
