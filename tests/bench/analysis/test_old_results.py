"""Reading one run or several: selectors, order, protocols and damaged files."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path

import pytest

from distillation_bench.bench.analysis.old_results import Results, read
from distillation_bench.bench.common.errors import UsageError
from distillation_bench.bench.storage.run_folder import Run

MakeRun = Callable[..., Run]


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
    return read([folder / "a"])


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
    values = results.values(results.metric(text))
    assert values["digits", "kd", 1] == expected and len(values) == 4


@pytest.mark.parametrize(
    ("text", "message"),
    [
        *(("nl", "did you mean 'nll'"), ("nll@rotation/x", "'x'"), ("nll@nowhere", "no cell")),
        ("nll@rotatoin/3", "no cell has this value; did you mean 'nll@rotation/3'"),
        *(("rmse", "no cell"), ("nll:total", "no cell"), ("", "unknown metric")),
    ],
)
def test_a_selector_without_values_is_reported_in_one_line(
    make_run: MakeRun, tmp_path: Path, text: str, message: str
) -> None:
    results = small_run(make_run, tmp_path)
    with pytest.raises(UsageError, match=message) as caught:
        results.values(results.metric(text))
    assert "\n" not in str(caught.value)


def test_non_finite_values_are_kept(make_run: MakeRun, tmp_path: Path) -> None:
    row = {"nll": math.nan, "ece@rotation/3": math.inf}
    make_run(tmp_path / "a", {("digits", "kd", 0): row})
    results = read([tmp_path / "a"])
    assert math.isnan(results.values(results.metric("nll"))["digits", "kd", 0])
    assert results.values(results.metric("ece@rotation/3"))["digits", "kd", 0] == math.inf


def test_two_halves_are_read_as_one_run(make_run: MakeRun, tmp_path: Path) -> None:
    all_values = figures(seeds=4)
    make_run(tmp_path / "all", all_values)
    for name, seeds in (("low", (0, 1, 2)), ("high", (2, 3))):
        part = {slot: row for slot, row in all_values.items() if slot[2] in seeds}  # type: ignore[index]
        make_run(tmp_path / name, part)
    together = read([tmp_path / "low", tmp_path / "high"])
    expected = read([tmp_path / "all"])
    assert list(together.cells) == list(expected.cells)
    for text in ("nll", "nll@rotation/3"):
        assert together.values(together.metric(text)) == expected.values(expected.metric(text))
    assert together.seeds("digits", "kd") == [0, 1, 2, 3]
    assert together.record(("digits", "kd", 3)) is not None


def test_the_done_cell_of_two_equal_ones_counts(make_run: MakeRun, tmp_path: Path) -> None:
    slot = ("digits", "kd", 0)
    make_run(tmp_path / "a", figures(seeds=1), failed={("digits", "gauss", 0): "died"})
    failed = {slot: "died"}
    remaining = {key: row for key, row in figures("kd hydra gauss", seeds=1).items() if key != slot}
    make_run(tmp_path / "b", remaining, failed=failed)
    for names in ("ab", "ba"):
        results = read([tmp_path / name for name in names])
        assert set(results.statuses.values()) == {"done"} and len(results.statuses) == 3


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"recipe": {"epochs": 99}}, "another recipe"),
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
        read(folders)
    results = read(folders, mixed=True)
    assert "gauss (b)" in results.labels("digits") and "kd" in results.labels("digits")
    values = results.values(results.metric("nll@rotation/3"))
    assert values["digits", "gauss (b)", 0] == 5.0


def test_other_code_within_one_folder_is_refused(make_run: MakeRun, tmp_path: Path) -> None:
    run = make_run(tmp_path / "a", figures())
    manifest = run.manifest()
    changed = next(cell for cell in manifest["cells"].values() if cell["label"] == "hydra")
    changed["protocol"] = "older"
    run.write_manifest(manifest)
    with pytest.raises(UsageError, match="with other code or plugins of metrics than"):
        read([run.folder])
    assert any("(other code)" in label for label in read([run.folder], mixed=True).labels())


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
        read([folder])
    assert "\n" not in str(caught.value)


def test_a_damaged_record_is_named(make_run: MakeRun, tmp_path: Path) -> None:
    run = make_run(tmp_path / "a", figures())
    path = next(run.cells.glob("*.json"))
    content = path.read_bytes()
    for damaged in (b"{", content[:-9], content.replace(b"0.25", b"0.26")):
        path.write_bytes(damaged)
        with pytest.raises(UsageError, match=f"{path.name}: damaged"):
            read([run.folder])
    path.unlink()
    results = read([run.folder])
    assert len(results.statuses) == len(results.cells)
    assert [*results.statuses.values()].count("missing") == 1
    for text in ("nll", "nll@rotation/3"):
        assert len(results.values(results.metric(text))) == 3


def test_two_records_with_different_values_are_refused(make_run: MakeRun, tmp_path: Path) -> None:
    make_run(tmp_path / "a", figures())
    changed = figures()
    changed["digits", "kd", 1] = {**changed["digits", "kd", 1], "nll": 7.0}  # type: ignore[dict-item]
    make_run(tmp_path / "b", changed)
    for mixed in (False, True):
        with pytest.raises(UsageError, match="kd seed 1 has other values in"):
            read([tmp_path / "a", tmp_path / "b"], mixed)


def test_runs_with_the_same_name_are_marked_apart(make_run: MakeRun, tmp_path: Path) -> None:
    folders = [tmp_path / name / "run" for name in "abcd"]
    for index, folder in enumerate(folders):
        make_run(folder, figures("kd", seeds=1), recipe={"epochs": index})
    results = read(folders, mixed=True)
    assert results.labels() == ["kd", *(f"kd ({name}/run)" for name in "bcd")]
    assert len(results.statuses) == 4
