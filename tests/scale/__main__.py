"""How the driver holds out: `python -m tests.scale run`, `read` or `pair`.

run: a grid of cells that do next to nothing, with failures, on each executor with two workers; what
a cell costs, and the driver's time and memory from the first thousand to the last.
read: planning, and every command that reads a run, on a run of so many generated records.
pair: a preset, whole processes from nothing, on two local workers and on two of Dask's in turn.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path


def main() -> None:
    """Print one of the tables."""
    # Each job's process imports this module too, so that it must be fast.
    from tabulate import tabulate
    from tests.scale.measurement_tables import pair_rows, read_rows, run_row

    from distillation_bench.bench.execution.executors.registry import EXECUTORS

    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("part", choices=("run", "read", "pair"))
    parser.add_argument("--cells", type=int, help="else 10,000 to run, 100,000 to read")
    parser.add_argument("--executor", choices=EXECUTORS, action="append", help="else local, dask")
    parser.add_argument("--seconds", type=float, default=0.0, help="about a cell's length (0)")
    parser.add_argument("--preset", default="toy", help="of the pairs (toy)")
    parser.add_argument("--rounds", type=int, default=3, help="of the pairs (3)")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        if arguments.part == "run":
            cells = arguments.cells or 10_000
            rows = [
                run_row(Path(folder) / executor, executor, cells, arguments.seconds)
                for executor in arguments.executor or ("local", "dask")
            ]
        elif arguments.part == "pair":
            rows = pair_rows(Path(folder), arguments.preset, arguments.rounds)
        else:
            rows = read_rows(Path(folder), arguments.cells or 100_000)
    print(tabulate(rows, headers="keys", tablefmt="pipe"))


if __name__ == "__main__":
    main()
