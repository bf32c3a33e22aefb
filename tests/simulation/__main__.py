"""What the tests and intervals of `compare` are worth: `python -m tests.simulation`.

Prints how often they err when all methods are the same.
"""

from __future__ import annotations

import argparse

from tabulate import tabulate

from tests.simulation.null import everything


def main() -> None:
    """Print the table as Markdown."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=20_000, help="generated runs a row (20000)")
    rates = everything(parser.parse_args().runs)
    rows = [[r.setting, r.what, f"{r.share:.3f} ± {r.error:.3f}", r.goal] for r in rates]
    print(tabulate(rows, ["setting", "what", "share ± error", "stated"], tablefmt="pipe"))


if __name__ == "__main__":
    main()
