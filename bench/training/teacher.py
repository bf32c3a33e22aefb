"""The teacher: training of its members, and their outputs on every split and evaluation set."""

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
from distillation_bench.bench.storage.cache import Cache
from distillation_bench.bench.training.augmentation import Augmentation
from distillation_bench.bench.training.data import PreparedData
from distillation_bench.bench.training.hardware.compute import CPU, Compute
from distillation_bench.bench.training.optimization.checkpoints import Checkpoint, HistoryRow
from distillation_bench.bench.training.optimization.loop import (
    Epoch,
    Indices,
    Problem,
    train_network,
)
from distillation_bench.bench.training.training_inputs import TrainingInputs
from distillation_bench.methods.networks import NetworkBuilder, network_builder
from distillation_bench.methods.tasks import TaskTerms

CHUNK = 256
"""Examples per forward pass of an evaluation."""
CHUNK_SIDE = 32
"""Largest side of images for which a chunk has `CHUNK` examples.

Chunks of larger images have fewer, so that the memory of a pass does not grow with the images.
"""


@dataclass(frozen=True)
class Teacher:
    """A trained ensemble.

    Attributes:
        outputs: of the M members on each split and set, by its key [M, N, K].
        weights: of the members, stacked, by the name of the parameter.
    """

    outputs: Mapping[str, Tensor]
    weights: Mapping[str, Tensor]

    def network(self, networks: NetworkBuilder) -> nn.Module:
        """Return the ensemble as one batched module."""
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
    task: TaskTerms,
    networks: NetworkBuilder,
    inputs: TrainingInputs,
    checkpoint: Checkpoint | None = None,
) -> tuple[nn.Module, list[HistoryRow]]:
    """Train some members as one batch.

    Each member has the same bits, whatever other members are trained with it.

    Args:
        members: their numbers in the ensemble.
        task: the loss.
        networks: builds the members.
        inputs: the data, the recipe, the names of random streams, and the device.
        checkpoint: stores the state; training continues from it.

    Returns:
        The members as one module, and the history.
    """
    names = [(inputs.dataset, "teacher", member, "weights") for member in members]
    streams = [torch_stream(inputs.seed, *of_member) for of_member in names]
    network = networks.members(streams).to(inputs.compute.device)
    training = _MemberTraining(members, network, task, inputs.on_device())
    problem = Problem(
        stage="teacher",
        network=network,
        examples=inputs.data.examples,
        epoch=training.epoch,
        validation=training.validation_losses,
        batched=True,
    )
    recipe = inputs.recipe
    history = train_network(problem, recipe, recipe.epochs, recipe.weight_decay, checkpoint)
    return network, history


