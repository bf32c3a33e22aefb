"""Families of networks are registered as methods and datasets are."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator, Sequence
from typing import Any

import pytest
from pydantic import Field, ValidationError
from torch import Generator, nn

from distillation_bench.bench.common.paths import IMPORT_FOLDER
from distillation_bench.methods.networks import (
    Batching,
    NetworkBuilder,
    NetworkOptions,
    network_builder,
    register_network,
)
from distillation_bench.methods.networks.batched import Batched
from distillation_bench.methods.networks.families import FAMILIES, describe
from distillation_bench.methods.networks.options import LeNetOptions


@pytest.fixture(autouse=True)
def registry() -> Iterator[None]:
    """Restore the registry after each test."""
    before = dict(FAMILIES)
    yield
    FAMILIES.clear()
    FAMILIES.update(before)


class Mine(NetworkOptions):
    family = "mine"

    width: int = Field(3, ge=1, description="of the hidden layer")
    batching: Batching = Field("turn", description="together or in turn")


class Builder(NetworkBuilder):
    options: Mine

    def core_layers(self, shape: tuple[int, ...]) -> Sequence[nn.Module]:
        return [nn.Linear(shape[0], self.options.width), nn.ReLU()]

    def head_layers(self, outputs: int) -> Sequence[nn.Module]:
        return [nn.Linear(self.options.width, outputs)]


def test_a_registered_family_is_built_from_its_description() -> None:
    assert register_network(Mine)(Builder) is Builder
    assert describe({"family": "mine"}) == {"family": "mine", "width": 3, "batching": "turn"}
    networks = network_builder({"family": "mine", "width": 7}, (2,), 4)
    assert isinstance(networks, Builder)
    assert (networks.options.width, networks.shape, networks.outputs) == (7, (2,), 4)
    with pytest.raises(ValidationError, match="greater than or equal to 1"):
        network_builder({"family": "mine", "width": 0}, (2,), 4)
    with pytest.raises(ValueError, match="did you mean 'mine'"):
        network_builder({"family": "mien"}, (2,), 4)


def test_the_option_batching_decides_how_networks_are_computed() -> None:
    register_network(Mine)(Builder)
    for batching in ("turn", "vmap"):
        networks = network_builder({"family": "mine", "batching": batching}, (2,), 4)
        for module in (networks.members([Generator()] * 2), networks.heads(2, Generator())):
            assert isinstance(module, Batched)
            assert module.batching == batching


def test_a_class_that_is_defined_again_replaces_itself() -> None:
    register_network(Mine)(Builder)
    register_network(Mine)(Builder)
    assert FAMILIES["mine"].builder() is Builder


def test_a_name_that_is_taken_is_refused() -> None:
    class Other(NetworkOptions):
        family = "lenet"

    class Derived(LeNetOptions):
        """Without a name of its own."""

    for options in (Other, Derived):
        with pytest.raises(ValueError, match="named 'lenet' exists already"):
            register_network(options)(Builder)
    assert FAMILIES["lenet"].options is LeNetOptions


def options_with(**fields: Any) -> type[NetworkOptions]:
    annotations = {name: type_ for name, (type_, _) in fields.items()}
    values = {name: value for name, (_, value) in fields.items()}
    name = {} if "family" in fields else {"family": "mine"}
    return type("Odd", (NetworkOptions,), {"__annotations__": annotations, **values, **name})


@pytest.mark.filterwarnings("ignore:Field name")
@pytest.mark.parametrize("option", ["family", "products", "needs_images", "of_students", "copy"])
def test_an_option_called_like_something_else_is_refused(option: str) -> None:
    with pytest.raises(ValueError, match=f"{option} can't be an option"):
        register_network(options_with(**{option: (int, 3)}))


def test_batching_has_its_type() -> None:
    with pytest.raises(ValueError, match=r"the type of batching is networks\.Batching"):
        register_network(options_with(batching=(int, 3)))


@pytest.mark.parametrize("name", ["", "a b", "a=b", "a[b", "a,b", "a\x1b"])
def test_a_name_that_no_command_line_can_give_is_refused(name: str) -> None:
    options = type("Odd", (NetworkOptions,), {"family": name})
    with pytest.raises(ValueError, match="a name can be printed"):
        register_network(options)


def test_options_without_a_name_are_refused() -> None:
    options = type("Nameless", (NetworkOptions,), {})
    with pytest.raises(TypeError, match="Nameless lack family"):
        register_network(options)


def test_a_decorator_without_options_is_refused() -> None:
    wrong: Any = Builder
    with pytest.raises(TypeError, match="takes a subclass of NetworkOptions"):
        register_network(wrong)


def test_an_incomplete_builder_is_refused() -> None:
    class Headless(NetworkBuilder):
        def core_layers(self, shape: tuple[int, ...]) -> Sequence[nn.Module]:
            return []

    with pytest.raises(TypeError, match="Headless lacks head_layers"):
        register_network(Mine)(Headless)
    other: Any = nn.Linear
    with pytest.raises(TypeError, match="Linear builds networks, but is no subclass"):
        register_network(Mine)(other)
    assert "mine" not in FAMILIES


def test_registering_does_not_import_torch() -> None:
    program = (
        "import sys\n"
        "from distillation_bench.methods.networks import *\n"
        "class Options(NetworkOptions):\n    family = 'mine'\n"
        "class Builder(NetworkBuilder):\n    core_layers = head_layers = None\n"
        "register_network(Options)(Builder)\n"
        "assert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", program], check=True, cwd=IMPORT_FOLDER)
