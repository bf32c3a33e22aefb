"""The tasks of the graph, as workers run them: data, pieces of teachers, teachers, cells."""

from __future__ import annotations

import contextlib
import platform
import resource
import socket
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch

import datasets
from bench import cost, data, evaluation, student, teacher
from bench.executors import prepare_process
from bench.plan import Cell, TeacherPlan
from bench.plugins import load_installed
from bench.workplace import Workplace
from methods import METHODS, Setting
from methods.networks import Networks, build_networks
from methods.tasks import TASKS

prepare_process()
load_installed()


def prepare_data(workplace: Workplace, plan: TeacherPlan) -> dict[str, Any]:
    """Put a dataset's arrays into the cache."""
    with _measured() as timings:
        data.prepare(workplace.open(), plan.data_key, plan.dataset, plan.data_seed)
    return timings


def train_piece(workplace: Workplace, plan: TeacherPlan, piece: int) -> dict[str, Any]:
    """Train some of a teacher's members and put their weights into the cache."""
    with _measured() as timings:
        cache = workplace.open()
        weights, history = teacher.train_members(
            plan.pieces[piece],
            data.load(cache, plan.data_key),
            TASKS[datasets.get(plan.dataset).task],
            _networks(plan),
            plan.recipe,
            plan.seed,
            plan.dataset,
        )
        cache.save(plan.piece_key(piece), weights, {"history": history})
    return timings


def finish_teacher(workplace: Workplace, plan: TeacherPlan) -> dict[str, Any]:
    """Join a teacher's pieces and compute its outputs on every set."""
    with _measured() as timings:
        cache = workplace.open()
        keys = [plan.piece_key(piece) for piece in range(len(plan.pieces))]
        pieces = [cache.load(key) for key in keys]
        weights = {name: np.concatenate([piece[name] for piece in pieces]) for name in pieces[0]}
        note = {
            "dataset": plan.dataset,
            "seed": plan.seed,
            "members": plan.recipe.members,
            "histories": [cache.note(key)["history"] for key in keys],
        }
        prepared = data.load(cache, plan.data_key)
        teacher.save(cache, plan.key, weights, prepared, _networks(plan), note)
        for key in keys:
            cache.remove(key)
    return timings


def run_cell(workplace: Workplace, cell: Cell) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """Train and measure one student; returns the record's figures and timings, and the history."""
    with _measured() as timings:
        cache = workplace.open()
        plan, dataset = cell.teacher, datasets.get(cell.dataset)
        trained = teacher.load(cache, plan.key)
        prepared = data.load(cache, plan.data_key)
        networks = _networks(plan, cell.recipe.network)
        setting = Setting(
            task=TASKS[dataset.task],
            members=cell.recipe.members,
            examples=prepared.examples,
            networks=networks,
            teacher=lambda: trained.network(networks),
        )
        method_class = METHODS[cell.method]
        method = method_class(method_class.Parameters(**cell.parameters), setting)
        network = student.build(method, cell.seed, cell.dataset)
        start = time.perf_counter()
        history = student.train_student(
            method, network, prepared, trained, cell.recipe, cell.seed, cell.dataset
        )
        timings["train_seconds"] = time.perf_counter() - start
        headline, sets = evaluation.evaluate(method, network, prepared, trained, dataset, cell.seed)
        inputs = prepared.validation.x
        costs = cost.counts(method, network, inputs)
        timings |= cost.latencies(method, network, inputs)
    figures = {
        "headline": headline | {name: costs[name] for name in ("parameters", "flops")},
        "sets": [*sets, {"set": "cost", "shift": "", "severity": 0, "figures": costs}],
        "timings": timings,
        "environment": environment(),
    }
    return figures, history


def environment() -> dict[str, Any]:
    """Versions and hardware."""
    return {
        "python": platform.python_version(),
        "torch": str(torch.__version__),
        "numpy": np.__version__,
        "platform": platform.platform(),
        "processor": _processor(),
        "threads": torch.get_num_threads(),
        "device": "cpu",
    }


def _processor() -> str:
    with contextlib.suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor()


@contextlib.contextmanager
def _measured() -> Iterator[dict[str, Any]]:
    timings: dict[str, Any] = {"seconds": 0.0, "host": socket.gethostname()}
    start = time.perf_counter()
    yield timings
    timings["seconds"] = time.perf_counter() - start
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    # Kilobytes on Linux, bytes on macOS.
    unit = 2**10 if platform.system() == "Linux" else 1
    timings["peak_memory_bytes"] = peak * unit


def _networks(plan: TeacherPlan, network: dict[str, Any] | None = None) -> Networks:
    dataset = datasets.get(plan.dataset)
    return build_networks(network or plan.recipe.network, dataset.inputs, dataset.outputs)
