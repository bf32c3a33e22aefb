"""Networks of plugins are known, identified and forgotten as methods and datasets are."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
from tests.bench.planning.plugins.plugin_files import Mistake, installed_as, write
from torch import nn

from distillation_bench.bench.cli.commands.list_ import list_networks
from distillation_bench.bench.planning.cells import Cell
from distillation_bench.bench.planning.configuration.config import Config
from distillation_bench.bench.planning.plugins.installed_plugins import load_installed
from distillation_bench.bench.planning.plugins.loading import load_all, load_plugins
from distillation_bench.bench.planning.plugins.registrations import (
    foreign_registrations,
    require_reachable,
)
from distillation_bench.datasets import DATASETS
from distillation_bench.datasets.spiral import Spiral
from distillation_bench.methods.networks import (
    NetworkBuilder,
    NetworkOptions,
    network_builder,
    register_network,
)
from distillation_bench.methods.networks.families import FAMILIES

Plan = Callable[..., list[Cell]]

NETWORK = """
from torch import nn
from distillation_bench.methods.networks import NetworkBuilder, NetworkOptions, register_network
{imports}

class Options(NetworkOptions):
    "Networks of a test."
    family = "mine"
    width: int = 4

@register_network(Options)
class Builder(NetworkBuilder):
    def core_layers(self, shape):
        return [nn.Flatten(), nn.Linear(shape[0], {width}), nn.Tanh()]

    def head_layers(self, outputs):
        return [nn.Linear({width}, outputs)]
"""
MINE = {"network": {"family": "mine"}}


def network(width: str = "self.options.width", imports: str = "") -> str:
    return NETWORK.format(width=width, imports=imports)


def keys(cell: Cell) -> dict[str, str]:
    teacher = cell.teacher
    data = {"splits": teacher.data.splits_key, "sets": teacher.data.sets_key}
    return data | {
        "weights": teacher.key,
        "outputs": teacher.outputs_key,
        "cell": cell.id,
        "code": cell.code,
    }


def changed(before: Mapping[str, str], after: Mapping[str, str]) -> set[str]:
    return {name for name in before if before[name] != after[name]}


@pytest.fixture
def planned(tmp_path: Path, cells: Plan) -> Callable[..., dict[str, str]]:
    """planned(text): the keys of a cell with the networks of a plugin of this text."""
    path = tmp_path / "mine.py"

    def plan(text: str, recipe: Mapping[str, Any] = MINE) -> dict[str, str]:
        load_all([write(path, text)])
        (cell,) = cells("kd", recipe=recipe)
        return keys(cell)

    return plan


STALE = {"weights", "outputs", "cell", "code"}


def test_changed_networks_mean_new_teachers(planned: Callable[..., dict[str, str]]) -> None:
    before = planned(network())
    assert changed(before, planned(network("2 * self.options.width"))) == STALE
    assert changed(before, planned(network() + "# a comment\n")) == set()
    assert changed(before, planned(network())) == set()


def test_all_files_of_networks_are_in_the_keys(
    planned: Callable[..., dict[str, str]], tmp_path: Path
) -> None:
    helper = tmp_path / "widths.py"
    write(helper, "WIDTH = 3\n")
    text = network("widths.WIDTH", "import widths")
    before = planned(text)
    write(helper, "WIDTH = 5\n")
    assert changed(before, planned(text)) == STALE


def test_every_option_of_a_plugin_is_one_of_the_teachers(
    planned: Callable[..., dict[str, str]],
) -> None:
    """By default its members have the layers of core and head."""
    text = network().replace("width", "head")
    before = planned(text)
    other = planned(text, {"network": {"family": "mine", "head": 5}})
    assert changed(before, other) == {"weights", "outputs", "cell"}


def test_options_of_students_alone_leave_the_teacher(
    planned: Callable[..., dict[str, str]],
) -> None:
    text = network().replace("width: int", 'of_students = {"width"}\n    width: int')
    before = planned(text)
    other = planned(text, {"network": {"family": "mine", "width": 5}})
    assert changed(before, other) == {"cell"}


def test_other_networks_have_the_same_keys_beside_a_plugin(
    planned: Callable[..., dict[str, str]], cells: Plan
) -> None:
    assert planned(network(), {}) == keys(cells("kd")[0])
    load_all([])
    assert planned(network(), {}) == keys(cells("kd")[0])


def test_networks_are_forgotten_with_their_plugin(
    tmp_path: Path, cells: Plan, mistake: Mistake
) -> None:
    load_all([write(tmp_path / "mine.py", network())])
    assert [(entry.kind, entry.name) for entry in foreign_registrations()] == [("network", "mine")]
    assert "mine: Networks of a test." in list_networks()
    assert network_builder({"family": "mine"}, (2,), 3).outputs == 3
    load_all([])
    assert "mine" not in FAMILIES
    message = mistake(lambda: cells("kd", recipe=MINE))
    assert message.startswith("--set: unknown network family 'mine'")


def test_networks_of_an_installed_package_are_known(
    tmp_path: Path, cells: Plan, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(tmp_path / "installed_network.py", network())
    monkeypatch.syspath_prepend(tmp_path)
    before = {}
    for version in ("1", "2"):
        installed_as(monkeypatch, "installed_network", version)
        load_installed()
        (cell,) = cells("kd", recipe=MINE)
        before[version] = keys(cell)
    assert changed(before["1"], before["2"]) == STALE


def test_networks_of_this_suite_cannot_be_replaced(tmp_path: Path, mistake: Mistake) -> None:
    text = network() + (
        "from distillation_bench.methods.networks.families import FAMILIES\n"
        "FAMILIES['lenet'] = FAMILIES['mine']\n"
    )
    message = mistake(load_plugins, [write(tmp_path / "mine.py", text)])
    assert "FAMILIES['lenet'], which it does not define" in message


def test_a_mistake_in_a_registration_is_one_line(tmp_path: Path, mistake: Mistake) -> None:
    text = network().replace('"mine"', '"mlp"')
    path = write(tmp_path / "mine.py", text)
    reason = "ValueError: a network named 'mlp' exists already"
    assert mistake(load_plugins, [path]).startswith(f"{path}:11: {reason}")


# Networks of the program itself


class _Options(NetworkOptions):
    family = "mine"


class _Builder(NetworkBuilder):
    def core_layers(self, shape: tuple[int, ...]) -> list[nn.Module]:
        return []

    def head_layers(self, outputs: int) -> list[nn.Module]:
        return []


class _OwnSpiral(Spiral):
    network = {"family": "mine"}


@pytest.mark.parametrize(
    ("dataset", "recipe", "recipes"),
    [
        ("spiral", MINE, {}),
        ("spiral", {}, {"spiral": MINE}),
        ("own", {}, {}),
    ],
)
def test_networks_that_workers_do_not_load_are_refused(
    dataset: str,
    recipe: dict[str, Any],
    recipes: dict[str, Any],
    tmp_path: Path,
    mistake: Mistake,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(_OwnSpiral, "__module__", Spiral.__module__)
    DATASETS["own"] = _OwnSpiral
    register_network(_Options)(_Builder)
    config = Config((dataset,), (), (0,), recipe, recipes, {})
    assert mistake(require_reachable, config, ()).startswith(
        f"network 'mine' is defined in {__name__}, which workers do not load; "
    )
    require_reachable(Config(("spiral",), (), (0,), {}, {}, {}), ())
    # A plugin takes the name, as long as the run needs it.
    require_reachable(config, load_all([write(tmp_path / "mine.py", network())]))
