"""Exports to CSV, Parquet and TensorBoard hold what the records hold."""

from __future__ import annotations

import csv
import io
import math
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from distillation_bench.bench.analysis import export
from distillation_bench.bench.analysis.results import load
from distillation_bench.bench.storage import tables as derived
from distillation_bench.bench.storage.formats.csv_files import spreadsheet_safe
from distillation_bench.bench.storage.run_folder import Run

MakeRun = Callable[..., Run]
Mistake = Callable[..., str]
STRANGE = ["a_b & 100% #1", "../x", "NA", 'new\nline,"q"', "=1+1"]
FIGURES = {
    ("d", "kd", 0): {"nll": 0.1 + 0.2, "ece@rotation/3": math.nan, "ood_auroc:total@ood:far": 1.0},
    ("d", "kd", 1): {"nll": math.inf, "accuracy": 1.0},
    **{("d", label, 0): {"nll": 0.5} for label in STRANGE},
}
PARAMETERS = {
    "kd": {"heads": 3, "lam": 4.5, "flat": True, "none": None, "layers": [100, 50]},
    "NA": {"heads": 5, "lam": "linear(0, 4)", "flat": False, "none": None},
}
HISTORY = [
    {"stage": "warm-up", "epoch": 0, "loss": 2.5, "extra": ""},
    *({"stage": "train", "epoch": i, "loss": 1 / (i + 1), "extra": math.nan} for i in range(3)),
]


@pytest.fixture
def run(tmp_path: Path, make_run: MakeRun) -> Run:
    return make_run(
        tmp_path / "r",
        FIGURES,
        failed={("d", "kd", 2): "it broke"},
        missing=[("d", "kd", 3)],
        parameters=PARAMETERS,
        timings={"attempts": 1, "peak_memory_bytes": 2**20},
        methods=dict.fromkeys(STRANGE, "kd"),
        histories={("d", label, 0): HISTORY for label in ("kd", "../x")},
    )


def rows(run: Run, path: Path) -> list[dict[str, str]]:
    export.write_table(load(run.folder), path)
    return list(csv.DictReader(io.StringIO(path.read_text(encoding="utf-8"), newline="")))


def test_every_value_is_a_row(run: Run, tmp_path: Path) -> None:
    exported = rows(run, tmp_path / "out.csv")
    parts = ("label", "seed", "set", "shift", "severity", "metric", "score", "value")
    table = {tuple(row[name] for name in parts) for row in exported if row["status"] == "done"}
    names = ("dataset", "method", "label", "seed", *parts[2:])
    assert {
        tuple(spreadsheet_safe(dict(zip(names, row, strict=True))[name]) for name in parts)
        for row in derived.metrics(run)
    } == table
    assert ("kd", "0", "test", "", "0", "nll", "", "0.30000000000000004") in table
    assert ("kd", "0", "test", "rotation", "3", "ece", "", "nan") in table
    assert ("kd", "0", "ood:far", "", "0", "ood_auroc", "total", "1.0") in table
    assert {row["label"] for row in exported} == {"kd", *map(spreadsheet_safe, STRANGE)}


def test_cells_without_values_have_one_row(run: Run, tmp_path: Path) -> None:
    exported = {r["seed"]: r for r in rows(run, tmp_path / "out.csv") if r["status"] != "done"}
    assert {seed: row["status"] for seed, row in exported.items()} == {
        "2": "failed",
        "3": "missing",
    }
    assert all(row["metric"] == row["value"] == "" for row in exported.values())
    assert exported["3"]["timing.seconds"] == "" and exported["2"]["param.heads"] == "3"


def test_parameters_teacher_and_timings_are_columns(run: Run, tmp_path: Path) -> None:
    exported = {row["label"]: row for row in rows(run, tmp_path / "out.csv") if row["seed"] == "0"}
    kd, unnamed = exported["kd"], exported["NA"]
    names = ("param.heads", "param.lam", "param.flat", "param.none", "param.layers")
    assert [kd[name] for name in names] == ["3", "4.5", "true", "", "[100, 50]"]
    assert [unnamed[name] for name in names] == ["5", "linear(0, 4)", "false", "", ""]
    assert kd["teacher"] == unnamed["teacher"] and kd["teacher"].startswith("outputs-")
    assert kd["timing.seconds"] == "1.0"
    # What is counted and not measured is whole.
    assert (kd["timing.attempts"], kd["timing.peak_memory_bytes"]) == ("1", "1048576")


def test_equal_runs_give_equal_files(run: Run, tmp_path: Path) -> None:
    rows(run, tmp_path / "a.csv"), rows(run, tmp_path / "b.csv")
    assert (tmp_path / "a.csv").read_bytes() == (tmp_path / "b.csv").read_bytes()
    assert not list(tmp_path.glob(".*"))


