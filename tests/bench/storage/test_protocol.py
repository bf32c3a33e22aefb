"""A label with more than one meaning is refused when runs are read, and reported by verify."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from distillation_bench.bench.analysis.results import load
from distillation_bench.bench.storage.run_folder import Run
from distillation_bench.bench.storage.upkeep.merge import merge
from distillation_bench.bench.storage.upkeep.verify import verify

Mistake = Callable[..., str]
MakeRun = Callable[..., Run]


def runs_of_halves(make_run: MakeRun, folder: Path, changes: dict[str, Any]) -> list[Run]:
    """Write two runs: seeds 0 and 1, and, with changes, seeds 2 and 3."""
    runs = []
    for name, seeds, options in (("a", (0, 1), {}), ("b", (2, 3), changes)):
        values = {("digits", label, seed): {"nll": seed} for label in "xy" for seed in seeds}
        runs.append(make_run(folder / name, values, **options))
    return runs


READ = [
    ({"methods": {"x": "other", "y": "y"}}, "another method"),
    ({"parameters": {"x": {"heads": 3}}}, "other parameters"),
    ({"versions": {"code": "newer"}}, "other code or libraries"),
    ({"versions": {"data": "newer"}}, "other data"),
]


@pytest.mark.parametrize(("changes", "reason"), READ, ids=[reason for _, reason in READ])
def test_runs_whose_labels_differ_are_not_read_together(
    make_run: MakeRun, tmp_path: Path, changes: dict[str, Any], reason: str, mistake: Mistake
) -> None:
    runs = runs_of_halves(make_run, tmp_path, changes)
    folders = [run.folder for run in runs]
    expected = f"{folders[1]}: digits x was made with {reason} than in {folders[0]}"
    assert mistake(load, *folders) == f"{expected}; --mixed takes both, marked"
    assert mistake(merge, runs, Run(tmp_path / "both"), None) == expected
    assert not (tmp_path / "both").exists()
    marked = load(*folders, mixed=True)
    assert marked.seeds("digits", "x") == [0, 1] and marked.seeds("digits", "x (b)") == [2, 3]


@pytest.mark.parametrize(("changes", "reason"), READ, ids=[reason for _, reason in READ])
def test_a_folder_that_mixes_versions_is_reported(
    make_run: MakeRun, tmp_path: Path, changes: dict[str, Any], reason: str, mistake: Mistake
) -> None:
    first, second = runs_of_halves(make_run, tmp_path, changes)
    manifest = first.manifest()
    mixed = make_run(tmp_path / "all", {("digits", "x", seed): {"nll": 1.0} for seed in range(4)})
    cells = [*manifest["cells"].values(), *second.manifest()["cells"].values()]
    cell_of_seed = {cell["seed"]: cell for cell in cells if cell["label"] == "x"}
    described = mixed.manifest()
    for cell_id, cell in described["cells"].items():
        described["cells"][cell_id] = cell_of_seed[cell["seed"]]
    mixed.write_manifest(described)
    findings = [
        str(finding)
        for finding in verify(mixed)
        if finding.wrong and finding.path.name == "run.json"
    ]
    path = mixed.folder / "run.json"
    assert findings == [f"WRONG {path}: digits x: seeds 2, 3 made with {reason} than seed 0"]
    message = mistake(load, mixed.folder)
    assert f"digits x seed 2 was made with {reason} than seed 0; --mixed" in message


def test_three_versions_are_three_marked_rows(make_run: MakeRun, tmp_path: Path) -> None:
    run = make_run(tmp_path / "a", {("digits", "x", seed): {"nll": seed} for seed in range(3)})
    manifest = run.manifest()
    for cell in manifest["cells"].values():
        cell["code"] = str(cell["seed"])
    run.write_manifest(manifest)
    assert load(run.folder, mixed=True).labels() == ["x", "x (other code 2)", "x (other code)"]


def test_runs_without_code_versions_are_read(make_run: MakeRun, tmp_path: Path) -> None:
    runs = runs_of_halves(make_run, tmp_path, {})
    assert "code" not in str(runs[0].manifest()["cells"])
    assert load(*(run.folder for run in runs)).seeds("digits", "x") == [0, 1, 2, 3]
    assert not [finding for run in runs for finding in verify(run) if finding.wrong]
