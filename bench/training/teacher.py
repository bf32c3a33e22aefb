"""The teacher: members trained in batched pieces, outputs on every set computed once."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import Generator, Tensor, nn

from distillation_bench import datasets
from distillation_bench.bench.common.random_streams import torch_stream
from distillation_bench.bench.planning.cache_keys import TeacherPlan
from distillation_bench.bench.planning.recipe import Recipe
from distillation_bench.bench.storage.cache import Cache
from distillation_bench.bench.training.augmentation import Views
from distillation_bench.bench.training.checkpoints import Checkpoint, HistoryRow
from distillation_bench.bench.training.data import PreparedData
from distillation_bench.bench.training.hardware.compute import CPU, Compute
from distillation_bench.bench.training.loop import Epoch, Indices, Problem, train
from distillation_bench.methods.networks import NetworkBuilder, network_builder
from distillation_bench.methods.tasks import TaskTerms

CHUNK = 256
"""Examples that an evaluation takes at a time."""
CHUNK_SIDE = 32
"""Pixels a side of images, of which it takes so many; of larger ones it takes fewer, so that its
memory does not grow with them."""


@dataclass(frozen=True)
class Teacher:
    """A trained ensemble: outputs [M, N, K] by set, and its weights by name."""

    outputs: Mapping[str, Tensor]
    weights: Mapping[str, Tensor]

    def network(self, networks: NetworkBuilder) -> nn.Module:
        """The ensemble as one batched module."""
        members = len(next(iter(self.weights.values())))
        module = networks.members([Generator() for _ in range(members)])
        module.load_state_dict(dict(self.weights))
        return module.eval()


def networks_of(plan: TeacherPlan) -> NetworkBuilder:
    """The networks of a teacher's dataset and recipe."""
    dataset = datasets.get(plan.dataset)
    return network_builder(plan.recipe.network, dataset.shape, dataset.outputs)


def train_members(
    members: Sequence[int],
    data: PreparedData,
    task: TaskTerms,
    networks: NetworkBuilder,
    recipe: Recipe,
    seed: int,
    dataset: str,
    compute: Compute = CPU,
    checkpoint: Checkpoint | None = None,
) -> tuple[nn.Module, list[HistoryRow]]:
    """Train some members as one batch; each is the same to the bit in any company.

    Returns:
        The members as one module, and the history.
    """
    streams = [torch_stream(seed, dataset, "teacher", m, "weights") for m in members]
    network = networks.members(streams).to(compute.device)
    data = data.to(compute.device)
    x, y = data.train
    # Each member's own order of examples needs its own rows.
    rows = torch.arange(len(members), device=x.device)[:, None]
    x_rows, y_rows = x.expand(len(members), *x.shape), y.expand(len(members), *y.shape)

    def draws(purpose: str, epoch: int, device: torch.device) -> list[Generator]:
        names = [(seed, dataset, "teacher", m, purpose, epoch) for m in members]
        return [torch_stream(*each, device=device) for each in names]

    def order(epoch: int) -> Tensor:
        streams = draws("order", epoch, torch.device("cpu"))
        orders = [torch.randperm(len(x), generator=stream) for stream in streams]
        return torch.stack(orders).to(x.device)

    def losses(inputs: Tensor, targets: Tensor) -> Tensor:
        return task.losses(compute.outputs(lambda: network(inputs)), targets)

    def batch(indices: Indices, views: Sequence[Views]) -> tuple[Tensor, Tensor]:
        whole = isinstance(indices, slice)
        if not recipe.views:
            seen = (x, y) if whole else (x_rows[rows, indices], y_rows[rows, indices])
            return data.inputs(seen[0]), seen[1].to(compute.device)
        # Each member has views of its own.
        order = [indices] * len(members) if isinstance(indices, slice) else [*indices]
        pairs = [view(*data.batch(row)) for view, row in zip(views, order, strict=True)]
        return torch.stack([x for x, _ in pairs]), torch.stack([y for _, y in pairs])

    def epoch(number: int) -> Epoch:
        streams = draws("views", number, compute.device) if recipe.views else []
        views = [Views(recipe.views, data, stream) for stream in streams]

        def terms(indices: Indices) -> Mapping[str, Tensor]:
            inputs, targets = batch(indices, views)
            return {"correctness": losses(inputs, targets)}

        return Epoch(terms, lambda: order(number))

    def validation() -> Tensor:
        held_out = data.validation
        assert held_out.y is not None
        outputs = outputs_on(network, data, held_out.x, compute)
        return task.losses(outputs, held_out.y.to(compute.device))

    problem = Problem(
        stage="teacher",
        network=network,
        examples=len(x),
        epoch=epoch,
        validation=validation,
        batched=True,
    )
    history = train(problem, recipe, recipe.epochs, recipe.weight_decay, checkpoint)
    return network, history


def chunks(x: Tensor) -> Sequence[Tensor]:
    """Inputs [N, ...] as an evaluation takes them; cut by their shape alone."""
    pixels = math.prod(x.shape[2:]) if x.dim() == 4 else 1
    return torch.split(x, max(1, min(CHUNK, CHUNK * CHUNK_SIDE**2 // pixels)))


@torch.no_grad()
def outputs_on(network: nn.Module, data: PreparedData, x: Tensor, compute: Compute = CPU) -> Tensor:
    """The members' outputs [M, N, K] on raw inputs x, in chunks of fixed size."""
    inputs = (data.inputs(chunk, compute.device) for chunk in chunks(x))
    return torch.cat([compute.outputs(partial(network, each)) for each in inputs], dim=1)


def all_outputs(network: nn.Module, data: PreparedData, compute: Compute) -> dict[str, Tensor]:
    """The members' outputs on every split and set, by name, on the CPU."""
    inputs = {"train": data.train[0], "validation": data.validation.x}
    seen = (*data.sets, data.canvas) if data.canvas else data.sets
    inputs |= {each.key: each.x for each in seen}
    return {name: outputs_on(network, data, x, compute).cpu() for name, x in inputs.items()}


def load_network(cache: Cache, keys: Sequence[str], networks: NetworkBuilder) -> nn.Module:
    """Some members as one batched module.

    Raises:
        Damaged: an entry is missing or damaged.
    """
    members = [cache.load(key) for key in keys]
    weights = {name: torch.stack([each[name] for each in members]) for name in members[0]}
    return Teacher({}, weights).network(networks)


def save_weights(
    cache: Cache, keys: Sequence[str], network: nn.Module, note: Mapping[str, Any]
) -> None:
    """Put each member's weights into the cache."""
    stacked = {name: tensor.cpu().numpy() for name, tensor in network.state_dict().items()}
    for member, key in enumerate(keys):
        cache.save(key, {name: array[member] for name, array in stacked.items()}, note)
