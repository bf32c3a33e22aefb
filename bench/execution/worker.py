"""The tasks of the graph, as workers run them: data, pieces of teachers, teachers, cells."""

from __future__ import annotations

import contextlib
import functools
import platform
import socket
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from distillation_bench import datasets
from distillation_bench.bench.common.random_streams import stream_name
from distillation_bench.bench.common.text import terminal_safe
from distillation_bench.bench.execution.executors.process_reuse import peak_memory, restart_peak
from distillation_bench.bench.execution.workplace import Workplace
from distillation_bench.bench.planning.cache_keys import DataPlan, TeacherPlan
from distillation_bench.bench.planning.cells import Cell
from distillation_bench.bench.planning.plugins.loading import installed
from distillation_bench.bench.storage.cache import Cache, Damaged
from distillation_bench.bench.training import data, student, teacher
from distillation_bench.bench.training.checkpoints import Checkpoint, HistoryRow
from distillation_bench.bench.training.evaluation import cost
from distillation_bench.bench.training.evaluation.evaluate import evaluate
from distillation_bench.bench.training.evaluation.figure_arrays import FigureArrays
from distillation_bench.bench.training.hardware import bfloat16_speed
from distillation_bench.bench.training.hardware.compute import (
    Compute,
    prepare_process,
    process_device,
)
from distillation_bench.methods import METHODS, Method, Setting
from distillation_bench.methods.networks import NetworkBuilder, network_builder
from distillation_bench.methods.tasks import TASKS

# For the server that workers are forked from, and for all that they inherit.
installed()


def prepare_data(workplace: Workplace, plan: DataPlan) -> dict[str, Any]:
    """Put a dataset's arrays into the cache."""
    with _measured() as timings:
        data.prepare(workplace.open(), plan, Path(workplace.data_root))
    return timings


def make_piece(workplace: Workplace, plan: TeacherPlan, piece: int) -> dict[str, Any]:
    """Some of a teacher's members, trained or found, and their outputs on every set."""
    with _measured() as timings:
        _outputs_of(workplace, workplace.open(), plan, piece)
    return timings


def _outputs_of(
    workplace: Workplace, cache: Cache, plan: TeacherPlan, piece: int
) -> Mapping[str, torch.Tensor]:
    """A piece's outputs, with its members' weights in the cache too."""
    key, member_keys = plan.piece_key(piece), [plan.member_keys[m] for m in plan.pieces[piece]]
    # Another run with the same cache may want the same members.
    with cache.lock(f"{plan.key}.{plan.pieces[piece].start}"):
        if all(cache.sound(each) for each in member_keys):
            with contextlib.suppress(Damaged):
                return cache.load(key)
        prepared = data.load(cache, plan.data)
        compute = Compute(process_device(), plan.recipe.precision)
        try:
            network = teacher.load_network(cache, member_keys, _networks(plan)).to(compute.device)
        except Damaged:
            network = _train_piece(workplace, cache, plan, piece, prepared, compute)
        outputs = teacher.all_outputs(network, prepared, compute)
        _save_outputs(cache, key, outputs, plan)
        return outputs


def _save_outputs(
    cache: Cache, key: str, outputs: Mapping[str, torch.Tensor], plan: TeacherPlan
) -> None:
    arrays = {name: tensor.numpy() for name, tensor in outputs.items()}
    note = {"dataset": plan.dataset, "seed": plan.seed, "members": plan.recipe.members}
    cache.save(key, arrays, note)


def _train_piece(
    workplace: Workplace,
    cache: Cache,
    plan: TeacherPlan,
    piece: int,
    prepared: data.PreparedData,
    compute: Compute,
) -> nn.Module:
    members = plan.pieces[piece]
    name = f"{plan.key}.{members.start}-{members.stop - 1}"
    checkpoint = Checkpoint(cache, name, workplace.checkpoint)
    network, history = teacher.train_members(
        members,
        prepared,
        TASKS[datasets.get(plan.dataset).task],
        _networks(plan),
        plan.recipe,
        plan.seed,
        stream_name(plan.dataset),
        compute,
        checkpoint,
    )
    note = {"members": [members.start, members.stop - 1], "history": history}
    teacher.save_weights(cache, [plan.member_keys[member] for member in members], network, note)
    checkpoint.remove()
    return network


def finish_teacher(workplace: Workplace, plan: TeacherPlan) -> dict[str, Any]:
    """Join the outputs of a teacher's pieces, which are several."""
    with _measured() as timings:
        cache = workplace.open()
        with cache.lock(plan.outputs_key):
            # Another run with the same cache may have finished it, and removed its pieces.
            if not cache.sound(plan.outputs_key):
                pieces = [_outputs_of(workplace, cache, plan, i) for i in range(len(plan.pieces))]
                outputs = {name: torch.cat([each[name] for each in pieces]) for name in pieces[0]}
                _save_outputs(cache, plan.outputs_key, outputs, plan)
        for piece in range(len(plan.pieces)):
            cache.remove(plan.piece_key(piece))
    return timings


