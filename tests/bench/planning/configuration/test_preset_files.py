"""Presets: what they may hold, and mistakes in one line with their location."""

from __future__ import annotations

import math
import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from tests.bench.planning.configuration.mistakes import LONG, Mistake, assert_answered, thorough

from distillation_bench.bench.planning.cells import make_cells
from distillation_bench.bench.planning.configuration.config import Config
from distillation_bench.bench.planning.configuration.option_values import (
    parse_settings,
)
from distillation_bench.bench.planning.configuration.preset_files import (
    PRESETS,
    load_preset,
    preset_names,
)
from distillation_bench.bench.planning.request import DEFAULT_PRESET


def test_the_default_preset_is_one_of_the_repository() -> None:
    assert DEFAULT_PRESET in preset_names()


@pytest.mark.parametrize("name", preset_names())
def test_a_preset_by_name_and_by_path(name: str) -> None:
    by_name, by_path = load_preset(name), load_preset(str(PRESETS / f"{name}.yaml"))
    assert by_name == by_path
    assert by_name.datasets and by_name.variants and by_name.seeds


@pytest.fixture
def preset(tmp_path: Path) -> Callable[[str], Config]:
    """Loads a preset from its text."""

    def load(text: str) -> Config:
        path = tmp_path / "preset.yaml"
        path.write_bytes(text.encode())
        return load_preset(str(path))

    return load


def test_a_preset_with_every_entry(preset: Callable[[str], Config]) -> None:
    config = preset(
        "datasets: [spiral, sine]\n"
        "seeds: [3, 0]\n"
        "recipe: {epochs: 5, learning_rate: 0.5}\n"
        "recipes:\n"
        "  sine: {clip: 1}\n"
        "methods:\n"
        "  - kd[a=0.5]\n"
        "  - method: hydra\n"
        "    label: mine\n"
        "    datasets: [sine]\n"
        "    parameters: {heads: [2, 3], phases: 1}\n"
    )
    assert (config.datasets, config.seeds) == (("spiral", "sine"), (0, 3))
    assert config.recipe == {"epochs": 5, "learning_rate": 0.5}
    assert config.recipes == {"sine": {"clip": 1}}
    short, long = config.variants
    assert (short.method, short.values) == ("kd", {"a": [0.5]})
    assert replace(long, location="") == replace(
        long, method="hydra", values={"heads": [2, 3], "phases": [1]}, label="mine", location=""
    )
    assert long.datasets == ("sine",)
    locations = [variant.location.rpartition("preset.yaml")[2] for variant in (short, long)]
    assert locations == [
        ":7:5",
        ":8:5",
    ]


@pytest.mark.parametrize(("text", "seeds"), [("0-2", (0, 1, 2)), ("3", (3,)), ("[3, 0]", (0, 3))])
def test_forms_of_seeds_in_a_preset(
    text: str, seeds: tuple[int, ...], preset: Callable[[str], Config]
) -> None:
    assert preset(f"seeds: {text}").seeds == seeds


@pytest.mark.parametrize("value", [True, 5, 0.5, "x", None])
def test_anchors_and_quotes_leave_plain_types(value: Any, preset: Callable[[str], Config]) -> None:
    text = {True: "true", None: "null"}.get(value, f"{value}")
    config = preset(f"recipe: {{x: &anchor {text}, y: *anchor}}")
    assert config.recipe == {"x": value, "y": value}
    assert all(type(entry) is type(value) for entry in config.recipe.values())


