from __future__ import annotations

import subprocess
import sys
from typing import Any

import pytest
from pydantic import ValidationError

from distillation_bench.bench.common.paths import IMPORT_FOLDER
from distillation_bench.methods.networks.families import FAMILIES, describe
from distillation_bench.methods.networks.options import LeNetOptions


def test_missing_options_have_their_defaults() -> None:
    assert describe({"family": "resnet", "head": [64, 64], "width": 1}) == {
        "family": "resnet",
        "batching": "turn",
        "width": 1.0,
        "member": [32, 64, 128, 256],
        "core": [96, 192, 256],
        "head": [64, 64],
        "blocks": 2,
    }


@pytest.mark.parametrize("family", [name for name in FAMILIES if name != "mlp"])
def test_describing_a_description_changes_nothing(family: str) -> None:
    once = describe({"family": family})
    assert describe(once) == once


def test_options_of_teacher_core_and_head_are_separate() -> None:
    """What a teacher does not depend on is under these two names."""
    for name, family in FAMILIES.items():
        if name != "wide-resnet":
            assert {"member", "core", "head"} <= set(family.options.model_fields)
            assert family.options.of_students == {"core", "head"}


def test_every_option_is_documented() -> None:
    for family in FAMILIES.values():
        assert all(field.description for field in family.options.model_fields.values())


def test_width_is_a_factor() -> None:
    assert LeNetOptions(width=0.5).scaled([32, 3, 1]) == [16, 2, 1]
    assert LeNetOptions(width=0.01).scaled([32, 64]) == [1, 1]


@pytest.mark.parametrize(
    "description, reason",
    [
        ({"family": "lenet", "widht": 0.5}, "widht"),
        ({"family": "lenet", "width": 0}, "greater than 0"),
        ({"family": "lenet", "width": "2"}, "valid number"),
        ({"family": "lenet", "core": []}, "at least 1 item"),
        ({"family": "lenet", "core": [4, 4, 4, 4]}, "at most 3 items"),
        ({"family": "resnet", "core": [96, 0]}, "greater than or equal to 1"),
        ({"family": "resnet", "blocks": True}, "valid integer"),
        ({"family": "resnet", "batching": "loop"}, "'turn' or 'vmap'"),
        ({"family": "wide-resnet", "depth": 27}, "10, 16, 22, 28"),
        ({"family": "mlp", "member": [5]}, "Field required"),
    ],
)
def test_wrong_options_are_refused(description: dict[str, Any], reason: str) -> None:
    with pytest.raises(ValidationError, match=reason):
        describe(description)


def test_an_unknown_family_is_answered_with_the_nearest() -> None:
    with pytest.raises(ValueError, match="'resnt'; did you mean 'resnet'"):
        describe({"family": "resnt"})
    with pytest.raises(ValueError, match="None; there are mlp, lenet"):
        describe({})


def test_options_are_read_without_torch() -> None:
    program = (
        "import sys; import distillation_bench.methods.networks;"
        "from distillation_bench.methods.networks.families import describe;"
        "describe({'family': 'resnet'}); assert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", program], check=True, cwd=IMPORT_FOLDER)
