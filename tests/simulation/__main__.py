"""What tests and intervals of `compare` and `table` are worth: `python -m tests.simulation`.

Prints how often they err when all methods are the same: the functions on figures alone, then the
commands' whole way on generated runs.
"""

from __future__ import annotations

import argparse

from tabulate import tabulate
from tests.simulation import comparisons, daggers, null


def main() -> None:
    """Print the table as Markdown."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=20_000, help="generated runs a row (20000)")
    parser.add_argument("--tables", type=int, default=2000, help="the same of commands (2000)")
    arguments = parser.parse_args()
    rates = [
        *null.everything(arguments.runs),
        *comparisons.everything(arguments.tables),
        *daggers.everything(arguments.tables),
    ]
    rows = [[r.setting, r.what, r.text, r.goal] for r in rates]
    print(tabulate(rows, ["setting", "what", "share ± error", "stated"], tablefmt="pipe"))


if __name__ == "__main__":
    main()