@pytest.mark.parametrize(
    ("text", "location", "reason"),
    [
        ("seeds:\t0", "1:7", "'\\t'"),
        ("seeds: 0\ndatasets:\n\t- spiral", "3:1", "'\\t'"),
        ("seeds: 0\nseeds: 1", "2:1", 'duplicate key "seeds"'),
        ("recipe:\n  epochs: 1\n  epochs: 2", "3:3", 'duplicate key "epochs"'),
        ("seeds: [", "1:9", ""),
        ("datasets: [*x]", "1:12", "'x'"),
        ("seeds: 0\nmethds: [kd]", "2:1", "did you mean 'methods'?"),
        ("seeds: 0\ndatasets: spiral", "2:1", "datasets: input should be a valid list"),
        ("datasets:\n  - spiral\n  - 3", "3:5", "not 3"),
        ("recipe: [1]", "1:1", "recipe: input should be a valid dictionary"),
        ("seeds: true", "1:1", "True"),
        ("seeds: 3-1", "1:1", "'3-1': the first seed is greater than the last"),
        ("seeds:\n  - 0\n  - x", "3:5", "'x'"),
        ("methods:\n  - kd\n  - kd[a=", "3:5", "'kd[a=' is not name"),
        ("methods:\n  - kd\n  - kd[a={]", "3:5", "kd[a={]"),
        ("methods:\n  - method: kd\n    lable: x", "3:5", "did you mean 'label'?"),
        ("methods:\n  - method: kd\n    datasets: spiral", "3:5", "input should be a valid list"),
        ("methods:\n  - label: x", "2:5", "method: field required"),
        ("methods:\n  - name: kd\n    label: x", "2:5", "unknown name 'name'"),
        ("recipe:\n  epochs: \x01", "2:11", "special characters"),
        ("- kd", "1:1", "not a preset"),
        ("", "1:1", "not a preset"),
        ("datasets: [a]\n---\nseeds: 0", "2:1", "another document"),
    ],
)
def test_a_mistake_in_yaml_has_its_location(
    text: str, location: str, reason: str, preset: Callable[[str], Config], mistake: Mistake
) -> None:
    message = mistake(preset, text)
    assert f"preset.yaml:{location}: " in message
    assert reason in message


NESTED = """datasets: [spiral]
recipe:
  network:
    core: [5]
    haed: [5]
methods:
  - method: kd
    parameters:
      temperature: 2
      a: 3
"""


def test_a_nested_mistake_has_the_line_of_its_value(
    preset: Callable[[str], Config], mistake: Mistake
) -> None:
    message = mistake(lambda: make_cells(preset(NESTED)))
    assert "preset.yaml:5:5: " in message and "did you mean 'head'?" in message
    message = mistake(lambda: make_cells(preset(NESTED.replace("haed", "head"))))
    assert "preset.yaml:10:7: " in message and "a: must be at least 0" in message
    wrong = NESTED.replace("haed", "head").replace("core: [5]", "core: 5").replace("a: 3", "a: 1")
    assert "preset.yaml:4:5: " in mistake(lambda: make_cells(preset(wrong)))


@pytest.mark.parametrize(
    ("settings", "location"),
    [
        (["epochs=0"], "--set: "),
        (["network.core=5"], "--set: "),
        (["clip=5"], "preset.yaml:3:3: "),
        (["network.head=5"], "--set: "),
    ],
)
def test_a_mistake_is_located_in_the_preset_or_the_option(
    settings: list[str], location: str, preset: Callable[[str], Config], mistake: Mistake
) -> None:
    text = "methods: [kd]\nrecipe:\n  epochs: -1\n  network:\n    core: [5]\ndatasets: [spiral]\n"
    text = text if location.startswith("preset") else text.replace("-1", "1")
    config = preset(text)
    assert location in mistake(lambda: make_cells(config.with_settings(parse_settings(settings))))


@pytest.mark.parametrize(
    ("text", "location", "reason"),
    [
        ("methods: [kd]\nseeds: []", "2:1", "no seeds"),
        ("methods:\n  - method: kd\n    parameters:\n      a: []", "4:7", "no value for 'a'"),
        ("methods:\n  - method: kd\n    label: ''", "3:5", "can't be used as a label"),
        ('methods:\n  - method: kd\n    label: "a\\nb"', "3:5", "can't be used as a label"),
    ],
)
def test_an_empty_value_is_reported(
    text: str, location: str, reason: str, preset: Callable[[str], Config], mistake: Mistake
) -> None:
    message = mistake(preset, text)
    assert f"preset.yaml:{location}: " in message and reason in message