@dataclass(frozen=True)
class _MemberTraining:
    """The loss of members that are trained as one batch; each has its own order of examples."""

    members: Sequence[int]
    network: nn.Module
    task: TaskTerms
    inputs: TrainingInputs

    def epoch(self, number: int) -> Epoch:
        """Return the loss terms and the members' orders of an epoch."""
        compute, views = self.inputs.compute, self.inputs.recipe.views
        streams = self._streams("views", number, compute.device) if views else []
        augmentations = [Augmentation(views, self.inputs.data, stream) for stream in streams]

        def terms(indices: Indices) -> Mapping[str, Tensor]:
            if augmentations:
                inputs, targets = self._augmented_batch(indices, augmentations)
            else:
                inputs, targets = self._batch(indices)
            outputs = compute.outputs(lambda: self.network(inputs))
            return {"correctness": self.task.losses(outputs, targets)}

        return Epoch(terms, lambda: self._orders(number))

    def _streams(self, purpose: str, epoch: int, device: torch.device) -> list[Generator]:
        """Return a random stream for each member."""
        dataset, seed = self.inputs.dataset, self.inputs.seed
        names = [(dataset, "teacher", member, purpose, epoch) for member in self.members]
        return [torch_stream(seed, *of_member, device=device) for of_member in names]

    def _orders(self, epoch: int) -> Tensor:
        """Return each member's order of the training examples, [M, N]."""
        streams = self._streams("order", epoch, torch.device("cpu"))
        data = self.inputs.data
        orders = [torch.randperm(data.examples, generator=stream) for stream in streams]
        return torch.stack(orders).to(data.train[0].device)

    def _batch(self, indices: Indices) -> tuple[Tensor, Tensor]:
        """Return inputs and targets, [B, ...] if all members see all examples, else [M, B, ...]."""
        x, y = self.inputs.data.train
        if not isinstance(indices, slice):
            x, y = x[indices], y[indices]
        return self.inputs.data.inputs(x), y.to(self.inputs.compute.device)

    def _augmented_batch(
        self, indices: Indices, augmentations: Sequence[Augmentation]
    ) -> tuple[Tensor, Tensor]:
        """Return inputs and targets [M, B, ...], augmented for each member on its own."""
        count = len(self.members)
        rows = [indices] * count if isinstance(indices, slice) else [*indices]
        batches = map(self.inputs.data.batch, rows)
        pairs = [augment(x, y) for augment, (x, y) in zip(augmentations, batches, strict=True)]
        return torch.stack([x for x, _ in pairs]), torch.stack([y for _, y in pairs])

    def validation_losses(self) -> Tensor:
        """Return each member's loss on the validation split, [M]."""
        data, compute = self.inputs.data, self.inputs.compute
        assert data.validation.y is not None
        outputs = outputs_on(self.network, data, data.validation.x, compute)
        return self.task.losses(outputs, data.validation.y.to(compute.device))


def chunks(x: Tensor) -> Sequence[Tensor]:
    """Split inputs [N, ...] into chunks for evaluation, whose size depends on the shape alone."""
    pixels = math.prod(x.shape[2:]) if x.dim() == 4 else 1
    return torch.split(x, max(1, min(CHUNK, CHUNK * CHUNK_SIDE**2 // pixels)))


@torch.no_grad()
def outputs_on(network: nn.Module, data: PreparedData, x: Tensor, compute: Compute = CPU) -> Tensor:
    """Return the members' outputs [M, N, K] on raw inputs x [N, ...], computed in chunks."""
    inputs = (data.inputs(chunk, compute.device) for chunk in chunks(x))
    return torch.cat([compute.outputs(partial(network, chunk)) for chunk in inputs], dim=1)


def all_outputs(network: nn.Module, data: PreparedData, compute: Compute) -> dict[str, Tensor]:
    """Return the members' outputs on every split and set by its key, on the CPU."""
    inputs = {"train": data.train[0], "validation": data.validation.x}
    sets = (*data.sets, data.canvas) if data.canvas else data.sets
    inputs |= {evaluation_set.key: evaluation_set.x for evaluation_set in sets}
    return {key: outputs_on(network, data, x, compute).cpu() for key, x in inputs.items()}


def load_network(cache: Cache, keys: Sequence[str], networks: NetworkBuilder) -> nn.Module:
    """Load some members from the cache, as one batched module.

    Raises:
        DamagedEntry: an entry is missing or damaged.
    """
    members = [cache.load(key) for key in keys]
    weights = {name: torch.stack([member[name] for member in members]) for name in members[0]}
    return Teacher({}, weights).network(networks)


def save_weights(
    cache: Cache, keys: Sequence[str], network: nn.Module, note: Mapping[str, Any]
) -> None:
    """Store the weights of each member of a batched module in the cache.

    Args:
        cache: where they are stored.
        keys: of the members, in order.
        network: the members.
        note: stored with each member.
    """
    stacked = {name: tensor.cpu().numpy() for name, tensor in network.state_dict().items()}
    for member, key in enumerate(keys):
        cache.save(key, {name: array[member] for name, array in stacked.items()}, note)
