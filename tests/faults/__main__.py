"""The long form of the fault injection: `python -m tests.faults --kills 200`.

`--recovery 20` instead: seconds from a kill until the cell runs again.
"""

from __future__ import annotations

import argparse
import sys

from tests.faults.injection import Outcome, injected
from tests.faults.recovery import killed_cell, killed_worker
from tests.speed.measure import summary

EXECUTORS = {"local": (), "dask": ("--executor", "dask")}


def main() -> None:
    """Kill, resume and compare; exit status 1 if anything was lost, doubled or changed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=200, help="on each executor (200)")
    parser.add_argument("--executor", choices=EXECUTORS, action="append", help="else each")
    parser.add_argument("--seed", type=int, default=0, help="of moments and victims (0)")
    parser.add_argument("--recovery", type=int, metavar="N", help="time N kills on each executor")
    arguments = parser.parse_args()
    if arguments.recovery:
        for name in EXECUTORS:
            print(f"{name}, a cell's process: {summary(killed_cell(name, arguments.recovery))}")
        print(f"dask, a worker: {summary([killed_worker() for _ in range(arguments.recovery)])}")
        return
    faults = 0
    for name in arguments.executor or EXECUTORS:
        outcome = Outcome()
        for outcome in injected(arguments.kills, EXECUTORS[name], arguments.seed):
            print(
                f"{name}: {outcome.kills.total()} kills, {len(outcome.faults)} faults",
                file=sys.stderr,
                flush=True,
            )
        print(f"{name}: {outcome}")
        faults += len(outcome.faults)
    sys.exit(faults > 0)


if __name__ == "__main__":
    main()
