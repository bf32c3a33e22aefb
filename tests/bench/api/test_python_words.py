"""Messages in the words of Python."""

from __future__ import annotations

import re

import pytest

from distillation_bench.bench.api import python_words
from distillation_bench.bench.api.python_words import in_python_words
from distillation_bench.bench.common.errors import UsageError
from distillation_bench.bench.common.paths import ROOT

ROOMS = ("common", "planning", "execution", "analysis")
OF_OTHERS = {
    **dict.fromkeys(("--num-gpus", "--resources"), "an option of a cluster's program"),
    **dict.fromkeys(("--always", "--abbrev", "--dirty"), "an option of git"),
    "--on": "an argument of figures, where it has this name",
    **dict.fromkeys(("--out", "--csv", "--json", "--tensorboard", "--estimate"), "a command's own"),
}
"""Options in the code of these rooms that no argument stands for."""


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        ("-m: unknown method 'kdd'; did you mean 'kd'?", "methods: unknown method 'kdd'; did"),
        ("-s: '5-' is not a seed", "seeds: '5-' is not a seed"),
        ("--device gpu: not auto", "device=gpu: not auto"),
        (
            "missing; give --data-root, or --download to fetch it",
            "give data_root=, or download=True",
        ),
        ("a method (-m), a dataset (-d)", "a method (methods=), a dataset (datasets=)"),
        ("give it with --plugin FILE.py", 'give it with plugins=["FILE.py"]'),
        ("lower --cells-per-gpu or --set batch_size", "cells_per_gpu= or recipe=batch_size"),
        ("start Dask workers with --resources GPU=1", "with --resources GPU=1"),
        ("give another folder with --results", "give another folder with results="),
        ("run the same command again", "run the same call again"),
        ("--method x: not in these runs", "methods=x: not in these runs"),
        (
            "'--force' is a name, a-m too, /-m/ and x--set",
            "'--force' is a name, a-m too, /-m/ and x",
        ),
    ],
)
def test_options_become_arguments(message: str, expected: str) -> None:
    assert expected in in_python_words(message)


def test_errors_are_worded_for_python_from_the_first_use_of_the_api_on() -> None:
    error = UsageError("--jobs 0: too few")
    assert str(error) == "--jobs 0: too few"
    python_words.use_python_words()
    assert str(error) == "jobs=0: too few"


def test_every_option_in_a_message_has_an_argument() -> None:
    files = [path for room in ROOMS for path in (ROOT / "bench" / room).rglob("*.py")]
    options = {name for path in files for name in re.findall(r"--[a-z][a-z-]+", path.read_text())}
    assert {option for option in options if in_python_words(option) == option} <= OF_OTHERS.keys()
