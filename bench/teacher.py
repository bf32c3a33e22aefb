"""The teacher: members trained in batched pieces, outputs on every set computed once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Generator, Tensor, nn
from torch.nn import functional

from bench.cache import Cache
from bench.data import Prepared
from bench.randomness import torch_stream
from bench.recipe import Recipe
from bench.training import Epoch, Indices, Problem, Row, train
from methods.networks import Networks
from methods.tasks import Task, gaussian

CHUNK = 1024
"""Examples that an evaluation takes at a time."""


@dataclass(frozen=True)
class Teacher:
    """A trained ensemble: outputs [M, N, K] by set, and its weights by name."""

    outputs: Mapping[str, Tensor]
    weights: Mapping[str, Tensor]

    def network(self, networks: Networks) -> nn.Module:
        """The ensemble as one batched module."""
        members = len(next(iter(self.weights.values())))
        module = networks.members([Generator() for _ in range(members)])
        module.load_state_dict(dict(self.weights))
        return module.eval()


def member_losses(task: Task, outputs: Tensor, y: Tensor) -> Tensor:
    """Negative log-likelihood of each member [M] on its own targets y [M, B] or [B]."""
    if task.name == "classification":
        targets = y.expand(outputs.shape[:2])
        losses = functional.cross_entropy(outputs.mT, targets, reduction="none")
        return losses.mean(1)
    mean, log_variance = gaussian(outputs)
    error = (y - mean).square() * (-log_variance).exp()
    return 0.5 * (error + log_variance).mean(1)


def train_members(
    members: Sequence[int],
    data: Prepared,
    task: Task,
    networks: Networks,
    recipe: Recipe,
    seed: int,
    dataset: str,
) -> tuple[dict[str, np.ndarray], list[Row]]:
    """Train some members as one batch; each is the same to the bit in any company.

    Returns:
        Weights by name, each [members, ...], and the history.
    """
    streams = [torch_stream(seed, dataset, "teacher", m, "weights") for m in members]
    network = networks.members(streams)
    x, y = data.train
    # Each member's own order of examples needs its own rows.
    rows = torch.arange(len(members))[:, None]
    x_rows, y_rows = x.expand(len(members), *x.shape), y.expand(len(members), *y.shape)

    def order(epoch: int) -> Tensor:
        streams = [torch_stream(seed, dataset, "teacher", m, "order", epoch) for m in members]
        return torch.stack([torch.randperm(len(x), generator=stream) for stream in streams])

    def terms(indices: Indices) -> Mapping[str, Tensor]:
        if isinstance(indices, slice):
            return {"correctness": member_losses(task, network(x), y)}
        outputs = network(x_rows[rows, indices])
        return {"correctness": member_losses(task, outputs, y_rows[rows, indices])}

    def validation() -> Tensor:
        assert data.validation.y is not None
        return member_losses(task, network(data.validation.x), data.validation.y)

    problem = Problem(
        stage="teacher",
        network=network,
        examples=len(x),
        epoch=lambda epoch: Epoch(terms, lambda: order(epoch)),
        validation=validation,
        batched=True,
    )
    history = train(problem, recipe, recipe.epochs, recipe.weight_decay)
    return {name: value.numpy() for name, value in network.state_dict().items()}, history


@torch.no_grad()
def outputs_on(network: nn.Module, x: Tensor) -> Tensor:
    """The members' outputs [M, N, K], in chunks of fixed size."""
    return torch.cat([network(chunk) for chunk in torch.split(x, CHUNK)], dim=1)


def save(
    cache: Cache,
    key: str,
    weights: Mapping[str, np.ndarray],
    data: Prepared,
    networks: Networks,
    note: Mapping[str, Any],
) -> None:
    """Compute the outputs on every split and set and put them into the cache with the weights."""
    tensors = {name: torch.from_numpy(array) for name, array in weights.items()}
    network = Teacher({}, tensors).network(networks)
    inputs = {"train": data.train[0], "validation": data.validation.x}
    inputs |= {each.key: each.x for each in data.sets}
    arrays = {f"outputs {name}": outputs_on(network, x).numpy() for name, x in inputs.items()}
    arrays |= {f"weights {name}": array for name, array in weights.items()}
    cache.save(key, arrays, note)


def load(cache: Cache, key: str) -> Teacher:
    """A teacher from the cache.

    Raises:
        bench.cache.Damaged: the entry is missing or damaged.
    """
    parts: dict[str, dict[str, Tensor]] = {"outputs": {}, "weights": {}}
    for name, array in cache.load(key).items():
        kind, _, rest = name.partition(" ")
        parts[kind][rest] = torch.from_numpy(array)
    return Teacher(parts["outputs"], parts["weights"])
