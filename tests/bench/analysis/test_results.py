"""Reading one run or several: selectors, order, protocols and damaged files."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest

from distillation_bench.bench.analysis.comparison import compare
from distillation_bench.bench.analysis.overview import describe_runs
from distillation_bench.bench.analysis.results import Results, load
from distillation_bench.bench.common.errors import UsageError
from distillation_bench.bench.storage.run_folder import Run

MakeRun = Callable[..., Run]


def value_of(values: pd.DataFrame, *key: object) -> float:
    return float(values.set_index(["dataset", "label", "seed"])["value"].loc[key])


def figures(
    labels: str = "kd hydra", seeds: int = 2, dataset: str = "digits"
) -> dict[object, object]:
    return {
        (dataset, label, seed): {
            "nll": index + seed / 8,
            "ood_auroc": 0.5,
            "ood_auroc:epistemic@ood": 0.25,
            "parameters": 10.0,
            "nll@rotation/3": 5.0 + index,
        }
        for index, label in enumerate(labels.split())
        for seed in range(seeds)
    }


def small_run(make_run: MakeRun, folder: Path) -> Results:
    make_run(folder / "a", figures())
    return load(folder / "a")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        *(("nll", 0.125), ("nll@test", 0.125), ("nll@rotation/3", 5.0)),
        *(("ood_auroc", 0.5), ("ood_auroc:epistemic", 0.25), ("ood_auroc:epistemic@ood", 0.25)),
        ("parameters", 10.0),
    ],
)
def test_a_selector_finds_its_values(
    make_run: MakeRun, tmp_path: Path, text: str, expected: float
) -> None:
    results = small_run(make_run, tmp_path)
    values = results.values(text)
    assert len(values) == 4 and value_of(values, "digits", "kd", 1) == expected


@pytest.mark.parametrize(
    ("text", "message"),
    [
        *(
            ("nl", "did you mean 'nll'"),
            ("Error", "give accuracy"),
            ("KL to Teacher", "give teacher_kl"),
            ("xyzzy", "list metrics"),
            ("nll@rotation/x", "'x'"),
            ("nll@nowhere", "no cell"),
        ),
        ("nll@rotatoin/3", "no cell has this value; did you mean 'nll@rotation/3'"),
        *(("rmse", "no cell"), ("nll:total", "no cell"), ("", "unknown metric")),
    ],
)
def test_a_selector_without_values_is_reported_in_one_line(
    make_run: MakeRun, tmp_path: Path, text: str, message: str
) -> None:
    results = small_run(make_run, tmp_path)
    with pytest.raises(UsageError, match=message) as caught:
        results.values(text)
    assert "\n" not in str(caught.value)


def test_non_finite_values_are_kept(make_run: MakeRun, tmp_path: Path) -> None:
    row = {"nll": math.nan, "ece@rotation/3": math.inf}
    make_run(tmp_path / "a", {("digits", "kd", 0): row})
    results = load(tmp_path / "a")
    assert math.isnan(value_of(results.values("nll"), "digits", "kd", 0))
    assert value_of(results.values("ece@rotation/3"), "digits", "kd", 0) == math.inf
    undefined = results.metrics.set_index("metric")["defined"]
    assert not undefined["nll"] and undefined["ece"]


def test_two_halves_are_read_as_one_run(make_run: MakeRun, tmp_path: Path) -> None:
    all_values = figures(seeds=4)
    make_run(tmp_path / "all", all_values)
    for name, seeds in (("low", (0, 1, 2)), ("high", (2, 3))):
        part = {slot: row for slot, row in all_values.items() if slot[2] in seeds}  # type: ignore[index]
        make_run(tmp_path / name, part)
    together = load(tmp_path / "low", tmp_path / "high")
    expected = load(tmp_path / "all")
    pd.testing.assert_frame_equal(together.planned, expected.planned)
    for text in ("nll", "nll@rotation/3"):
        pd.testing.assert_frame_equal(together.values(text), expected.values(text))
    assert together.seeds("digits", "kd") == [0, 1, 2, 3]
    keys = ["dataset", "label", "seed", "set", "shift", "metric", "score"]
    metrics = [
        results.metrics.sort_values(keys, ignore_index=True) for results in (together, expected)
    ]
    pd.testing.assert_frame_equal(*metrics, check_categorical=False)
    assert together.cells["reason"].eq("").all() and together.cells["run"].nunique() == 2


def test_the_done_cell_of_two_equal_ones_counts(make_run: MakeRun, tmp_path: Path) -> None:
    slot = ("digits", "kd", 0)
    make_run(tmp_path / "a", figures(seeds=1), failed={("digits", "gauss", 0): "died"})
    failed = {slot: "died"}
    remaining = {key: row for key, row in figures("kd hydra gauss", seeds=1).items() if key != slot}
    make_run(tmp_path / "b", remaining, failed=failed)
    for names in ("ab", "ba"):
        results = load(*(tmp_path / name for name in names))
        assert len(results.planned) == 3 and results.planned["status"].eq("done").all()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"recipe": {"epochs": 99}}, r"another recipe than in .*/a \(epochs=99, there \w+\)"),
        ({"protocol": "changed"}, "other code or plugins of metrics"),
        ({"measured": {("digits", "gauss", 0): "other"}}, "another teacher"),
        ({"ood": {"digits": {"patches": "far"}}}, "other OOD sets"),
    ],
)
def test_other_protocols_are_refused_or_marked(
    make_run: MakeRun, tmp_path: Path, changes: dict[str, object], message: str
) -> None:
    make_run(tmp_path / "a", figures())
    make_run(tmp_path / "b", figures("gauss", seeds=1), **changes)
    folders = [tmp_path / "a", tmp_path / "b"]
    with pytest.raises(UsageError, match=message):
        load(*folders)
    results = load(*folders, mixed=True)
    assert "gauss (b)" in results.labels("digits") and "kd" in results.labels("digits")
    assert value_of(results.values("nll@rotation/3"), "digits", "gauss (b)", 0) == 5.0


def test_a_protocol_is_marked_on_the_datasets_that_it_alone_has(
    make_run: MakeRun, tmp_path: Path
) -> None:
    make_run(tmp_path / "a", figures("kd") | figures("kd", dataset="spiral"))
    sine = figures("kd", dataset="sine")
    make_run(tmp_path / "b", figures("kd") | sine, recipe={"epochs": 99})
    make_run(tmp_path / "c", figures("kd", seeds=3) | sine, recipe={"epochs": 99})
    results = load(tmp_path / "a", tmp_path / "b", mixed=True)
    assert results.labels("digits") == ["kd", "kd (b)"]
    assert (results.labels("spiral"), results.labels("sine")) == (["kd"], ["kd (b)"])
    assert results.select_labels(["kd"]) == ["kd", "kd (b)"]
    assert results.select_labels(["kd (b)"]) == ["kd (b)"]
    assert results.select_labels(["kd"], dataset="sine") == ["kd (b)"]
    folders = f"{tmp_path}/a (digits, spiral), {tmp_path}/b (digits, sine)"
    assert describe_runs(results) == f"Runs: {folders}." and not describe_runs(load(tmp_path / "a"))
    # In the other order the second run is the one that is marked.
    results = load(tmp_path / "b", tmp_path / "a", mixed=True)
    assert (results.labels("sine"), results.labels("spiral")) == (["kd"], ["kd (a)"])
    three = load(*(tmp_path / name for name in "abc"), mixed=True)
    assert not any(label == "kd" for label in three.labels("sine"))


def test_other_code_within_one_folder_is_refused(make_run: MakeRun, tmp_path: Path) -> None:
    run = make_run(tmp_path / "a", figures())
    manifest = run.manifest()
    changed = next(cell for cell in manifest["cells"].values() if cell["label"] == "hydra")
    changed["protocol"] = "older"
    run.write_manifest(manifest)
    with pytest.raises(UsageError, match="with other code or plugins of metrics than"):
        load(run.folder)
    assert any("(other code)" in label for label in load(run.folder, mixed=True).labels())


@pytest.mark.parametrize("kind", ["no folder", "no run", "empty", "only failures", "damaged"])
def test_a_folder_without_results_is_reported_in_one_line(
    make_run: MakeRun, tmp_path: Path, kind: str
) -> None:
    folder = tmp_path / "a"
    slot = ("digits", "kd", 0)
    if kind == "no run":
        folder.mkdir()
    elif kind == "empty":
        make_run(folder, {}, missing=[slot])
    elif kind == "only failures":
        make_run(folder, {}, failed={slot: "died"})
    elif kind == "damaged":
        make_run(folder, figures())
        (folder / "run.json").write_text("{")
    with pytest.raises(UsageError, match=r"a\b") as caught:
        load(folder)
    assert "\n" not in str(caught.value)


def test_a_damaged_record_is_named(make_run: MakeRun, tmp_path: Path) -> None:
    run = make_run(tmp_path / "a", figures())
    path = next(run.cells.glob("*.json"))
    content = path.read_bytes()
    for damaged in (b"{", content[:-9], content.replace(b"0.25", b"0.26")):
        path.write_bytes(damaged)
        with pytest.raises(UsageError, match=f"{path.name}: damaged"):
            load(run.folder)
    path.unlink()
    results = load(run.folder)
    assert results.planned["status"].eq("missing").sum() == 1
    assert len(results.cells) == len(results.planned) == 4
    for text in ("nll", "nll@rotation/3"):
        assert len(results.values(text)) == 3


def test_two_records_with_different_values_are_refused(make_run: MakeRun, tmp_path: Path) -> None:
    make_run(tmp_path / "a", figures())
    changed = figures()
    changed["digits", "kd", 1] = {**changed["digits", "kd", 1], "nll": 7.0}  # type: ignore[dict-item]
    make_run(tmp_path / "b", changed)
    for mixed in (False, True):
        with pytest.raises(UsageError, match="kd seed 1 has other values in"):
            load(tmp_path / "a", tmp_path / "b", mixed=mixed)


def test_runs_with_the_same_name_are_marked_apart(make_run: MakeRun, tmp_path: Path) -> None:
    folders = [tmp_path / name / "run" for name in "abcd"]
    for index, folder in enumerate(folders):
        make_run(folder, figures("kd", seeds=1), recipe={"epochs": index})
    results = load(*folders, mixed=True)
    assert results.labels() == ["kd", *(f"kd ({name}/run)" for name in "bcd")]
    assert len(results.planned) == 4


def test_means_count_every_seed(make_run: MakeRun, tmp_path: Path) -> None:
    values = {("digits", "kd", seed): {"nll": value} for seed, value in enumerate((1.0, 3.0))}
    values["digits", "hydra", 0] = {"nll": math.nan}
    values["digits", "hydra", 1] = {"nll": 1.0}
    make_run(
        tmp_path / "a", values, missing=[("digits", "kd", 2)], failed={("digits", "gauss", 0): "x"}
    )
    summary = load(tmp_path / "a").summary("nll").loc["digits"]
    assert summary.loc["kd"].tolist() == [2.0, math.sqrt(2), 2, 3, 1]
    assert math.isnan(summary.loc["hydra", "mean"]) and summary.loc["hydra", "n"] == 2
    assert summary.loc["gauss", ["n", "planned", "missing"]].tolist() == [0, 1, 1]


@pytest.mark.parametrize(
    "name",
    [
        *("NA", "null", "nan", "", "None", "1e3", "True", " a ", "#a", "\N{BYTE ORDER MARK}a"),
        *("a\0b", "a\rb", "a\nb", "a\r\nb", '"a"', 'a"b', "a,b", '"', "\\"),
    ],
)
def test_names_stay_text(make_run: MakeRun, tmp_path: Path, name: str) -> None:
    label = name or "NaN"
    make_run(tmp_path / "a", {(label, label, 0): {"nll": 1.0, "nll@rotation/1": 2.0}})
    results = load(tmp_path / "a")
    for table in (results.cells, results.metrics, results.values("nll@rotation/1")):
        assert set(table["dataset"]) == set(table["label"]) == set(table["method"]) == {label}


def test_rows_of_metrics_are_in_natural_order(make_run: MakeRun, tmp_path: Path) -> None:
    values = {"nll": 1.0, "ece@rotation/2": 0.2, "ece@rotation/10": 0.1, "nll@a-9/1": 1.0}
    values |= {"nll@a-10/1": 1.0, "ood_auroc@ood:far": 0.5}
    methods = {"heads=10": "hydra", "heads=5": "hydra"}
    slots = [("d", "heads=10", 0), ("d", "heads=5", 10), ("d", "heads=5", 2), ("c", "heads=5", 0)]
    folders = [
        make_run(tmp_path / str(i), dict.fromkeys(part, values), methods=methods).folder
        for i, part in enumerate((slots[:2], slots[2:]))
    ]
    for results in (load(*folders), load(*folders[::-1])):
        cells = results.metrics[["dataset", "label", "seed"]].drop_duplicates()
        assert [tuple(row) for row in cells.to_numpy()] == [
            ("c", "heads=5", 0),
            ("d", "heads=5", 2),
            ("d", "heads=5", 10),
            ("d", "heads=10", 0),
        ]
        sets = results.metrics[["set", "shift", "severity"]].iloc[:6].to_numpy().tolist()
        assert sets == [
            ["ood:far", "", 0],
            ["test", "", 0],
            ["test", "a-9", 1],
            ["test", "a-10", 1],
            ["test", "rotation", 2],
            ["test", "rotation", 10],
        ]
        assert results.metrics.index.tolist() == list(range(24))


def test_costs_that_are_no_columns_of_results_can_be_selected(
    make_run: MakeRun, tmp_path: Path
) -> None:
    values = {("d", x, 0): {"nll": 1.0, "bytes@cost": 100.0 * i} for i, x in enumerate("ab")}
    results = load(make_run(tmp_path / "r", values).folder)
    assert results.metric("bytes") == results.metric("bytes@cost")
    assert results.summary("bytes")["mean"].tolist() == [0.0, 100.0]
    comparison = compare(results, "bytes")
    assert comparison.note.startswith("Bytes: what a student costs is chosen")
    with pytest.raises(UsageError, match="byte: unknown metric; did you mean 'bytes'"):
        results.metric("byte")


def test_labels_are_in_natural_order(make_run: MakeRun, tmp_path: Path) -> None:
    labels = [f"hydra+[heads={heads}]" for heads in (5, 10, 20)]
    make_run(tmp_path / "a", figures(" ".join(labels)), methods=dict.fromkeys(labels, "hydra+"))
    results = load(tmp_path / "a")
    assert results.labels() == results.labels("digits") == labels
    assert results.values("nll")["label"].unique().tolist() == labels


def test_parameters_and_reasons_are_columns(make_run: MakeRun, tmp_path: Path) -> None:
    parameters = {"kd": {"heads": 5, "loss": "linear(1, 2)"}, "hydra": {"heads": 10}}
    slot = ("digits", "gauss", 0)
    make_run(tmp_path / "a", figures(), parameters=parameters, failed={slot: "out of memory"})
    cells = load(tmp_path / "a").cells.set_index("label")
    assert cells["param.heads"].loc[["kd", "hydra"]].tolist() == [5, 5, 10, 10]
    assert (
        cells.loc["gauss", "reason"] == "out of memory" and cells.loc["gauss", "status"] == "failed"
    )
    assert pd.isna(cells.loc["hydra", "param.loss"]).all()
    assert cells.loc["kd", "timing.seconds"].gt(0).all()
