"""Teachers in the cache: a piece of members that is not there is trained, as one batch.

The outputs of all pieces are joined to those of the teacher.
"""

from __future__ import annotations

import contextlib
from collections.abc import Mapping

import torch
from torch import Tensor, nn

from distillation_bench import datasets
from distillation_bench.bench.common.random_streams import stream_name
from distillation_bench.bench.planning.cache_keys import TeacherPlan
from distillation_bench.bench.storage.cache import Cache, DamagedEntry
from distillation_bench.bench.training import data, teacher
from distillation_bench.bench.training.hardware.compute import (
    Compute,
    prepare_process,
    process_device,
)
from distillation_bench.bench.training.optimization.checkpoints import Checkpoint
from distillation_bench.bench.training.training_inputs import TrainingInputs
from distillation_bench.methods.tasks import TASKS


def train_piece(
    cache: Cache, plan: TeacherPlan, piece: int, checkpoint_seconds: float
) -> Mapping[str, Tensor]:
    """Put the members of a piece and their outputs into the cache, unless they are there.

    Args:
        cache: holds the data, and the checkpoints of the training.
        plan: the teacher.
        piece: its number in the plan.
        checkpoint_seconds: the least time between two checkpoints.

    Returns:
        The outputs of the piece's members on every split and set, by its key [M, N, K].

    Raises:
        DamagedEntry: the data are missing or damaged.
    """
    prepare_process()
    key = plan.piece_key(piece)
    member_keys = [plan.member_keys[member] for member in plan.pieces[piece]]
    # Another run with the same cache may train the same members.
    with cache.lock(f"{plan.key}.{plan.pieces[piece].start}"):
        if all(cache.is_sound(member_key) for member_key in member_keys):
            with contextlib.suppress(DamagedEntry):
                return cache.load(key)
        inputs = _inputs(cache, plan)
        try:
            network = teacher.load_network(cache, member_keys, teacher.networks_of(plan))
            network = network.to(inputs.compute.device)
        except DamagedEntry:
            network = _train_members(cache, plan, piece, inputs, checkpoint_seconds)
        outputs = teacher.all_outputs(network, inputs.data, inputs.compute)
        _save_outputs(cache, key, outputs, plan)
        return outputs


def join_pieces(cache: Cache, plan: TeacherPlan, checkpoint_seconds: float) -> None:
    """Join the outputs of a teacher's pieces, then remove those of the pieces.

    A piece that is missing or damaged is trained as by `train_piece`.
    """
    pieces = range(len(plan.pieces))
    with cache.lock(plan.outputs_key):
        # Another run with the same cache may have joined them, and removed the pieces.
        if not cache.is_sound(plan.outputs_key):
            parts = [train_piece(cache, plan, piece, checkpoint_seconds) for piece in pieces]
            outputs = {name: torch.cat([part[name] for part in parts]) for name in parts[0]}
            _save_outputs(cache, plan.outputs_key, outputs, plan)
    for piece in pieces:
        cache.remove(plan.piece_key(piece))


def _inputs(cache: Cache, plan: TeacherPlan) -> TrainingInputs:
    """Load what a teacher is trained with.

    Raises:
        DamagedEntry: the data are missing or damaged.
    """
    return TrainingInputs(
        data=data.load(cache, plan.data),
        recipe=plan.recipe,
        seed=plan.seed,
        dataset=stream_name(plan.dataset),
        compute=Compute(process_device(), plan.recipe.precision),
    )


def _train_members(
    cache: Cache, plan: TeacherPlan, piece: int, inputs: TrainingInputs, checkpoint_seconds: float
) -> nn.Module:
    """Train a piece's members and put their weights into the cache."""
    members = plan.pieces[piece]
    first, last = members.start, members.stop - 1
    checkpoint = Checkpoint(cache, f"{plan.key}.{first}-{last}", checkpoint_seconds)
    task, networks = TASKS[datasets.get(plan.dataset).task], teacher.networks_of(plan)
    network, history = teacher.train_members(members, task, networks, inputs, checkpoint)
    note = {"members": [first, last], "history": history}
    teacher.save_weights(cache, [plan.member_keys[member] for member in members], network, note)
    checkpoint.remove()
    return network


def _save_outputs(cache: Cache, key: str, outputs: Mapping[str, Tensor], plan: TeacherPlan) -> None:
    arrays = {name: tensor.numpy() for name, tensor in outputs.items()}
    note = {"dataset": plan.dataset, "seed": plan.seed, "members": plan.recipe.members}
    cache.save(key, arrays, note)