def run_cell(
    workplace: Workplace, cell: Cell, latency: bool = True
) -> tuple[dict[str, Any], list[HistoryRow], FigureArrays]:
    """Train and measure one student; its latency only where it is wanted.

    Returns:
        What the record holds, the history, the curves.
    """
    with _measured() as timings:
        cache, names = workplace.open(), stream_name(cell.dataset)
        plan, recipe, seed = cell.teacher, cell.recipe, cell.seed
        compute = Compute(process_device(), recipe.precision)
        # Its networks are loaded only by those that run them again.
        trained = teacher.Teacher(cache.load(plan.outputs_key), {})
        prepared = data.load(cache, plan.data)
        method = _method(cell, cache, prepared.examples)
        network = student.build(method, seed, names)
        checkpoint = Checkpoint(cache, cell.id, workplace.checkpoint)
        start = time.perf_counter()
        history = student.train_student(
            method, network, prepared, trained, recipe, seed, names, compute, checkpoint
        )
        timings["train_seconds"] = time.perf_counter() - start
        headline, sets, curves = evaluate(
            method, network, prepared, trained, plan.data.sources, seed, names, compute
        )
        inputs = prepared.inputs(prepared.validation.x[:256], compute.device)
        costs = cost.counts(method, network, inputs)
        if latency:
            timings |= cost.latencies(method, network, inputs, compute)
        checkpoint.remove()
    if method.is_teacher:
        history = _members_history(cache, plan)
    return _measurements(headline, sets, costs, timings), history, curves


def _method(cell: Cell, cache: Cache, examples: int) -> Method:
    plan, networks = cell.teacher, _networks(cell.teacher)
    setting = Setting(
        task=TASKS[datasets.get(cell.dataset).task],
        members=cell.recipe.members,
        examples=examples,
        networks=networks,
        teacher=lambda: teacher.load_network(cache, plan.member_keys, networks),
    )
    kind = METHODS[cell.method]
    return kind(kind.Parameters(**cell.parameters), setting)


def _measurements(
    headline: Mapping[str, float],
    sets: Sequence[Mapping[str, Any]],
    costs: Mapping[str, float],
    timings: Mapping[str, Any],
) -> dict[str, Any]:
    """What a record holds beside what was asked for."""
    return {
        "headline": {**headline, **{name: costs[name] for name in ("parameters", "flops")}},
        "sets": [*sets, {"set": "cost", "shift": "", "severity": 0, "values": costs}],
        "timings": timings,
        "environment": environment(),
    }


def precision_warning() -> str:
    """What there is to say of training in bfloat16 here; empty where there is nothing."""
    prepare_process()
    return bfloat16_speed.warning(bfloat16_speed.slowdown())


def _members_history(cache: Cache, plan: TeacherPlan) -> list[HistoryRow]:
    """The teacher's own training, piece by piece: the history of the ensemble's cell."""
    notes = [cache.note(key) for key in plan.member_keys]
    pieces = {tuple(note.get("members", ())): note.get("history", []) for note in notes}
    return [
        {**row, "stage": f"members {'-'.join(map(str, members))}"}
        for members, rows in pieces.items()
        for row in rows
    ]


def environment() -> dict[str, Any]:
    """Versions and hardware."""
    return {**machine(), "threads": torch.get_num_threads(), "device": _device_name()}


@functools.cache
def machine() -> dict[str, Any]:
    """What is the same for all tasks; to ask for it takes some milliseconds."""
    return {
        "python": platform.python_version(),
        "torch": str(torch.__version__),
        "numpy": np.__version__,
        "platform": platform.platform(),
        "processor": _processor(),
    }


def _device_name() -> str:
    device = process_device()
    return torch.cuda.get_device_name(device) if device.type == "cuda" else str(device)


def _processor() -> str:
    with contextlib.suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text(errors="replace").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor()


@contextlib.contextmanager
def _measured() -> Iterator[dict[str, Any]]:
    # Again for each task: libraries change the mode of the processor behind our back.
    prepare_process()
    restart_peak()
    timings: dict[str, Any] = {"seconds": 0.0, "host": terminal_safe(socket.gethostname())}
    start = time.perf_counter()
    yield timings
    timings["seconds"] = time.perf_counter() - start
    timings["peak_memory_bytes"] = peak_memory()
    if process_device().type == "cuda":
        timings["peak_device_memory_bytes"] = torch.cuda.max_memory_allocated(process_device())


def _networks(plan: TeacherPlan) -> NetworkBuilder:
    dataset = datasets.get(plan.dataset)
    return network_builder(plan.recipe.network, dataset.shape, dataset.outputs)
