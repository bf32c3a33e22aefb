"""What each method can represent: `python -m tests.recovery` writes the table of docs/methods.md.

Students learn from synthetic teachers whose distribution is known, once from little and once from
much. A cell has the errors of the epistemic uncertainty, as a share of its mean.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from pathlib import Path

import joblib
from tabulate import tabulate
from tests.recovery.students import LARGE, SMALL, errors
from tests.recovery.teachers import TEACHERS, SyntheticTeacher

from distillation_bench.bench.metrics.uncertainties import UNCERTAINTIES
from distillation_bench.bench.training.hardware.compute import prepare_process
from distillation_bench.methods import METHODS

DOCUMENT = Path(__file__).parents[2] / "docs/methods.md"
START, END = "<!-- recovery: start -->", "<!-- recovery: end -->"
"""Between these lines of the document is the table."""
NETWORK_ONLY = ("ensemble",)
"""Methods that need the members' networks."""


def main() -> None:
    """Train all students, and write the tables into the document."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--methods", nargs="+", choices=METHODS, help="print these alone")
    parser.add_argument("--jobs", type=int, default=2, help="processes (2)")
    arguments = parser.parse_args()
    names = arguments.methods or [name for name in METHODS if name not in NETWORK_ONLY]
    text = "\n\n".join(_tables(names, arguments.jobs))
    if arguments.methods:
        print(text)
        return
    before, _, rest = DOCUMENT.read_text(encoding="utf-8").partition(START)
    after = rest.partition(END)[2]
    DOCUMENT.write_text(f"{before}{START}\n\n{text}\n\n{END}{after}", encoding="utf-8")


def _tables(names: Sequence[str], jobs: int) -> Iterator[str]:
    """Yield a heading and a table for each uncertainty."""
    rows = joblib.Parallel(jobs)(
        joblib.delayed(_errors)(name, teacher) for name in names for teacher in TEACHERS
    )
    cells = dict(zip(((n, t) for n in names for t in TEACHERS), rows, strict=True))
    for index, uncertainty in enumerate(UNCERTAINTIES):
        table = [[f"`{n}`", *(cells[n, t][index] for t in TEACHERS)] for n in names]
        headers = [f"{uncertainty}, %", *TEACHERS]
        yield tabulate(table, headers, tablefmt="github", disable_numparse=True)


def _errors(name: str, teacher: str) -> list[str]:
    """Return "error → error" of each uncertainty, with little and with much to learn from."""
    chosen: SyntheticTeacher = TEACHERS[teacher]
    if chosen.task in METHODS[name].refuses:
        return ["–"] * len(UNCERTAINTIES)
    prepare_process()
    small, large = (errors(name, chosen, size) for size in (SMALL, LARGE))
    return [f"{small[u]:.0%} → {large[u]:.0%}".replace("%", "") for u in UNCERTAINTIES]


if __name__ == "__main__":
    main()
