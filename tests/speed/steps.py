"""A training step of each method, beside the time that its operations need at the rate of kd's."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from tests.speed.measure import Pool, Row, in_turn, ratios, summary
from tests.speed.work import START, Training
from torch.utils.flop_counter import FlopCounterMode

from distillation_bench.methods import METHODS

MEMBERS = 5
WORK = {
    "digits, MLP": Training("digits", images=64 * 60, batch=64, members=MEMBERS),
    "mnist, LeNet": Training("mnist", images=64 * 12, batch=64, members=MEMBERS),
    "cifar10, ResNet of a quarter's width": Training(
        "cifar10", images=32 * 8, batch=32, members=MEMBERS, network={"width": 0.25}
    ),
}
"""By name; two stages get half of the steps each."""
REFERENCE = "kd"


@dataclass(frozen=True)
class Steps:
    """The steps of one method: images a second, in a process of one thread."""

    pool: Pool
    work: Training

    def rate(self) -> float:
        return float(self.pool.call(rate, self.work))


def rate(work: Training) -> float:
    """Return the images a second of a training; run as a job."""
    return work.rate()


def operations(work: Training) -> float:
    """Return the FLOPs of training on one image, forward and back, the teacher's included."""
    counts = []
    for images in (START * work.batch, 2 * START * work.batch):
        with FlopCounterMode(display=False) as counter:
            work.of(images).runner()()
        counts.append(float(counter.get_total_flops()))
    return (counts[1] - counts[0]) / (START * work.batch * work.epochs)


def rows(pool: Pool, rounds: int) -> list[Row]:
    """Return how many times the time of its operations a step of each method takes."""
    return [row for name, work in WORK.items() for row in _of_network(pool, rounds, name, work)]


def _of_network(pool: Pool, rounds: int, name: str, work: Training) -> Sequence[Row]:
    torch.set_num_threads(1)
    names = [method for method in METHODS if not METHODS[method].is_teacher]
    works = {method: work.with_method(method) for method in names}
    rates = dict(zip(names, in_turn([Steps(pool, works[m]) for m in names], rounds), strict=True))
    flops = {method: pool.call(operations, works[method]) for method in names}
    table = []
    for method in names:
        more = flops[method] / flops[REFERENCE]
        slower = [value / more for value in ratios(rates[REFERENCE], rates[method])]
        what = f"{name}: step of {method}, {more:.2g} times the FLOPs of {REFERENCE}'s"
        table.append((what, summary(slower, "x its FLOPs' time"), "2"))
    return table
