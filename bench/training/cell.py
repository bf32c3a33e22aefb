"""One cell in one process: data, teacher, student, evaluation and cost, one after the other."""

from __future__ import annotations

import contextlib
import socket
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from distillation_bench import datasets
from distillation_bench.bench.common.process_memory import peak_memory, restart_peak
from distillation_bench.bench.common.random_streams import stream_name
from distillation_bench.bench.common.text import terminal_safe
from distillation_bench.bench.planning.cells import Cell
from distillation_bench.bench.planning.evaluation_sources import EvaluationSources
from distillation_bench.bench.storage.cache import Cache
from distillation_bench.bench.training import data, student, teacher
from distillation_bench.bench.training.cell_result import CellResult
from distillation_bench.bench.training.evaluation import cost
from distillation_bench.bench.training.evaluation.evaluate import evaluate
from distillation_bench.bench.training.evaluation.figure_arrays import FigureArrays
from distillation_bench.bench.training.hardware.compute import (
    Compute,
    prepare_process,
    process_device,
)
from distillation_bench.bench.training.hardware.environment import environment
from distillation_bench.bench.training.optimization.checkpoints import Checkpoint, HistoryRow
from distillation_bench.methods import METHODS, Method, Setting
from distillation_bench.methods.tasks import TASKS

COST_BATCH = 256
"""Validation inputs that the costs are measured on, at most."""


@dataclass(frozen=True, kw_only=True)
class CellInputs(student.StudentInputs):
    """What a student is trained and evaluated with.

    Attributes:
        sources: the OOD sets that are asked for, including those that are missing.
    """

    sources: EvaluationSources


@dataclass(frozen=True)
class TrainedStudent:
    """A trained student, its history with one row per epoch, and the seconds of training."""

    network: nn.Module
    history: list[HistoryRow]
    seconds: float


@dataclass(frozen=True)
class Measurements:
    """The values of one student; see `CellResult`."""

    headline: dict[str, float]
    sets: list[dict[str, Any]]
    curves: FigureArrays


def run_cell(
    cell: Cell, cache: Cache, checkpoint_seconds: float = 120.0, measure_latency: bool = True
) -> CellResult:
    """Train and evaluate the student of a cell, whose data and teacher are in the cache.

    Args:
        cell: what to train.
        cache: holds the data, the teacher and the checkpoints of the training.
        checkpoint_seconds: the least time between two checkpoints.
        measure_latency: whether the timings include the latency.

    Raises:
        DamagedEntry: an entry of the cache is missing or damaged.
    """
    prepare_process()
    with _measured() as timings:
        inputs = load_inputs(cell, cache)
        checkpoint = Checkpoint(cache, cell.id, checkpoint_seconds)
        trained = build_and_train(inputs, checkpoint)
        timings["train_seconds"] = trained.seconds
        measured = measure(inputs, trained.network)
        if measure_latency:
            timings |= latencies(inputs, trained.network)
        checkpoint.remove()
    return CellResult(
        headline=measured.headline,
        sets=measured.sets,
        timings=timings,
        environment=environment(),
        history=_teacher_history(cell, cache) if inputs.method.is_teacher else trained.history,
        curves=measured.curves,
    )


def load_inputs(cell: Cell, cache: Cache) -> CellInputs:
    """Load the data and the teacher's outputs, and make the method.

    Raises:
        DamagedEntry: an entry of the cache is missing or damaged.
    """
    # The teacher's networks are loaded only by methods that run them.
    outputs = teacher.Teacher(cache.load(cell.teacher.outputs_key), {})
    prepared = data.load(cache, cell.teacher.data)
    return CellInputs(
        method=_method(cell, cache, prepared),
        data=prepared,
        teacher=outputs,
        recipe=cell.recipe,
        sources=cell.teacher.data.sources,
        seed=cell.seed,
        dataset=stream_name(cell.dataset),
        compute=Compute(process_device(), cell.recipe.precision),
    )


def build_and_train(inputs: CellInputs, checkpoint: Checkpoint | None = None) -> TrainedStudent:
    """Build the student and train it, from the checkpoint if that has a state."""
    start = time.perf_counter()
    network = student.build(inputs, checkpoint)
    finished, history = student.train_student(network, inputs, checkpoint)
    return TrainedStudent(finished, history, time.perf_counter() - start)


def measure(inputs: CellInputs, network: nn.Module) -> Measurements:
    """Compute all metrics and costs of a trained student."""
    headline, sets, curves = evaluate(network, inputs, inputs.sources)
    costs = cost.counts(inputs.method, network, _cost_inputs(inputs))
    headline = {**headline, "parameters": costs["parameters"], "flops": costs["flops"]}
    sets = [*sets, {"set": "cost", "shift": "", "severity": 0, "values": costs}]
    return Measurements(headline, sets, curves)


def latencies(inputs: CellInputs, network: nn.Module) -> dict[str, float]:
    """Return the latencies of a trained student, in seconds per example."""
    return cost.latencies(inputs.method, network, _cost_inputs(inputs), inputs.compute)


def _cost_inputs(inputs: CellInputs) -> torch.Tensor:
    return inputs.data.inputs(inputs.data.validation.x[:COST_BATCH], inputs.compute.device)


def _method(cell: Cell, cache: Cache, prepared: data.PreparedData) -> Method:
    networks = teacher.networks_of(cell.teacher)
    setting = Setting(
        task=TASKS[datasets.get(cell.dataset).task],
        members=cell.recipe.members,
        examples=prepared.examples,
        networks=networks,
        inputs=prepared.input_range,
        teacher=lambda: teacher.load_network(cache, cell.teacher.member_keys, networks),
    )
    method = METHODS[cell.method]
    return method(method.Parameters(**cell.parameters), setting)


def _teacher_history(cell: Cell, cache: Cache) -> list[HistoryRow]:
    """Return the history of the teacher's training: one stage per piece of members."""
    notes = [cache.note(key) for key in cell.teacher.member_keys]
    pieces = {tuple(note.get("members", ())): note.get("history", []) for note in notes}
    return [
        {**row, "stage": f"members {'-'.join(map(str, members))}"}
        for members, rows in pieces.items()
        for row in rows
    ]


@contextlib.contextmanager
def _measured() -> Iterator[dict[str, Any]]:
    """Yield timings that have the seconds and the peak memory of the block at its end."""
    restart_peak()
    timings: dict[str, Any] = {"seconds": 0.0, "host": terminal_safe(socket.gethostname())}
    start = time.perf_counter()
    yield timings
    timings["seconds"] = time.perf_counter() - start
    timings["peak_memory_bytes"] = peak_memory()
    if process_device().type == "cuda":
        timings["peak_device_memory_bytes"] = torch.cuda.max_memory_allocated(process_device())
