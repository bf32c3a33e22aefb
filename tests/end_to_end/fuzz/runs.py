"""A run that is damaged by fuzzing, the commands that read it, and what they must show.

`pytest tests/end_to_end/fuzz --hypothesis-profile=long` damages it in other ways, and far more.
"""

from __future__ import annotations

import contextlib
import csv
import io
import itertools
import math
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from statistics import fmean
from typing import Any

from hypothesis import HealthCheck, settings
from tests.end_to_end.hostile import assert_orderly, in_time

from distillation_bench.bench.cli import main as cli
from distillation_bench.bench.common.errors import UsageError
from distillation_bench.bench.storage import tables as derived
from distillation_bench.bench.storage.run_folder import DamagedFile, Run

LENGTH = settings.default.max_examples / 100 if settings.default else 1


def examples(count: int) -> settings:
    """Set the number of examples, multiplied by that of the profile."""
    return settings(
        max_examples=round(count * LENGTH),
        suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
    )


GRID = (
    *("-m", "kd", "-m", "hydra[heads=2]", "-m", "ensemble", "-d", "spiral", "-d", "sine"),
    *("-s", "0-1", "--set", "epochs=2", "--set", "members=2", "--set", "test_examples=40"),
)


COMMANDS: Mapping[str, str] = {
    "status": "status RUN",
    "status --watch": "status RUN --watch",
    "board": "board RUN",
    "board --markdown": "board RUN --markdown",
    "compare": "compare RUN --json OUT/compare.json",
    "table": "table RUN --csv OUT/table.csv --latex OUT/t.tex --markdown OUT/t.md --macros OUT/m",
    "table --by metric": "table RUN --by metric --metric nll --metric ece@rotation/3",
    "report": "report RUN --no-figures --out OUT/report.html",
    "why": "why RUN CELL",
    "verify": "verify RUN",
    "export": "export RUN --out OUT/export.csv",
    "export parquet": "export RUN --out OUT/export.parquet",
    "export curves": "export RUN --tensorboard OUT/curves",
    "clean": "clean RUN",
    "merge": "merge RUN --into OUT/merged",
    "training": "plot RUN -f training -d sine --format png --out OUT",
    "fidelity": "plot RUN -f fidelity -m kd -d sine --format png --out OUT",
    "bands": "plot RUN -f bands -m kd -d sine --format png --out OUT",
    "maps": "plot RUN -f maps -m kd -d spiral --format png --out OUT",
    "metrics": "plot RUN -f metrics -d sine --metric nll --format png --out OUT",
}


DRAWING = ("training", "fidelity", "bands", "maps", "metrics", "report", "export curves")


QUICK = [name for name in COMMANDS if name not in DRAWING]


Rows = list[dict[str, str]]


class Site:
    """A run that is damaged and restored for each example."""

    def __init__(self, sound: Path, run: Path, out: Path) -> None:
        self.run, self.out = run, out
        # With modification times, which tell that tables are newer than records.
        self.files: dict[str, tuple[bytes, int]] = {}
        for path in sorted(sound.rglob("*")):
            if path.is_file() and not path.name.startswith("."):
                name = str(path.relative_to(sound))
                self.files[name] = path.read_bytes(), path.stat().st_mtime_ns
        shutil.copytree(sound, run)

    def mend(self) -> None:
        """Restore all files."""
        shutil.rmtree(self.out, ignore_errors=True)
        self.out.mkdir()
        for name, (content, time) in self.files.items():
            path = self.run / name
            if not path.is_file() or path.read_bytes() != content:
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(content)
            os.utime(path, ns=(time, time))

    def __call__(self, name: str, cell: str) -> int:
        """Run a command, check that it ends properly, and return its status."""
        values = {"RUN": str(self.run), "OUT": str(self.out), "CELL": cell}
        line = [values.get(w, w.replace("OUT/", f"{self.out}/")) for w in COMMANDS[name].split()]
        done = program(*line)
        assert_orderly(done)
        assert done.returncode != 1 or name == "verify", name
        return done.returncode


