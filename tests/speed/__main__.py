"""The suite's speed, as tables: `python -m tests.speed PART`. Nothing here is a test.

Machines differ, and a ratio means something only if both sides were measured in turn: run it on a
machine that does nothing else.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from tests.speed import cell_costs, gpu, images, precision, steps, toy
from tests.speed.measure import Pool, print_table

from distillation_bench.bench.common.devices import parse_devices

PARTS = {
    "toy": "the toy data, the engine and its tables",
    "cells": "300 cells that take no time, beside benchopt",
    "steps": "a training step of each method, beside the time of its FLOPs",
    "images": "real images on the CPU, and on a GPU if there is one",
    "precision": "bfloat16 against float32 over 3 seeds of MNIST, from --data-root",
}


def main() -> None:
    """Print the tables of one part."""
    parser = argparse.ArgumentParser(description=__doc__)
    parts = "; ".join(f"{name}: {summary}" for name, summary in PARTS.items())
    parser.add_argument("part", nargs="?", default="toy", choices=PARTS, help=parts)
    parser.add_argument("--data-root", type=Path, help="folder of MNIST/raw; else random images")
    parser.add_argument("--rounds", type=int, default=5, help="measurements of each thing (5)")
    parser.add_argument("--scale", type=float, default=1.0, help="factor on their length")
    parser.add_argument("--benchopt", type=Path, help="cells: its program, to run beside ours")
    parser.add_argument("--checkout", type=Path, help="cells: another checkout, to run beside this")
    arguments = parser.parse_args()
    if arguments.part == "precision" and arguments.data_root is None:
        parser.error("precision trains on MNIST: give --data-root")
    pool = Pool()
    try:
        if arguments.part == "toy":
            print_table(toy.rows(), pool.hardware)
        elif arguments.part == "cells":
            table = cell_costs.rows(arguments.rounds, arguments.benchopt, arguments.checkout)
            print_table(table, pool.hardware)
        elif arguments.part == "steps":
            print_table(steps.rows(pool, arguments.rounds), pool.hardware)
        elif arguments.part == "precision":
            print_table(precision.rows(pool, arguments.scale, arguments.data_root), pool.hardware)
        else:
            table = images.rows(pool, arguments.rounds, arguments.scale, arguments.data_root)
            print_table(table, pool.hardware)
            _print_gpu(arguments.rounds, arguments.scale)
    finally:
        pool.stop()


def _print_gpu(rounds: int, scale: float) -> None:
    device = parse_devices("auto")[0]
    if device == "cpu":
        print("no GPU: skipped")
        return
    pool = Pool(device)
    try:
        print_table(gpu.rows(pool, rounds, scale), pool.hardware)
    finally:
        pool.stop()


if __name__ == "__main__":
    main()
