"""Cells and their ids depend on the configuration and on nothing else."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from distillation_bench.bench.common.errors import UsageError
from distillation_bench.bench.common.hashing import file_digest
from distillation_bench.bench.planning.cells import Cell
from distillation_bench.bench.planning.configuration.config import Variant

Plan = Callable[..., list[Cell]]
LABELLED = Variant("kd", {"a": [0.4]}, label="mine")


def only(cells: list[Cell]) -> Cell:
    (cell,) = cells
    return cell


def test_cells_are_datasets_times_variants_times_seeds_without_duplicates(cells: Plan) -> None:
    planned = cells("kd", "hydra+[heads=2,3]", datasets=["spiral", "sine"], seeds=[0, 1])
    names = [(cell.dataset, cell.label, cell.seed) for cell in planned]
    assert len(set(names)) == len(names) == 2 * 3 * 2
    again = cells("hydra+[heads=3,2]", "kd", "kd", datasets=["sine", "spiral"], seeds=[1, 0])
    assert {cell.id for cell in again} == {cell.id for cell in planned}


def test_ids_do_not_depend_on_the_working_directory(
    cells: Plan, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = only(cells()).id
    monkeypatch.chdir(tmp_path)
    assert only(cells()).id == before


@pytest.mark.parametrize(
    "changes",
    [
        {"recipe": {"epochs": 3}},
        {"recipe": {"student_weight_decay": 0.5}},
        {"recipe": {"data_seed": 7}},
        {"recipes": {"spiral": {"clip": 1}}},
        {"datasets": ["digits"]},
        {"seeds": [1]},
    ],
)
def test_each_part_of_the_configuration_changes_the_id(
    cells: Plan, changes: dict[str, Any]
) -> None:
    assert only(cells(**changes)).id != only(cells()).id


def test_a_parameter_changes_the_cell_but_not_its_teacher(cells: Plan) -> None:
    plain, changed = only(cells()), only(cells("kd[a=0.3]"))
    assert changed.id != plain.id and changed.teacher == plain.teacher
    assert changed.label == "kd[a=0.3]"


def test_recipe_values_of_students_do_not_change_the_teacher(cells: Plan) -> None:
    plain = only(cells()).teacher.key
    assert only(cells(recipe={"student_weight_decay": 0.5})).teacher.key == plain
    network = {"family": "mlp", "member": [100] * 4, "core": [5], "head": [5]}
    assert only(cells(recipe={"network": network})).teacher.key == plain
    assert only(cells(recipe={"weight_decay": 0.5})).teacher.key != plain
    assert only(cells(recipe={"members": 6})).teacher.key != plain


def test_pieces_of_the_ensemble_do_not_change_the_cell(cells: Plan) -> None:
    cut = only(cells(recipe={"piece": 2}))
    assert cut.id == only(cells()).id
    assert [list(piece) for piece in cut.teacher.pieces] == [[0, 1], [2, 3], [4]]


def test_integers_count_as_floats_where_a_float_is_expected(cells: Plan) -> None:
    assert only(cells("kd[a=1]")).id == only(cells("kd[a=1.0]")).id
    assert only(cells(recipe={"clip": 5})).id == only(cells(recipe={"clip": 5.0})).id


def test_a_schedule_has_one_canonical_form(cells: Plan) -> None:
    written = only(cells("hydra+[lam=linear( 0,4.0 , 50,150)]"))
    assert written.id == only(cells("hydra+[lam=linear(0, 4, 50, 150)]")).id
    assert written.label == "hydra+[lam=linear(0,4,50,150)]"


def test_defaults_of_toy_datasets_are_those_of_the_original_code(cells: Plan) -> None:
    spiral, sine = cells("hydra+", datasets=["spiral", "sine"])
    assert (spiral.parameters["temperature"], sine.parameters["temperature"]) == (3, 1)
    assert (spiral.recipe.learning_rate, sine.recipe.learning_rate) == (0.01, 0.05)
    assert (spiral.recipe.weight_decay, sine.recipe.weight_decay) == (1e-4, 1e-5)
    assert spiral.recipe.student_weight_decay == sine.recipe.student_weight_decay == 1e-8


def test_a_method_skips_a_task_that_it_refuses(cells: Plan) -> None:
    skipped = {cell.dataset: cell.skip for cell in cells("endd", datasets=["spiral", "sine"])}
    assert skipped["spiral"] == "" and "Dirichlet" in skipped["sine"]
    with pytest.raises(UsageError, match="nothing can be run: endd on sine"):
        cells("endd", datasets=["sine"])


def test_a_variant_may_have_a_label(cells: Plan) -> None:
    variant = Variant("hydra", {"heads": [2, 3], "phases": [1]}, label="mine")
    assert [cell.label for cell in cells(variant)] == ["mine[heads=2]", "mine[heads=3]"]


@pytest.mark.parametrize(
    ("methods", "keywords", "message"),
    [
        (["kd", "kd[a=0.9]"], {}, "'kd[a=0.9]' is the same as 'kd'"),
        (["hydra["], {}, "is not name or name"),
        (["kd"], {"recipe": {"epoch": 1}}, "unknown name 'epoch'; did you mean 'epochs'?"),
        (["kd"], {"recipe": {"epochs": 0}}, "greater than or equal to 1, not 0"),
        (["kd"], {"recipe": {"epochs": True}}, "not True"),
        (["kd"], {"recipes": {"spirl": {}}}, "did you mean 'spiral'?"),
        (["kd"], {"recipe": {"network": {"core": [3], "haed": [3]}}}, "did you mean 'head'?"),
        (["kd[a=.nan]"], {}, "must be finite"),
        (["hydra+[lam=linear(0,1,5,2)]"], {}, "linear(0, 1, 5, 2) is not a number"),
        (["kd"], {"recipe": {"augment": "crop"}}, "the inputs of spiral are not images"),
        (["kd"], {"recipe": {"augment": "crop+crop"}}, "'crop+crop' is not made of crop, flip"),
        (["kd"], {"recipe": {"precision": "float64"}}, "'float32' or 'bfloat16', not 'float64'"),
        (
            ["kd"],
            {"recipe": {"network": {"family": "resnet"}}},
            "images, but spiral has none",
        ),
        (["kd"], {"recipe": {"network": {"family": "restnet"}}}, "did you mean 'resnet'?"),
        (["kd"], {"recipe": {"network": 3}}, "network: options such as network.width=0.5, not 3"),
        ([LABELLED, Variant("hydra", label="mine")], {}, "another variant has the label 'mine'"),
        ([LABELLED, Variant("kd", {"a": [0.3]}, label="mine")], {}, "has the label 'mine'"),
    ],
)
def test_mistakes_are_reported(
    cells: Plan,
    mistake: Callable[..., str],
    methods: list[str],
    keywords: dict[str, Any],
    message: str,
) -> None:
    assert message in mistake(lambda: cells(*methods, **keywords))


def test_the_digest_of_a_file_ignores_comments_docstrings_and_layout(tmp_path: Path) -> None:
    versions = {
        "plain": "def f(x):\n    return x + 1\n",
        "commented": '"""Doc."""\n# why\ndef f(x):\n  """Doc."""\n  return (x\n    + 1)\n',
        "other": "def f(x):\n    return x + 2\n",
    }
    digests = {}
    for name, text in versions.items():
        path = tmp_path / f"{name}.py"
        path.write_text(text)
        digests[name] = file_digest(path)
    assert digests["plain"] == digests["commented"] != digests["other"]
