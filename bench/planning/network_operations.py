"""How long a run takes, roughly: from the operations of its networks, without torch."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from itertools import pairwise

import numpy as np

from distillation_bench import datasets
from distillation_bench.bench.planning.cache_keys import TeacherPlan
from distillation_bench.bench.planning.cells import Cell
from distillation_bench.bench.planning.time_estimates import Chain, wall_seconds
from distillation_bench.bench.storage.cache import Cache
from distillation_bench.methods import METHODS
from distillation_bench.methods.networks.options import (
    LeNetOptions,
    MLPOptions,
    NetworkOptions,
    ResNetOptions,
    WideResNetOptions,
    options_of,
)

BACKWARD = 3
"""A training step in forward passes."""
SIDE = 4
"""Of LeNet's last planes."""
STEM = 16
"""Planes of a wide network's first convolution."""
PRODUCT = 512
"""Rows and columns of the matrix product that tells how fast the processor is."""
Planes = Sequence[int]


def rough_seconds(cells: Sequence[Cell], cache: Cache, jobs: int = 1) -> float:
    """Until cells and those of their teachers that are not in the cache are done, on some cores.

    Their data are in the cache. It is right within a factor of about two where networks take more
    time than what surrounds them.
    """
    speed = _speed()

    def seconds(products: int, passes: int) -> float:
        return 2 * products * passes / (speed * _share(products))

    teachers = {cell.teacher.outputs_key: cell.teacher for cell in cells}
    new = {
        key: 0.0 if cache.has(key) else seconds(*_of_teacher(plan, cache))
        for key, plan in teachers.items()
    }
    each = [(cell.teacher, seconds(*_of_student(cell, cache))) for cell in cells]
    chains = [Chain(new[plan.outputs_key], len(plan.pieces), cell) for plan, cell in each]
    return wall_seconds(sum(new.values()) + sum(cell for _, cell in each), chains, jobs)


def _speed() -> float:
    """Floating-point operations a second of a large matrix product on one core."""
    from threadpoolctl import threadpool_limits  # type: ignore[import-untyped, unused-ignore]

    matrix = np.ones((PRODUCT, PRODUCT), np.float32)
    times = []
    with threadpool_limits(1):
        for _ in range(8):
            # Not of the clock on the wall, in which others run.
            start = time.thread_time()
            matrix @ matrix
            times.append(time.thread_time() - start)
    return 2 * PRODUCT**3 / max(min(times), 1e-6)


def _share(products: int) -> float:
    """What part of that speed a network reaches, by the products of a pass.

    Fitted to steps of all families between 3e4 and 9e8 products, with a fifth for what surrounds
    them: small layers are slow, convolutions of many planes faster than the product itself.
    """
    return float(0.4 * (max(products, 1) / 1e6) ** 0.2)


def _passes(plan: TeacherPlan, cache: Cache) -> int:
    """Forward passes of one network that is trained, and then sees every evaluation set."""
    dataset, recipe = datasets.get(plan.dataset), plan.recipe
    examples = min(recipe.examples or dataset.examples, dataset.examples)
    size = math.prod(dataset.shape) * (1 if dataset.images else 4)
    seen = int(cache.note(plan.data.sets_key).get("bytes", 0)) // size
    return BACKWARD * recipe.epochs * examples + seen


def _of_teacher(plan: TeacherPlan, cache: Cache) -> tuple[int, int]:
    """Products of a member's pass, and the passes of all members."""
    return _products(plan)[0], plan.recipe.members * _passes(plan, cache)


def _of_student(cell: Cell, cache: Cache) -> tuple[int, int]:
    """Products of a student's pass, and its passes."""
    member, core, head = _products(cell.teacher)
    if METHODS[cell.method].is_teacher:
        return member, 0
    given = cell.parameters.get("heads", 1)
    # None is one per member; what else a plugin may call heads, nobody knows.
    heads = given if type(given) is int else cell.recipe.members
    return core + heads * head, _passes(cell.teacher, cache)


def _products(plan: TeacherPlan) -> tuple[int, int, int]:
    dataset = datasets.get(plan.dataset)
    return forward_products(options_of(plan.recipe.network), dataset.shape, dataset.outputs)


def forward_products(
    options: NetworkOptions, shape: Sequence[int], outputs: int
) -> tuple[int, int, int]:
    """Multiplications of one input's pass through a member, a core and a head."""
    if isinstance(options, MLPOptions):
        inputs = math.prod(shape)
        core = [inputs, *options.core]
        member, head = [inputs, *options.member, outputs], [core[-1], *options.head, outputs]
        return _dense(member), _dense(core), _dense(head)
    if isinstance(options, LeNetOptions):
        return _lenet(options, shape, outputs)
    if isinstance(options, WideResNetOptions):
        return _wide(options, shape, outputs)
    assert isinstance(options, ResNetOptions)
    return _resnet(options, shape, outputs)


def _dense(widths: Planes) -> int:
    return sum(a * b for a, b in pairwise(widths))


def _lenet(options: LeNetOptions, shape: Sequence[int], outputs: int) -> tuple[int, int, int]:
    channels, height, width = shape

    def convolutions(planes: Planes) -> int:
        pairs = enumerate(pairwise([channels, *planes]))
        return sum(9 * a * b * (height >> depth) * (width >> depth) for depth, (a, b) in pairs)

    member, core = options.scaled(options.member), options.scaled(options.core)
    dense, head = options.scaled(options.dense), options.scaled(options.head)
    member_end = _dense([member[-1] * SIDE**2, *dense, outputs])
    head_end = _dense([core[-1] * SIDE**2, *head, outputs])
    return convolutions(member) + member_end, convolutions(core), head_end


def _stages(
    inputs: int, planes: Planes, blocks: int, pixels: float, stride: int
) -> tuple[int, float]:
    """Multiplications of residual stages, and the pixels that are left."""
    total = 0.0
    for outputs in planes:
        pixels /= stride**2
        total += (9 * inputs * outputs + 9 * outputs**2) * pixels
        total += inputs * outputs * pixels * (stride > 1 or inputs != outputs)
        total += (blocks - 1) * 18 * outputs**2 * pixels
        inputs, stride = outputs, 2
    return int(total), pixels


def _resnet(options: ResNetOptions, shape: Sequence[int], outputs: int) -> tuple[int, int, int]:
    channels, height, width = shape
    member, core, head = map(options.scaled, (options.member, options.core, options.head))

    def start(planes: Planes) -> tuple[int, float]:
        total, left = _stages(planes[0], planes, options.blocks, height * width, 1)
        return total + 9 * channels * planes[0] * height * width, left

    begun, left = start(core)
    end = _stages(core[-1], head, options.blocks, left, 2)[0]
    return start(member)[0] + member[-1] * outputs, begun, end + [*core, *head][-1] * outputs


def _wide(options: WideResNetOptions, shape: Sequence[int], outputs: int) -> tuple[int, int, int]:
    channels, height, width = shape
    blocks, planes = (options.depth - 4) // 6, [STEM * options.widen * f for f in (1, 2, 4)]
    begun, left = _stages(STEM, planes[:2], blocks, height * width, 1)
    core = begun + 9 * channels * STEM * height * width
    head = _stages(planes[1], planes[2:], blocks, left, 2)[0] + planes[-1] * outputs
    return core + head, core, head