def test_settings_of_the_network_are_merged_with_those_of_the_preset(
    preset: Callable[[str], Config],
) -> None:
    text = "recipe: {network: {core: [5], head: [6]}}\nrecipes: {sine: {network: {core: [7]}}}\n"
    settings = parse_settings(["network.core=8", "network.width=0.5", "clip=2"])
    assert settings == {"network": {"core": 8, "width": 0.5}, "clip": 2}
    config = preset(text).with_settings(settings)
    assert config.recipe == {"network": {"core": 8, "head": [6], "width": 0.5}, "clip": 2}
    assert config.recipes == {"sine": {"network": {"core": 8, "width": 0.5}}}


@pytest.mark.parametrize("name", ["quik", "", "../quick", "quick\n", "x" * 300])
def test_an_unknown_preset_is_reported(name: str, mistake: Mistake) -> None:
    assert mistake(load_preset, name)
    assert "did you mean 'quick'?" in mistake(load_preset, "quik")


def test_a_file_that_is_not_a_preset_is_reported(tmp_path: Path, mistake: Mistake) -> None:
    path = tmp_path / "x.yaml"
    assert mistake(load_preset, str(path)) == f"{path}: No such file or directory"
    path.mkdir()
    assert mistake(load_preset, str(path)) == f"{path}: Is a directory"
    pipe = tmp_path / "z.yaml"
    os.mkfifo(pipe)
    assert mistake(load_preset, str(pipe)) == f"{pipe}: not a regular file"
    binary = tmp_path / "y.yaml"
    binary.write_bytes(bytes(range(256)))
    assert mistake(load_preset, str(binary)) == f"{binary}: not text in UTF-8"


LAUGHS = [f"{{x{i}: &x{i} [{', '.join([f'*x{i - 1}'] * 9)}]}}" for i in range(1, 10)]
MERGED = [f"{{y{i}: &y{i} {{<<: [{', '.join([f'*y{i - 1}'] * 9)}]}}}}" for i in range(1, 10)]


@pytest.mark.parametrize(
    "text",
    [
        f"recipe: {{x: [&x0 [lol], {', '.join(LAUGHS)}]}}\nseeds: *x9",
        f"methods: [{{method: kd, parameters: {{a: [&x0 [lol], {', '.join(LAUGHS)}]}}}}]",
        f"recipe: {{x: [&y0 {{lol: 1}}, {', '.join(MERGED)}]}}",
        "recipe: &a {x: *a}",
        "seeds: &a [*a]",
    ],
    ids=["seeds", "parameters", "merged", "a mapping in itself", "a list in itself"],
)
def test_aliases_that_expand_without_end_are_refused(
    text: str, preset: Callable[[str], Config], mistake: Mistake
) -> None:
    assert mistake(preset, text).endswith("more than 100,000 values, its aliases written out)")


FRAGMENTS = [
    *("datasets", "methods", "seeds", "recipe", "recipes", "method", "label", "parameters"),
    *(": ", ":\n  ", "\n", "\n  - ", "- ", "[", "]", "{", "}", ", ", "&a ", "*a", "<<: ", "? "),
    *("kd", "kd[a=", "0-2", "1", "true", "~", ".nan", "'", '"', "|\n", ">", "!", "!!int ", "!x "),
    *("2024-99-99", "# ", "---\n", "%YAML 1.1\n", "\t", "\x00", "\\", "é", "-_"),
]


@thorough
@given(text=st.one_of(st.text(), st.lists(st.sampled_from(FRAGMENTS), max_size=12).map("".join)))
@example(text="datasets: &a [*a]")
@example(text="recipe: &a {x: *a}")
@example(text="recipe: {x: " + "[" * 2000)
@example(text="seeds: -_")
@example(text=f"seeds: {LONG}")
@example(text='recipes: {"a\\nb": 3}')
@example(text="? [a]\n: 3")
@example(text="recipe: !x y")
def test_any_text_is_a_preset_or_a_mistake(
    text: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = tmp_path_factory.getbasetemp() / "any.yaml"
    path.write_bytes(text.encode())
    assert_answered(load_preset, str(path))


def test_numbers_that_json_lacks_reach_the_plan_unchanged(
    preset: Callable[[str], Config],
) -> None:
    assert math.isnan(preset("recipe: {clip: .nan}").recipe["clip"])
