"""The plugins of docs/plugins.md fit the contract as they are printed."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from distillation_bench.bench.check.plugin_check import check_plugin
from distillation_bench.bench.check.repeatability import resume_cells
from distillation_bench.bench.execution.executors.local import LocalExecutor
from distillation_bench.bench.planning.plugins.registrations import unregister
from distillation_bench.methods import Method

DOCUMENT = Path(__file__).parents[3] / "docs/plugins.md"
SAVED = re.compile(r"^Save this as `(\w+\.py)`:\n\n```python\n(.*?)^```$", re.DOTALL | re.MULTILINE)
PLUGINS = dict(SAVED.findall(DOCUMENT.read_text(encoding="utf-8")))
HOOKS = ("fit", "build", "stages", "groups", "step", "finish", "predict", "forward", "loss")
"""Hooks that have an example."""


@pytest.fixture
def plugin(tmp_path: Path) -> Iterator[Callable[[str], str]]:
    """Return a function that saves a plugin; what it registers is forgotten after the test."""
    paths = []

    def save(name: str) -> str:
        paths.append(tmp_path / name)
        paths[-1].write_text(PLUGINS[name], encoding="utf-8")
        return str(paths[-1])

    yield save
    unregister([str(path.resolve()) for path in paths])


@pytest.mark.parametrize("name", PLUGINS)
def test_a_documented_plugin_passes_its_check(
    name: str,
    plugin: Callable[[str], str],
    capsys: pytest.CaptureFixture[str],
    processes: Callable[..., LocalExecutor],
) -> None:
    executor = processes(1)

    def resume(path: str, folder: Path) -> None:
        executor.submit(resume_cells, path, folder).result()

    assert check_plugin(plugin(name), resume), capsys.readouterr().out


def test_every_hook_is_documented_and_most_have_an_example() -> None:
    text = DOCUMENT.read_text(encoding="utf-8")
    hooks = {name for name, value in vars(Method).items() if callable(value) and name[0] != "_"}
    hooks -= {"Parameters"}
    table = set(re.findall(r"^\| `(\w+)\(", text, re.MULTILINE))
    # `forward` and `loss` are what `step` consists of.
    assert table | {"forward", "loss"} == hooks
    code = "".join(PLUGINS.values())
    assert all(f"def {hook}(self" in code for hook in HOOKS)