def program(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Run the program in this process."""
    out, err, argv = io.StringIO(), io.StringIO(), sys.argv
    status: Any = 0
    sys.argv = ["run_bench.py", *arguments]
    try:
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err), in_time():
            cli.main()
    except SystemExit as ended:
        status = ended.code
    finally:
        sys.argv = argv
    return subprocess.CompletedProcess(arguments, status or 0, out.getvalue(), err.getvalue())


class Truth:
    """The values that commands show of the sound run."""

    def __init__(self, run: Path, out: Path) -> None:
        self.results = {_slot(row): row for row in derived.results(Run(run))}
        self.metrics = {tuple(row) for row in derived.metrics(Run(run))}
        assert program("export", str(run), "--out", str(out / "truth.csv")).returncode == 0
        self.exported = {tuple(row.items()) for row in rows_of(out / "truth.csv")}
        assert program("table", str(run), "--csv", str(out / "truth.csv")).returncode == 0
        self.tables = {_table_cell(row): row for row in rows_of(out / "truth.csv")}
        self.cells = Run(run).manifest()["cells"]
        records = {name: Run(run).read_record(name) for name in self.cells}
        self.histories = {name: Run(run).history(record) for name, record in records.items()}
        self.curves = {name: Run(run).curves(record) for name, record in records.items()}

    def check(self, run: Run, out: Path) -> None:
        """Check that every shown value is one of the sound run."""
        for row in rows_or_none(lambda: derived.results(run)):
            assert row == self.results[_slot(row)]
        for values in rows_or_none(lambda: list(derived.metrics(run))):
            assert tuple(values) in self.metrics
        for cell_id in self.cells:
            record = run.record(cell_id)
            if record is not None:
                with contextlib.suppress(DamagedFile):
                    assert run.history(record) == self.histories[cell_id]
                curves, true = run.curves(record), self.curves[cell_id]
                assert not curves or curves.keys() == true.keys()
                assert all(curves[name].tobytes() == true[name].tobytes() for name in curves)
        for row in rows_of(out / "export.csv"):
            assert tuple(row.items()) in self.exported or row["status"] == "missing"
        for row in rows_of(out / "table.csv"):
            self._check_mean(row)

    def _check_mean(self, row: Mapping[str, str]) -> None:
        """Check that a mean is the true one, or that of as many seeds as it states."""
        true = self.tables[_table_cell(row)]
        if row["n"] == row["planned"]:
            assert {**row, "mark": "", "level": ""} == {**true, "mark": "", "level": ""}
        elif row["mean"]:
            seeds = [r for slot, r in self.results.items() if slot[:2] == _table_cell(row)[:2]]
            values = [float(row_of_seed[row["metric"]]) for row_of_seed in seeds]
            groups = itertools.combinations(values, int(row["n"]))
            means = [_printed(row, fmean(group)) for group in groups]
            assert any(math.isclose(float(row["mean"]), mean, rel_tol=1e-9) for mean in means)


def _printed(row: Mapping[str, str], value: float) -> float:
    scale = {"": 1.0, "nats": 1.0, "%": 100.0, "k": 1e-3, "M": 1e-6}[row["unit"]]
    return 100 - 100 * value if row["metric"] == "accuracy" else scale * value


def rows_or_none(rows: Callable[[], list[Any]]) -> list[Any]:
    """Return rows, or an empty list if they are refused."""
    try:
        return rows()
    except UsageError:
        return []


def _slot(row: Mapping[str, str]) -> tuple[str, str, str]:
    return row["dataset"], row["label"], row["seed"]


def _table_cell(row: Mapping[str, str]) -> tuple[str, str, str]:
    return row["dataset"], row["label"], row["metric"]


def rows_of(path: Path) -> Rows:
    """Return the rows of a CSV file, or an empty list if there is none."""
    if not path.is_file():
        return []
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file, strict=True))


def read_and_check(site: Site, truth: Truth, names: set[str]) -> None:
    cell = next(iter(truth.cells))
    for name in sorted(names):
        site(name, cell)
    truth.check(Run(site.run), site.out)
