"""Real images on a GPU: the CIFAR-10 teacher, what the paper's grid would take, batching."""

from __future__ import annotations

import statistics
from dataclasses import replace
from typing import Any

from tests.speed.images import IMAGES, batched, scaled
from tests.speed.measure import Pool, Row, in_turn, ratios, summary, summary_whole
from tests.speed.work import Product, Training

from distillation_bench.bench.common.text import duration

MEMBER = Training("cifar10", images=5120, batch=256, precision="bfloat16")
EXAMPLES, EPOCHS, MEMBERS = 45_000, 200, 20
"""Of the paper's CIFAR-10 grid."""
STUDENTS: list[tuple[str, str, dict[str, Any]]] = [
    ("hydra+ 20", "hydra+", {"heads": 20, "normalise": False}),
    ("hydra+ 10", "hydra+", {"heads": 10, "normalise": False}),
    ("hydra+ 5", "hydra+", {"heads": 5, "normalise": False}),
    ("hydra", "hydra", {"phases": 1}),
    ("mc-dropout", "mc-dropout", {}),
    ("gauss", "gauss", {}),
    ("endd", "endd", {}),
]


def rows(pool: Pool, rounds: int, scale: float) -> list[Row]:
    """All parts, one after another."""
    table, teacher = members(pool, rounds, scale)
    return [*table, *column(pool, rounds, scale, teacher), *batching(pool, rounds, scale)]


def members(pool: Pool, rounds: int, scale: float) -> tuple[list[Row], float]:
    """(e) Members trained at once, each way; and seconds of the paper's teacher the best way."""
    works = [
        replace(
            scaled(MEMBER, scale), members=count, network={"batching": way}, precision=precision
        )
        for count in (1, 5, 20)
        for way, precision in (("turn", MEMBER.precision), ("vmap", "float32"))
    ]
    peak, *rates = pool.call(in_turn, [Product(MEMBER.precision), *works], rounds)
    flops = MEMBER.flops()
    table = [
        (
            "matrix product, bfloat16",
            summary([rate / 1e12 for rate in peak], "TFLOP/s"),
            "",
        )
    ]
    for work, rate in zip(works, rates, strict=True):
        share = [100 * flops * ratio for ratio in ratios(rate, peak)]
        way = f"{work.network['batching']}, {work.precision}"
        name = f"CIFAR-10 ResNet teacher, {work.members} members, {way}"
        table += [
            (f"{name}, batch {work.batch}", summary_whole(rate, IMAGES), ""),
            ("  of the matrix product", summary(share, "%"), ""),
        ]
    best = max(statistics.median(rate) for rate in rates)
    seconds = MEMBERS * EPOCHS * EXAMPLES / best
    name = f"the paper's teacher, {MEMBERS} × {EPOCHS} × {EXAMPLES:,}, the best way, projected"
    return [*table, (name, duration(seconds), "15 min")], seconds


def column(pool: Pool, rounds: int, scale: float, teacher: float) -> list[Row]:
    """(e) The paper's students, projected, and with the teacher one seed's column of CIFAR-10."""
    table = []
    total = teacher
    for name, method, parameters in STUDENTS:
        student = replace(MEMBER, members=MEMBERS, method=method, parameters=parameters)
        (rate,) = pool.call(in_turn, [scaled(student, scale)], rounds)
        seconds = EPOCHS * EXAMPLES / statistics.median(rate)
        total += seconds
        table += [
            (f"CIFAR-10 {name}, training", summary_whole(rate, "images/s"), ""),
            (f"  {EPOCHS} × {EXAMPLES:,}, projected", duration(seconds), ""),
        ]
    return [
        *table,
        ("teacher and students, one seed, one after another", duration(total), "45 min"),
    ]


def batching(pool: Pool, rounds: int, scale: float) -> list[Row]:
    """(f) Batching of LeNet and of heads, which the rows of members do not have."""
    lenet = Training("mnist", images=12_800, batch=256, members=5)
    heads = replace(MEMBER, members=MEMBERS, method="hydra+")
    precisions = ("float32",)  # vmap has no other
    return [
        *batched(pool, rounds, "LeNet, 5 members", scaled(lenet, scale), precisions),
        *batched(pool, rounds, "ResNet Hydra+, 20 heads", scaled(heads, scale), precisions),
    ]
