"""Public names are documented, and rooms import only public modules of other rooms."""

from __future__ import annotations

import importlib
import importlib.util
import re
from pathlib import Path

import grimp
import pytest

import distillation_bench

CLONE = Path(__file__).parents[1]
BENCH = "distillation_bench.bench"
ROOMS = sorted(path.parent.name for path in (CLONE / "bench").glob("*/__init__.py"))


def documented() -> dict[str, set[str]]:
    """Names by module, as in the table of CONTRIBUTING.md."""
    text = (CLONE / "CONTRIBUTING.md").read_text().partition("\n## Public names\n")[2]
    lines = re.findall(r"^\| `(distillation_bench[\w.]*)` \| (.+) \|$", text, re.MULTILINE)
    return {module: set(re.findall(r"`(\w+)`", names)) for module, names in lines}


def test_documented_names_are_the_exported_ones() -> None:
    assert documented()
    for module, names in documented().items():
        exported = importlib.import_module(module).__all__
        assert len(exported) == len(set(exported)), module
        assert {name for name in exported if not _is_module(f"{module}.{name}")} == names, module


def test_exported_names_exist() -> None:
    for module, names in documented().items():
        for name in names:
            assert hasattr(importlib.import_module(module), name), f"{module}.{name}"


def test_the_package_names_its_public_modules() -> None:
    named = re.findall(r"^- `([\w.]+)`:", distillation_bench.__doc__ or "", re.MULTILINE)
    assert {"distillation_bench", *named} == documented().keys()


@pytest.fixture(scope="module")
def graph() -> grimp.ImportGraph:
    return grimp.build_graph("distillation_bench", cache_dir=None)


@pytest.mark.parametrize("room", ROOMS)
def test_other_rooms_import_only_the_public_modules_of_a_room(
    graph: grimp.ImportGraph, room: str
) -> None:
    package = f"{BENCH}.{room}"
    offered = importlib.import_module(package).__all__
    inside = {package, *graph.find_descendants(package)}
    for module in inside - {package}:
        importers = graph.find_modules_that_directly_import(module) - inside
        name = module.removeprefix(f"{package}.").partition(".")[0]
        assert name in offered or not importers, f"{module} is imported by {sorted(importers)}"


@pytest.mark.parametrize("room", ROOMS)
def test_the_public_modules_of_a_room_exist(room: str) -> None:
    package = importlib.import_module(f"{BENCH}.{room}")
    for name in package.__all__:
        assert _is_module(f"{package.__name__}.{name}") or hasattr(package, name), name


def _is_module(name: str) -> bool:
    package = importlib.import_module(name.rpartition(".")[0])
    return hasattr(package, "__path__") and importlib.util.find_spec(name) is not None
