from __future__ import annotations

import math
import subprocess
import sys
from collections.abc import Iterator
from typing import Any, get_args

import pytest
from pydantic import ValidationError
from pydantic.fields import FieldInfo

from distillation_bench import datasets, methods
from distillation_bench.bench.common.paths import IMPORT_FOLDER
from distillation_bench.methods import METHODS, Method, Parameters, register
from distillation_bench.methods.kd import KD

NAMES = pytest.mark.parametrize("name", list(METHODS))
FIELDS = [
    pytest.param(name, field, id=f"{name}-{field}")
    for name, method in METHODS.items()
    for field in method.Parameters.model_fields
]
ROOT = IMPORT_FOLDER


@pytest.fixture
def registry() -> Iterator[dict[str, type[Method]]]:
    """The registry, restored after the test."""
    before = dict(METHODS)
    yield before
    METHODS.clear()
    METHODS.update(before)


def kinds(field: FieldInfo) -> tuple[Any, ...]:
    """Return the types that a field may have."""
    return get_args(field.annotation) or (field.annotation,)


def refuse(name: str, **attributes: Any) -> None:
    with pytest.raises(ValidationError):
        METHODS[name].Parameters.model_validate(attributes)


def test_the_registry_has_the_methods_in_the_order_of_tables() -> None:
    names = [
        *("ensemble", "single", "temperature", "sub-ensemble", "small-ensemble"),
        *("kd", "kd-uncertainty", "endd", "hydra", "logit-gaussian", "proxy-endd", "be-kd"),
        *("hydra+", "h2d", "latent-be", "mc-dropout", "gauss", "fed", "dlf", "edfm", "ced"),
    ]
    assert list(METHODS) == names
    assert all(method.name == name for name, method in METHODS.items())


@NAMES
def test_every_method_has_a_name_and_a_description(name: str) -> None:
    method = METHODS[name]
    for text in (method.summary, method.paper):
        assert text == text.strip() != ""
        assert "\n" not in text
    assert "arXiv" in method.paper or method.paper == "none"
    for task, reason in method.refuses.items():
        assert task in ("classification", "regression")
        assert reason.strip()
    assert len(method.refuses) < 2


@pytest.mark.parametrize("name, field", FIELDS)
def test_every_parameter_is_documented(name: str, field: str) -> None:
    info = METHODS[name].Parameters.model_fields[field]
    assert info.description and "\n" not in info.description
    assert not info.is_required()


@NAMES
def test_defaults_are_valid_and_frozen(name: str) -> None:
    parameters = METHODS[name].Parameters()
    again = METHODS[name].Parameters.model_validate(parameters.model_dump(mode="json"))
    assert again == parameters
    for field in METHODS[name].Parameters.model_fields:
        with pytest.raises(ValidationError):
            setattr(parameters, field, getattr(parameters, field))


@NAMES
def test_an_unknown_parameter_is_refused(name: str) -> None:
    refuse(name, temprature=1.0)


@pytest.mark.parametrize("name, field", FIELDS)
def test_booleans_and_text_are_refused_as_numbers(name: str, field: str) -> None:
    if bool in kinds(METHODS[name].Parameters.model_fields[field]):
        wrong: list[Any] = [1, 0, 1.0, "true", None]
    else:
        wrong = [True, False]
    for value in [*wrong, "1", "text", [1], {}]:
        refuse(name, **{field: value})


@pytest.mark.parametrize("name, field", FIELDS)
def test_numbers_must_be_finite_and_integers_whole(name: str, field: str) -> None:
    for value in (math.nan, math.inf, -math.inf):
        refuse(name, **{field: value})
    allowed = kinds(METHODS[name].Parameters.model_fields[field])
    if float not in allowed:
        refuse(name, **{field: 2.0})
        refuse(name, **{field: 1.5})


@pytest.mark.parametrize(("field", "count"), [("heads", 5), ("samples", 4)])
def test_counts_must_be_at_least_one(field: str, count: int) -> None:
    owners = [name for name, m in METHODS.items() if field in m.Parameters.model_fields]
    assert len(owners) == count
    for name in owners:
        refuse(name, **{field: 0})
        refuse(name, **{field: -1})
        default = METHODS[name].Parameters.model_fields[field].default
        for value in {2, 7, default}:
            parameters = METHODS[name].Parameters.model_validate({field: value})
            assert getattr(parameters, field) == value


def test_importing_methods_does_not_import_torch() -> None:
    code = (
        "import sys; from distillation_bench import methods; methods.METHODS['kd'].Parameters();"
        "package = 'distillation_bench'; rooms = {f'{package}.bench', f'{package}.datasets'};"
        "heavy = {'torch', *rooms} & set(sys.modules);"
        "assert not heavy, heavy"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


def test_a_new_method_is_registered_last(registry: dict[str, type[Method]]) -> None:
    class AddedMethod(KD):
        name = "other"

    assert register(AddedMethod) is AddedMethod
    assert list(METHODS) == [*registry, "other"]
    assert register(AddedMethod) is AddedMethod
    assert list(METHODS) == [*registry, "other"]


def test_a_taken_name_is_refused(registry: dict[str, type[Method]]) -> None:
    class SecondMethod(KD):
        pass

    with pytest.raises(ValueError, match=r"'kd' exists already \(.*\.methods\.kd\)"):
        register(SecondMethod)
    assert registry == METHODS


def test_an_incomplete_method_is_refused(registry: dict[str, type[Method]]) -> None:
    class Half(Method):
        name = "half"
        summary = "no paper, nothing to build or learn"

    with pytest.raises(TypeError, match=r"Half lacks paper, build, loss"):
        register(Half)
    assert registry == METHODS


def test_at_replaces_schedules_and_nothing_else() -> None:
    class SomeParameters(Parameters):
        weight: float = 0.0
        ramp: methods.Coefficient = methods.parameter(
            "linear(0, 2, 0, 10)", "a ramp", validate_default=True
        )

    parameters = SomeParameters(weight=3.0)
    now = parameters.at(5, 100)
    assert (now.weight, now.ramp) == (3.0, 1.0)
    assert isinstance(parameters.ramp, methods.Linear)
    assert SomeParameters.model_fields["ramp"].description == "a ramp"


@pytest.mark.parametrize("name", ["a\x1b2Jb", "a\u202eb", "a\ud800", "a\0"])
def test_a_name_with_unprintable_characters_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match="can be printed"):
        register(type("Odd", (KD,), {"name": name}))
    with pytest.raises(ValueError, match="can be printed"):
        datasets.register(type("Odd", (datasets.DATASETS["spiral"],), {"name": name}))
