"""A run writes only what it can read: a cell with other content fails with the reason."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from distillation_bench.bench.common.errors import UsageError
from distillation_bench.bench.execution.jobs import Job, RunCell
from distillation_bench.bench.execution.recorder import Recorder, record_skipped
from distillation_bench.bench.execution.scheduler import FinishedJob
from distillation_bench.bench.planning.cells import Cell, make_cells
from distillation_bench.bench.planning.configuration.config import Config
from distillation_bench.bench.planning.configuration.option_values import parse_variant
from distillation_bench.bench.planning.run_description import check_run, describe_run
from distillation_bench.bench.storage import tables as derived
from distillation_bench.bench.storage.formats.limits import (
    MAX_CELLS,
    MAX_DETAILS_LENGTH,
    MAX_NAME_LENGTH,
)
from distillation_bench.bench.storage.formats.write_checks import InvalidContent
from distillation_bench.bench.storage.run_folder import Run
from distillation_bench.bench.training.cell_result import CellResult
from distillation_bench.methods import METHODS, Parameters, parameter
from distillation_bench.methods.kd import KD

SETS = [{"set": "test", "shift": "", "severity": 0, "values": {"nll": 0.5}}]
GOOD: dict[str, Any] = {
    "headline": {"nll": 0.5},
    "sets": SETS,
    "timings": {"seconds": 1.0, "host": "here"},
    "environment": {"python": "3"},
}
ROW = {"stage": "train", "epoch": 0, "loss": 1.0}
DEEP: Any = []
for _ in range(5000):
    DEEP = [DEEP]
HALF = "\ud800"


def planned(*variants: str, seeds: tuple[int, ...] = (0,)) -> list[Cell]:
    config = Config(("spiral",), tuple(map(parse_variant, variants)), seeds, {}, {}, {})
    return make_cells(config)


@pytest.fixture
def run(tmp_path: Path) -> Run:
    """A run of two cells; the first one has a record."""
    run, (first, second) = Run(tmp_path / "run"), planned("kd", "single")
    run.write_manifest(describe_run(run, [first, second], "command"))
    ended(run, first, (GOOD, [ROW], {}))
    return run


def ended(run: Run, cell: Cell, value: Any, **how: Any) -> None:
    recorder = Recorder(run, {"job": cell}, set(), ())
    result = None
    if value is not None:
        body, history, curves = value
        result = CellResult(**body, history=history, curves=curves)
    recorder.job_finished(FinishedJob(Job("job", RunCell(cell)), result, **how))


BODIES: dict[str, dict[str, Any]] = {
    "a metric's name of a book's length": {"headline": {"x" * (MAX_NAME_LENGTH + 1): 1.0}},
    "a metric called as a column": {"headline": {"seed": 1.0}},
    "text for a figure": {"headline": {"nll": "good"}},
    "a number of no kind of JSON's": {"headline": {"nll": np.float32(1)}},
    "a set's name of a book's length": {"sets": [{**SETS[0], "set": "x" * (MAX_NAME_LENGTH + 1)}]},
    "half a character": {"environment": {"processor": HALF}},
    "a figure of thousands of digits": {"sets": [{**SETS[0], "values": {"nll": 10**5000}}]},
    "time that is none": {"timings": {"seconds": math.nan}},
    "no time": {"timings": {}},
    "nested without an end": {"environment": {"deep": DEEP}},
    "names that are none": {"environment": {3: 4, "a": 5}},
}
HISTORIES: dict[str, list[dict[Any, Any]]] = {
    "an epoch that is none": [{**ROW, "epoch": 0.5}],
    "a column of megabytes": [{**ROW, "x" * 200_000: 1.0}],
    "a value that is no number": [{**ROW, "term": "large"}],
    "a half of a character's column": [{**ROW, HALF: 1.0}],
    "no stage": [{"epoch": 0, "loss": 1.0}],
}
CURVES = {
    "another shape": {"histogram/total/test": np.zeros((3, 5), np.float32)},
    "no numbers": {"x": np.array([True])},
    "objects": {"x": np.array([None])},
}
UNREADABLE = {
    **{name: ({**GOOD, **body}, [ROW], {}) for name, body in BODIES.items()},
    **{name: (GOOD, rows, {}) for name, rows in HISTORIES.items()},
    **{name: (GOOD, [ROW], arrays) for name, arrays in CURVES.items()},
}


@pytest.mark.parametrize("value", UNREADABLE.values(), ids=UNREADABLE)
def test_a_cell_whose_record_could_not_be_read_fails_with_the_reason(run: Run, value: Any) -> None:
    first, second = planned("kd", "single")
    ended(run, second, value)
    record = run.read_record(second.id)
    assert record["status"] == "failed" and not record["headline"]
    assert record["reason"].startswith("its record can't be kept: ")
    assert run.history(record) == [] and run.curves(record) == {}
    derived.write_tables(run)
    assert [row["status"] for row in derived.results(run)] == ["done", "failed"]
    assert len(list(derived.metrics(run))) == 1
    # The record of a done cell is kept if running it again fails.
    assert run.read_record(first.id)["headline"] == {"nll": 0.5}


def test_a_loss_beyond_the_largest_number_is_infinite(run: Run) -> None:
    _, second = planned("kd", "single")
    ended(run, second, (GOOD, [{**ROW, "loss": 1e150, "term": -1e300}], {}))
    record = run.read_record(second.id)
    assert record["status"] == "done"
    assert run.history(record) == [{"stage": "train", "epoch": "0", "loss": "inf", "term": "-inf"}]


def test_long_reasons_and_tracebacks_are_cut(run: Run) -> None:
    _, second = planned("kd", "single")
    ended(
        run, second, None, reason=f"{HALF}x" * MAX_NAME_LENGTH, details=HALF + "y" * 10**6 + "end"
    )
    record = run.read_record(second.id)
    assert len(record["reason"]) == MAX_NAME_LENGTH and record["reason"].startswith("?x")
    assert len(record["details"]) == MAX_DETAILS_LENGTH and record["details"].endswith("end")
    record_skipped(run, [Cell(**{**second.__dict__, "skip": HALF})])
    assert run.read_record(second.id)["reason"] == "?"


# Before anything trains


class Odd(Parameters):
    """A parameter value of a plugin, of no allowed type."""

    value: Any = parameter(1, "anything")


@pytest.fixture
def odd(monkeypatch: pytest.MonkeyPatch) -> type[KD]:
    """Return a method with a parameter of any type."""
    method = type("OddKD", (KD,), {"name": "odd", "Parameters": Odd, "__module__": KD.__module__})
    monkeypatch.setitem(METHODS, "odd", method)
    return method


VALUES = {
    "nan": math.nan,
    "an infinite one": [1.0, -math.inf],
    "a huge one": 10**5000,
    "a set": {1},
    "a path": Path("x"),
    "half a character": HALF,
    "one of numbers as names": {3: 4},
    "a deep one": [[[[[[[[[[[[[[[[[[[[[[1]]]]]]]]]]]]]]]]]]]]]],
}


@pytest.mark.parametrize("value", VALUES.values(), ids=VALUES)
def test_parameters_that_cannot_be_stored_are_refused(
    odd: type[KD], monkeypatch: pytest.MonkeyPatch, value: Any
) -> None:
    monkeypatch.setattr(Odd.model_fields["value"], "default", value)
    Odd.model_rebuild(force=True)
    with pytest.raises(UsageError, match="the value of value can't be recorded"):
        planned("odd")


def test_labels_names_and_numbers_beyond_the_limits_are_refused(odd: type[KD]) -> None:
    for text in ("x" * MAX_NAME_LENGTH, r"\x1b2J", r"a\u2028b", r"a\nb"):
        with pytest.raises(UsageError, match="can't be used as a label"):
            planned(f'odd[value="{text}"]')
    long = type("Long", (KD,), {"name": "m" * 250, "__module__": KD.__module__})
    METHODS["m" * 250] = long
    try:
        with pytest.raises(UsageError, match="too long for a file name"):
            planned("m" * 250)
    finally:
        del METHODS["m" * 250]
    values = ",".join(map(str, range(1, 200)))
    with pytest.raises(UsageError, match=f"cells per dataset; a run has at most {MAX_CELLS:,}"):
        planned(f"hydra[heads={values}]", seeds=tuple(range(100_000)))


def test_a_description_that_could_not_be_read_is_never_written(tmp_path: Path) -> None:
    run, cells = Run(tmp_path / "run"), planned("kd")
    for command in (f"run {HALF}", 7):
        with pytest.raises(InvalidContent, match="not written, since no command could read it"):
            check_run(run, cells, command)  # type: ignore[arg-type]
    manifest = describe_run(run, cells, "run")
    for flaw in ({"ood": {"spiral": {"x" * MAX_NAME_LENGTH: "near"}}}, {"methods": [DEEP]}):
        with pytest.raises(InvalidContent):
            run.write_manifest({**manifest, **flaw})
    assert not run.folder.exists()
