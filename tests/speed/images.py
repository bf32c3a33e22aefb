"""Real images on a CPU: this suite, the usual way, the original code and the processor."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from tests.speed.measure import (
    AtOnce,
    Measured,
    Pool,
    Row,
    in_turn,
    ratios,
    summary,
    summary_whole,
)
from tests.speed.original_code import HydraPlusLeNet, ResNetTeacher
from tests.speed.usual import UsualTeacher
from tests.speed.work import OOD_SETS, SHIFTS, Evaluation, Product, Training

PRECISIONS = ("float32", "bfloat16")
LENET = Training("mnist", images=6000, batch=128)
RESNET = Training("cifar10", images=640, batch=32)
HYDRA_PLUS = Training("svhn", images=2560, batch=256, members=20, method="hydra+")
IMAGES = "images × members/s"


def rows(pool: Pool, rounds: int, scale: float, root: Path | None) -> list[Row]:
    """All parts, one after another, each announced on standard error."""
    table = lenet_teacher(pool, rounds, scale, root)
    for part in (seed_teacher, seed_student, shares, evaluation, batching):
        print(f"measuring {part.__name__}", file=sys.stderr, flush=True)
        table += part(pool, rounds, scale)
    return table


def scaled(work: Training, scale: float) -> Training:
    """With fewer or more steps, eight at least."""
    return replace(work, images=work.batch * max(8, round(scale * work.images / work.batch)))


def lenet_teacher(pool: Pool, rounds: int, scale: float, root: Path | None) -> list[Row]:
    """(a) A piece a member in two processes, against loaders, members in turn, two threads."""
    work = replace(scaled(LENET, scale), root=str(root or ""))
    usual = UsualTeacher(work.images, work.batch, 5, root)
    # Two teachers of five: no process waits for the last member.
    name = f"MNIST LeNet teacher, 5 members, batch {work.batch}"
    return _against(f"{name}, the usual way", usual, pool, work, rounds, "4", times=5)


def seed_teacher(pool: Pool, rounds: int, scale: float, members: int = 5) -> list[Row]:
    """(b) Its step with all members on one batch, of which there are fewer than its 20."""
    work = scaled(RESNET, scale)
    steps = max(1, work.images // work.batch // 10)
    seed = ResNetTeacher(members, work.batch, steps)
    name = f"ResNet teacher step, {members} of 20 members, batch {work.batch}, the original code's"
    return _against(name, seed, pool, work, rounds, "3")


def seed_student(pool: Pool, rounds: int, scale: float) -> list[Row]:
    """(b) Its step with 20 heads and the teacher run again, against stored teacher outputs."""
    work = scaled(replace(HYDRA_PLUS, parameters={"normalise": False}), scale)
    seed = HydraPlusLeNet(work.members, work.batch, 1)
    name = f"Hydra+ LeNet step, {work.members} heads, batch {work.batch}, the original code's"
    return _against(name, seed, pool, work, rounds, "9")


def _against(
    name: str,
    reference: Measured,
    pool: Pool,
    work: Training,
    rounds: int,
    goal: str,
    times: int = 1,
) -> list[Row]:
    """Another's rate, ours in each precision, and the ratios."""
    ours = [AtOnce(pool, replace(work, precision=precision), times) for precision in PRECISIONS]
    theirs, *rates = in_turn([reference, *ours], rounds)
    unit = "images/s" if work.method else IMAGES
    table = [(name, summary_whole(theirs, unit), "")]
    for precision, rate in zip(PRECISIONS, rates, strict=True):
        table.append((f"  ours, {precision}", summary_whole(rate, unit), ""))
        table.append(("    times as fast", summary(ratios(rate, theirs), "x"), goal))
    return table


def shares(pool: Pool, rounds: int, scale: float) -> list[Row]:
    """(c) A member's training step on one thread, of what a matrix product reaches there."""
    table = []
    for name, work in (("LeNet", LENET), ("ResNet", RESNET)):
        for precision in PRECISIONS:
            with_precision = replace(scaled(work, scale), precision=precision)
            peak, rate = pool.call(in_turn, [Product(precision), with_precision], rounds)
            flops = with_precision.flops()
            share = [100 * flops * ratio for ratio in ratios(rate, peak)]
            billions = [flops_per_second / 1e9 for flops_per_second in peak]
            table += [
                (
                    f"matrix product, {precision}, one thread",
                    summary(billions, "GFLOP/s"),
                    "",
                ),
                (f"  {name} member's training, of it", summary(share, "%"), ""),
            ]
    return table


def evaluation(pool: Pool, rounds: int, scale: float) -> list[Row]:
    """(d) All sets, against two epochs of training; both a tenth of MNIST's size."""
    table = []
    for method in ("kd", "hydra+"):
        for precision in PRECISIONS:
            work = replace(LENET, members=5, method=method, precision=precision)
            sets = Evaluation(scaled(work, 0), round(1000 * scale))
            trained, evaluated = pool.call(in_turn, [scaled(work, scale / 3), sets], rounds)
            epochs = [2 * 5400 * scale / rate for rate in trained]
            seconds = [1 / rate for rate in evaluated]
            name = f"LeNet {method}, 5 members, {precision}"
            table += [
                (f"{name}: 2 epochs, {5400 * scale:,.0f} images", summary(epochs), ""),
                (f"  test, {SHIFTS} shifts, {OOD_SETS} OOD sets", summary(seconds), ""),
                ("  of the epochs' time", summary(ratios(seconds, epochs), "x"), "1"),
            ]
    return table


def batching(pool: Pool, rounds: int, scale: float) -> list[Row]:
    """(f) Networks one after another or as one grouped convolution, in one job of the device."""
    # Steps of so many networks take seconds: smaller batches, which hardly matter.
    members = replace(RESNET, members=5, images=160, batch=8)
    heads = replace(RESNET, members=20, method="hydra+", images=160, batch=8)
    works = {
        "LeNet, 5 members": scaled(replace(LENET, members=5), scale / 3),
        "ResNet, 5 members": scaled(members, scale / 3),
        "ResNet Hydra+, 20 heads": scaled(heads, scale / 3),
    }
    table = []
    for name, work in works.items():
        # Under vmap the CPU's autocast leaves convolutions in float32, or refuses them.
        table += batched(pool, rounds, name, work, PRECISIONS[:1])
    return table


def batched(
    pool: Pool, rounds: int, name: str, work: Training, precisions: Sequence[str]
) -> list[Row]:
    """One kind of network in turn and by vmap."""
    unit = "images/s" if work.method else IMAGES
    table = []
    for precision in precisions:
        with_precision = replace(work, precision=precision)
        ways = [replace(with_precision, network={"batching": way}) for way in ("turn", "vmap")]
        turn, vmap = pool.call(in_turn, ways, rounds)
        label = f"{name}, batch {work.batch}, {precision}"
        table += [
            (f"{label}: in turn", summary_whole(turn, unit), ""),
            ("  by vmap", summary_whole(vmap, unit), ""),
            ("  in turn over vmap", summary(ratios(turn, vmap), "x"), ""),
        ]
    return table