def test_parquet_holds_the_same_rows(run: Run, tmp_path: Path) -> None:
    parquet = pytest.importorskip("pyarrow.parquet", reason="pyarrow is not installed")
    text = rows(run, tmp_path / "out.csv")
    export.write_table(load(run.folder), tmp_path / "out.parquet")
    table = parquet.read_table(tmp_path / "out.parquet")
    kinds = {name: str(table.schema.field(name).type) for name in table.column_names}
    assert kinds["value"] == kinds["timing.seconds"] == "double"
    assert kinds["seed"] == kinds["severity"] == kinds["param.heads"] == "int64"
    assert kinds["timing.attempts"] == "int64" and kinds["param.none"] == "string"
    # Cells without values have none of these.
    frame = pd.read_parquet(tmp_path / "out.parquet")
    whole = ["severity", "param.heads", "timing.attempts"]
    assert [str(frame[name].dtype) for name in whole] == ["Int64"] * 3
    assert str(frame["seed"].dtype) == "int64" and frame["severity"].isna().any()
    assert kinds["param.flat"] == "bool" and kinds["param.lam"] == "string"
    exported: list[dict[str, Any]] = table.to_pylist()
    assert len(exported) == len(text)
    for typed, row in zip(exported, text, strict=True):
        for name, value in typed.items():
            if value is None:
                assert row[name] == "", name
            elif isinstance(value, float):
                assert value == float(row[name]) or (math.isnan(value) and row[name] == "nan")
            elif isinstance(value, bool):
                assert row[name] == str(value).lower()
            else:
                assert row[name] == str(spreadsheet_safe(value)), name


def test_tensorboard_reads_the_curves_back(run: Run, tmp_path: Path) -> None:
    pytest.importorskip("tensorboardX", reason="tensorboardX is not installed")
    reader = pytest.importorskip(
        "tensorboard.backend.event_processing.event_accumulator",
        reason="tensorboard is not installed",
    )
    folder = tmp_path / "deep" / "tb"
    assert export.write_curves(load(run.folder), folder) == (2, [])
    files = sorted(path for path in tmp_path.rglob("events*"))
    assert [str(path.parent.relative_to(folder)) for path in files] == [
        *("d/..%2Fx/seed 0", "d/kd/seed 0")
    ]
    content = files[1].read_bytes()
    # Written twice, as during a run: the second file replaces the first one.
    export.write_curves(load(run.folder), folder)
    assert files[1].read_bytes() == content
    assert [path.name for path in files[1].parent.iterdir()] == [files[1].name]
    events = reader.EventAccumulator(str(files[1].parent)).Reload()
    assert events.Tags()["scalars"] == ["warm-up/loss", "train/loss", "train/extra"]
    losses = [(event.step, event.value) for event in events.Scalars("train/loss")]
    assert losses == [(i, pytest.approx(1 / (i + 1), rel=1e-6)) for i in range(3)]
    assert all(math.isnan(event.value) for event in events.Scalars("train/extra"))
    assert [event.value for event in events.Scalars("warm-up/loss")] == [2.5]


def test_a_damaged_history_is_left_out(run: Run, tmp_path: Path) -> None:
    pytest.importorskip("tensorboardX", reason="tensorboardX is not installed")
    path = next(run.cells.glob("d-kd.s0*/history.csv"))
    path.unlink()
    count, damaged = export.write_curves(load(run.folder), tmp_path / "tb")
    assert (count, [str(error) for error in damaged]) == (1, [f"{path}: missing or empty"])


def test_names_do_not_lead_out_of_the_folder() -> None:
    texts = [
        "..",
        ".",
        "%2E%2E",
        "a/b",
        "a%2Fb",
        "a\\b",
        "\0",
        "kd",
        "hydra+[heads=5]",
        "é",
        "CON:",
        *("x" * 300 + end for end in "ab"),
        "é" * 60,
    ]
    names = [export._folder_name(text) for text in texts]
    assert len(set(names)) == len(texts)
    assert not any(set(name) & set("/\\\0:") or not name.strip(".") for name in names)
    assert max(len(name.encode()) for name in names) < 256
    assert "hydra+[heads=5]" in names and "kd" in names


def test_a_mistake_is_reported(
    run: Run, tmp_path: Path, mistake: Mistake, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert "neither .csv nor .parquet" in mistake(export.check_format, tmp_path / "out.xlsx")
    for package in ("pyarrow", "tensorboardX"):
        monkeypatch.setitem(sys.modules, package, None)
    message = mistake(export.check_format, tmp_path / "out.parquet")
    assert message.endswith("needs pyarrow, which is not installed: pip install pyarrow")
    assert "pip install tensorboardX" in mistake(
        export.require_package, "tensorboardX", "--tensorboard tb"
    )
