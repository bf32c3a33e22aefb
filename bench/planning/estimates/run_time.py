"""How long a run takes, roughly: from the operations of its networks, without torch."""

from __future__ import annotations

import math
import time
from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np

from distillation_bench import datasets
from distillation_bench.bench.planning.cache_keys import TeacherPlan
from distillation_bench.bench.planning.cells import Cell
from distillation_bench.bench.planning.estimates.network_operations import forward_products
from distillation_bench.bench.storage.cache import Cache
from distillation_bench.methods import METHODS
from distillation_bench.methods.networks.families import options_of

TRAINING_STEP = 3
"""The cost of a training step, in forward passes."""
PRODUCT_SIZE = 512
"""Rows and columns of the matrix product that measures the processor's speed."""


class Chain(NamedTuple):
    """A cell and the teacher that it waits for: they cannot run side by side.

    Attributes:
        teacher: seconds of the teacher.
        pieces: the number of jobs that train it, side by side.
        cell: seconds of the longest cell that waits for it.
    """

    teacher: float
    pieces: int
    cell: float

    def seconds(self, jobs: int) -> float:
        """Return the seconds from the teacher's first piece to the end of the cell."""
        return self.teacher / self.pieces * math.ceil(self.pieces / jobs) + self.cell


def wall_seconds(work: float, chains: Iterable[Chain], jobs: int) -> float:
    """Return the seconds until all is done: those of all work or of the longest chain.

    Args:
        work: seconds of all jobs, run in turn.
        chains: what has to run in turn.
        jobs: the number of jobs that run side by side.
    """
    return max([work / jobs, *(chain.seconds(jobs) for chain in chains)])


def rough_seconds(cells: Sequence[Cell], cache: Cache, jobs: int = 1) -> float | None:
    """Estimate the seconds until cells, and their teachers that are not cached, are done.

    The cells' data have to be in the cache. The estimate is right within a factor of about two
    where networks take more time than what surrounds them. It is None if a plugin's networks do
    not say how many multiplications they need.
    """
    teachers = {cell.teacher.outputs_key: cell.teacher for cell in cells}
    if not all(map(network_products, teachers.values())):
        return None
    speed = _speed()

    def seconds(products: int, passes: int) -> float:
        return 2 * products * passes / (speed * _efficiency(products))

    teacher_seconds = {
        key: 0.0 if cache.has(key) else seconds(*_teacher_work(plan, cache))
        for key, plan in teachers.items()
    }
    chains = [
        Chain(
            teacher_seconds[cell.teacher.outputs_key],
            len(cell.teacher.pieces),
            seconds(*_student_work(cell, cache)),
        )
        for cell in cells
    ]
    work = sum(teacher_seconds.values()) + sum(chain.cell for chain in chains)
    return wall_seconds(work, chains, jobs)


def _speed() -> float:
    """Measure the floating-point operations per second of a large matrix product on one core."""
    from threadpoolctl import threadpool_limits  # type: ignore[import-untyped, unused-ignore]

    matrix = np.ones((PRODUCT_SIZE, PRODUCT_SIZE), np.float32)
    times = []
    with threadpool_limits(1):
        for _ in range(8):
            # Not wall time, in which other processes run too.
            start = time.thread_time()
            matrix @ matrix
            times.append(time.thread_time() - start)
    return 2 * PRODUCT_SIZE**3 / max(min(times), 1e-6)


def _efficiency(products: int) -> float:
    """Return the part of that speed which a network reaches, by the products of a pass.

    Fitted to steps of all families between 3e4 and 9e8 products, with a fifth for what surrounds
    them: small layers are slow, convolutions of many planes faster than the product itself.
    """
    return float(0.4 * (max(products, 1) / 1e6) ** 0.2)


def _teacher_work(plan: TeacherPlan, cache: Cache) -> tuple[int, int]:
    """Return the products of a member's forward pass, and the passes of all members."""
    products = network_products(plan)
    assert products is not None
    return products[0], plan.recipe.members * _passes(plan, cache)


def _student_work(cell: Cell, cache: Cache) -> tuple[int, int]:
    """Return the products of a student's forward pass, and the number of passes."""
    products = network_products(cell.teacher)
    assert products is not None
    member, core, head = products
    if METHODS[cell.method].is_teacher:
        return member, 0
    heads = cell.parameters.get("heads", 1)
    # None means one per member. What else a plugin calls heads is unknown.
    count = heads if type(heads) is int else cell.recipe.members
    return core + count * head, _passes(cell.teacher, cache)


def _passes(plan: TeacherPlan, cache: Cache) -> int:
    """Return the forward passes of a network that is trained and sees every evaluation set."""
    dataset, recipe = datasets.get(plan.dataset), plan.recipe
    examples = min(recipe.examples or dataset.examples, dataset.examples)
    size = math.prod(dataset.shape) * (1 if dataset.images else 4)
    evaluated = int(cache.note(plan.data.sets_key).get("bytes", 0)) // size
    return TRAINING_STEP * recipe.epochs * examples + evaluated


def network_products(plan: TeacherPlan) -> tuple[int, int, int] | None:
    """Return the multiplications of one input's pass through a member, a core and a head.

    None if they are not known.
    """
    dataset = datasets.get(plan.dataset)
    return forward_products(options_of(plan.recipe.network), dataset.shape, dataset.outputs)
