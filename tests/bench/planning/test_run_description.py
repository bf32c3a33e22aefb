"""A label has one method, one set of parameters and one version of code and data."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from distillation_bench.bench.planning.cells import Cell
from distillation_bench.bench.planning.configuration.config import Variant
from distillation_bench.bench.planning.run_description import check_run, describe_run
from distillation_bench.bench.storage.protocol import label_clashes
from distillation_bench.bench.storage.run_folder import Run

Cells = Callable[..., list[Cell]]
Mistake = Callable[..., str]


def variant(method: str, datasets: tuple[str, ...] = (), **values: Any) -> Variant:
    """A variant with the label "mine", as a preset may give it."""
    parameters = {name: (value,) for name, value in values.items()}
    return Variant(method, parameters, datasets, "mine", "preset:1", {})


def begun(folder: Path, cells: list[Cell], **changes: str) -> Run:
    """Write the description of a run of these cells, with some values changed."""
    run = Run(folder)
    run.write_manifest(describe_run(run, [replace(cell, **changes) for cell in cells], ""))  # type: ignore[arg-type]
    return run


CHANGES = [
    (variant("hydra"), {}, "another method"),
    (variant("kd", temperature=7.5), {}, "other parameters"),
    (variant("kd"), {"code": "older"}, "other code or libraries"),
    (variant("kd"), {"code": ""}, "other code or libraries"),
    (variant("kd"), {"data": "older"}, "other data"),
]
CHANGE_NAMES = [f"{number} {reason}" for number, (_, _, reason) in enumerate(CHANGES)]


@pytest.mark.parametrize(("before", "changes", "reason"), CHANGES, ids=CHANGE_NAMES)
def test_new_seeds_are_refused_if_older_ones_differ(
    before: Variant,
    changes: dict[str, str],
    reason: str,
    tmp_path: Path,
    cells: Cells,
    mistake: Mistake,
) -> None:
    run = begun(tmp_path, cells(before, seeds=(0, 1, 2)), **changes)
    two_seeds, four_seeds = (
        cells(variant("kd"), seeds=(2, 3)),
        cells(variant("kd"), seeds=(0, 1, 2, 3)),
    )
    assert mistake(check_run, run, two_seeds, "") == (
        f"{tmp_path}: spiral mine: seeds 0, 1 made with {reason} than seed 2 of this run; include "
        "seeds 0, 1 too, or give another label, or another folder with --results"
    )
    # Running all seeds again replaces them; another label leaves them alone.
    check_run(run, four_seeds, "")
    check_run(run, cells("kd", seeds=(2, 3)), "")


def test_one_label_is_one_method_on_all_datasets(
    tmp_path: Path, cells: Cells, mistake: Mistake
) -> None:
    both = [variant("kd", ("spiral",)), variant("hydra", ("sine",))]
    message = mistake(lambda: cells(*both, datasets=("spiral", "sine")))
    assert message == "preset:1: the label 'mine' already belongs to a variant of 'kd'"
    run = begun(tmp_path, cells(both[0]))
    message = mistake(check_run, run, cells(both[1], datasets=("sine",)), "")
    assert "spiral mine: seed 0 made with another method than seed 0 of sine" in message
    # Parameters may differ between datasets, as in the paper.
    cells(variant("kd", ("spiral",)), variant("kd", ("sine",)), datasets=("spiral", "sine"))


def test_seeds_with_other_groups_of_ood_sets_are_refused(
    tmp_path: Path, cells: Cells, mistake: Mistake
) -> None:
    run = begun(tmp_path, cells(seeds=(0, 1)))
    manifest = run.manifest()
    (sets,) = manifest["ood"].values()
    ood_set = next(iter(sets))
    for group, refused in ((sets[ood_set], False), ("elsewhere", True), ("absent: no file", True)):
        run.write_manifest({**manifest, "ood": {"spiral": {**sets, ood_set: group}}})
        if refused:
            assert "spiral kd was evaluated on other OOD sets" in mistake(
                check_run, run, cells(seeds=(1, 2)), ""
            )
        check_run(run, cells(seeds=(0, 1, 2)), "")


def test_code_and_data_are_the_same_for_all_seeds(cells: Cells) -> None:
    descriptions = [cell.description() for cell in cells("kd", "hydra", seeds=(0, 1, 2))]
    assert not label_clashes(descriptions)
    codes = {
        label: {c["code"] for c in descriptions if c["label"] == label} for label in ("kd", "hydra")
    }
    assert [len(digests) for digests in codes.values()] == [1, 1] and codes["kd"] != codes["hydra"]


def test_methods_measured_by_two_versions_of_the_code_are_refused(
    tmp_path: Path, cells: Cells, mistake: Mistake
) -> None:
    run = begun(tmp_path, cells("kd"), protocol="older")
    assert mistake(check_run, run, cells("hydra"), "") == (
        f"{tmp_path}: spiral kd was measured by other code, or with other plugins of metrics; "
        "run it again too, or give another folder with --results"
    )
    check_run(run, cells("kd", "hydra"), "")
    check_run(run, cells("hydra", datasets=("sine",)), "")
