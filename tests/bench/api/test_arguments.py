"""Arguments of `run`: what they mean on the command line, and mistakes in one line."""

from __future__ import annotations

import inspect
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.end_to_end.bench_command import commands

from distillation_bench.bench.api.arguments import as_written
from distillation_bench.bench.api.python_words import option_of
from distillation_bench.bench.api.run import run
from distillation_bench.bench.common.errors import UsageError
from distillation_bench.bench.execution.launch import Execution
from distillation_bench.bench.planning.configuration.option_values import (
    parse_seeds,
    parse_settings,
)
from distillation_bench.bench.planning.request import Request


@pytest.fixture(autouse=True)
def without_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("BENCH_CACHE", "BENCH_DATA"):
        monkeypatch.delenv(name, raising=False)


def test_every_option_of_the_command_is_an_argument() -> None:
    parameters = inspect.signature(run).parameters.keys() - {"progress"}
    options = {name for p in commands().commands["run"].params for name in p.opts}
    assert {option_of(name) for name in parameters} <= options
    assert len(parameters) == len(commands().commands["run"].params) - ("--help" in options)


def test_defaults_are_those_of_the_command() -> None:
    parameters = inspect.signature(run).parameters
    defaults = {name: p.default for name, p in parameters.items() if name != "progress"}
    request, execution, command = as_written(defaults)
    assert (request, execution) == (Request(), Execution())
    assert command == ["python", "-m", "distillation_bench", "run"]


@pytest.mark.parametrize(
    ("seeds", "text", "expected"),
    [
        (3, "3", (3,)),
        (range(5), "0-4", (0, 1, 2, 3, 4)),
        ([4, 0, 4], "0 4", (0, 4)),
        ("0-2", "0-2", (0, 1, 2)),
        (["0-2", 7], "7 0-2", (0, 1, 2, 7)),
        (np.arange(2), "0-1", (0, 1)),
        (np.int64(8), "8", (8,)),
    ],
)
def test_seeds_are_numbers_or_texts(seeds: Any, text: str, expected: tuple[int, ...]) -> None:
    request, _, _ = as_written({"seeds": seeds})
    assert " ".join(request.seeds or ()) == text
    assert parse_seeds(request.seeds or ()) == expected


@pytest.mark.parametrize(
    "recipe",
    [
        {"epochs": 5, "learning_rate": 1e-05, "augment": "none", "weights": None, "x": True},
        {"network": {"family": "mlp", "widths": [8, 8]}, "epochs": 5},
        {"text": "5", "spaces": "a b, c: d", "true": "true"},
    ],
)
def test_a_recipe_is_what_the_command_line_reads(recipe: dict[str, Any]) -> None:
    request, _, _ = as_written({"recipe": recipe})
    assert parse_settings(request.recipe or ()) == recipe


def test_numbers_of_numpy_are_numbers() -> None:
    request, _, _ = as_written({"recipe": {"epochs": np.int64(5), "rate": np.float64(0.5)}})
    assert parse_settings(request.recipe or ()) == {"epochs": 5, "rate": 0.5}


def test_the_command_asks_for_the_same() -> None:
    arguments = {
        "preset": Path("my.yaml"),
        "methods": ["kd", "hydra[heads=2,3]"],
        "seeds": range(3),
        "recipe": {"epochs": 2},
        "plugins": Path("mine.py"),
        "results": "a b",
        "jobs": 2,
        "force": True,
        "fail_fast": False,
        "timeout": 5,
    }
    request, execution, command = as_written(arguments)
    assert request.methods == ("kd", "hydra[heads=2,3]")
    assert (request.plugins, request.folder) == (("mine.py",), Path("a b"))
    assert (execution.force, execution.timeout) == (True, 5)
    assert command[4:] == [
        *("--preset", "my.yaml", "-m", "kd", "-m", "hydra[heads=2,3]", "-s", "0-2"),
        *("--set", "epochs=2", "--plugin", "mine.py", "--results", "a b"),
        *("--jobs", "2", "--force", "--timeout", "5"),
    ]


def test_folders_come_from_the_environment_unless_they_are_given(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("BENCH_CACHE", "/there")
    assert as_written({})[0].cache == Path("/there")
    assert as_written({"cache": "here"})[0].cache == Path("here")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"methods": 5}, "methods=5: not a text or a list of texts"),
        ({"methods": [5]}, "methods=5: not a text"),
        ({"methods": []}, "methods=[]: is empty; leave it out for what the preset says"),
        ({"datasets": b"spiral"}, "datasets=b'spiral': not a text or a list of texts"),
        ({"seeds": []}, "seeds=[]: is empty; leave it out for what the preset says"),
        ({"recipe": ["epochs=5"]}, "recipe=['epochs=5']: not a mapping such as {\"epochs\": 5}"),
        (
            {"recipe": {"epochs": object}},
            "recipe: epochs=<class 'object'>: not a value of a recipe",
        ),
        ({"recipe": {"a": float("nan")}}, "recipe: a=nan: not a value of a recipe"),
        ({"jobs": 0}, "jobs=0: not a whole number from 1 to 10,000"),
        ({"jobs": "2"}, "jobs='2': not a whole number from 1 to 10,000"),
        ({"jobs": True}, "jobs=True: not a whole number from 1 to 10,000"),
        ({"timeout": 0}, "timeout=0: not a number from 0.1 to 10,000,000"),
        ({"checkpoint": -1}, "checkpoint=-1: not a number from 0"),
        ({"force": "yes"}, "force='yes': neither True nor False"),
        ({"results": 5}, "results=5: not a text"),
        ({"device": None, "executor": 5}, "executor=5: not a text"),
    ],
)
def test_a_mistake_is_one_line(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError, match=f"^{re.escape(message)}$"):
        as_written(arguments)


def test_a_long_value_is_cut() -> None:
    with pytest.raises(UsageError) as caught:
        as_written({"methods": [list(range(10_000))]})
    assert len(str(caught.value)) < 200
