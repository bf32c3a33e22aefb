"""`check` finds each breach of the contract of networks and names it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest
from pydantic import Field

from distillation_bench.bench.check.network_contract import network_checks
from distillation_bench.bench.check.plugin_check import check_plugin
from distillation_bench.methods.networks import NetworkOptions, register_network
from distillation_bench.methods.networks.families import FAMILIES
from distillation_bench.methods.networks.options import (
    LeNetOptions,
    MLPOptions,
    ResNetOptions,
    WideResNetOptions,
)

NETWORK = """
import math
import torch
from pydantic import Field
from torch import nn
from distillation_bench.methods.networks import *

{above}

class Options(NetworkOptions):
    family = "faulty"
    width: {type} = Field({default}, description={description!r})
    {options}

@register_network(Options)
class Faulty(NetworkBuilder):
    def core_layers(self, shape):
        width = self.options.width
        return [nn.Flatten(), nn.Linear({inputs}, width), {core}]

    def head_layers(self, outputs):
        width = self.options.width
        return [nn.Linear(width, 3), {head}, nn.Linear({width}, {outputs}){last}]

    {builder}
"""
PARTS = {
    "above": "",
    "type": "int",
    "default": "4",
    "description": "of the hidden layer",
    "options": "",
    "inputs": "math.prod(shape)",
    "core": "nn.Tanh()",
    "head": "nn.Tanh()",
    "width": "3",
    "outputs": "outputs",
    "last": "",
    "builder": "",
}
"""A sound family, as long as no part is replaced."""


def layer(forward: str, init: str = "pass") -> str:
    return f"""
class Odd(nn.Module):
    def __init__(self):
        super().__init__()
        {init}

    def forward(self, x):
        {forward}
"""


COUNTS = layer("self.count += 1; return x * self.count", "self.count = 0")
ONE_MEMBER = "def members(self, generators): return super().members(generators[:1])"
SEEDS = "SEEDS = iter(range(99))"
OTHER_HEADS = """
    def heads(self, count, generator, outputs=None):
        return super().heads(count, torch.Generator().manual_seed(next(SEEDS)), outputs)
"""
ONE_NETWORK = """
    def network(self, generator, channels=0, outputs=None):
        return super().network(torch.Generator().manual_seed(0), channels, outputs)
"""
LARGER_NETWORK = """
    def network(self, generator, channels=0, outputs=None):
        network = super().network(generator, channels, outputs)
        return network.append(nn.LayerNorm(outputs or 4))
"""
TIED_MEMBERS = """
    def members(self, generators):
        members = super().members(generators)
        for parameter in members.parameters():
            parameter.data *= len(generators)
        return members
"""
BATCHING = "batching: Batching = Field('turn', description='how')"
PLAIN_CORE = "def core(self, _): return nn.Sequential(*self.core_layers(self.shape))"
EQUAL_HEADS = """
    def heads(self, count, generator, outputs=None):
        heads = super().heads(count, generator, outputs)
        for parameter in heads.parameters():
            parameter.data[:] = parameter.data[:1]
        return heads
"""
COUNTING_MEMBERS = """
    def members(self, generators):
        members = super().members(generators)
        members.register_buffer("steps", torch.zeros(2))
        return members
"""
FAULTS: dict[str, tuple[dict[str, str], str]] = {
    "undocumented": ({"description": ""}, "without description: width"),
    "required": ({"default": "..."}, "without default: width; a dataset gives none"),
    "tuple": ({"type": "tuple[int, ...]", "default": "(4,)"}, "stored as JSON: "),
    "not JSON": ({"type": "complex", "default": "4j"}, "stored as JSON: "),
    "no such option": ({"options": "of_students = {'head'}"}, "of_students: head is no option"),
    "products": ({"options": "def products(self, shape, outputs): return 3, 4, 5.5"}, "5.5), not"),
    "images": ({"core": "nn.Conv2d(1, 1, 3)"}, "needs_images = True among their"),
    "widths": ({"width": "7"}, "RuntimeError: mat1 and mat2 shapes cannot be multiplied"),
    "fixed outputs": ({"outputs": "4"}, "heads with outputs=1 are [2, 6, 4], not [2, 6, 1]"),
    "one member": ({"builder": ONE_MEMBER}, "outputs of members are [1, 6, 4], not [3, 6, 4]"),
    "a count of all": ({"builder": COUNTING_MEMBERS}, "steps of members is [2]: its first axis"),
    "plain core": ({"builder": PLAIN_CORE}, "features are [6, 4], not [1, B, …]"),
    "equal heads": ({"builder": EQUAL_HEADS}, "two heads are the same; draw each anew"),
    "fixed inputs": ({"inputs": "5"}, "inputs [6, 7]: RuntimeError: mat1 and mat2 shapes"),
    "batching": (
        {"above": COUNTS, "options": BATCHING, "core": "Odd()"},
        "batching=vmap gives other outputs than batching=turn; leave the option out",
    ),
    "no batching": (
        {
            "above": layer("return x if x[0, 0] > 0 else 2 * x"),
            "options": BATCHING,
            "core": "Odd()",
        },
        "batching=vmap: vmap: ",
    ),
    "last layer": ({"last": ", nn.Tanh()"}, "last layer of a head of faulty is not an nn.Linear"),
    "without gradient": (
        {"above": layer("return x", "self.unused = nn.Linear(2, 2)"), "core": "Odd()"},
        "no gradient for network.2.unused.weight; use it or drop it",
    ),
    "infinite": ({"above": layer("return x / 0"), "core": "Odd()"}, "members: not finite in train"),
    "infinite in evaluation": (
        {"above": layer("return x / self.training"), "core": "Odd()"},
        "members: not finite in evaluation",
    ),
    "normalised by the batch": (
        {"above": layer("return x - x.mean(0)"), "core": "Odd()"},
        "outputs depend on what else is in the batch; normalise by",
    ),
    "dropout": ({"core": "nn.Dropout(0.5)"}, "torch's global stream was used; make layers"),
    "other heads": (
        {"above": SEEDS, "builder": OTHER_HEADS},
        "core and heads: heads.network.0.weight differs between two equal generators",
    ),
    "constant weights": (
        {"builder": ONE_NETWORK},
        "network: the weights are the same from another generator; draw them from it",
    ),
    "more parameters": (
        {"builder": LARGER_NETWORK},
        "network has 63 parameters, core and head have 55; give the layers of both by",
    ),
    "state of an object": ({"above": COUNTS, "core": "Odd()"}, "loaded, the outputs differ; keep"),
    "members depend on each other": (
        {"builder": TIED_MEMBERS},
        "of a member differs when other members are trained with it; draw its",
    ),
}


@pytest.fixture(autouse=True)
def registry(monkeypatch: pytest.MonkeyPatch) -> None:
    """Restore the registry after each test."""
    monkeypatch.setitem(FAMILIES, "faulty", FAMILIES["mlp"])
    monkeypatch.delitem(FAMILIES, "faulty")


def plugin(folder: Path, parts: Mapping[str, str]) -> str:
    path = folder / "plugin.py"
    path.write_text(NETWORK.format(**{**PARTS, **parts}))
    return str(path)


def test_sound_networks_fit(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert check_plugin(plugin(tmp_path, {}))
    assert "verdict: 'faulty' fits (14 checks)" in capsys.readouterr().out


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_is_reported(
    fault: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    parts, message = FAULTS[fault]
    assert not check_plugin(plugin(tmp_path, parts))
    out = capsys.readouterr().out
    assert message in out, out
    assert "verdict: 'faulty' does not fit" in out


def test_an_example_of_the_inputs_is_tried(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    parts = {"core": "nn.Unflatten(1, (1, 2, 2)), nn.Conv2d(1, 1, 1), nn.Flatten()"}
    images = "example = (2, 3)"
    sequence = {"above": layer("return x"), "options": images, "core": "Odd()"}
    assert check_plugin(plugin(tmp_path, {**parts, **sequence})), capsys.readouterr().out


# The networks of this suite


class _MLP(MLPOptions):
    family = "faulty"
    member: list[int] = Field([6], description="smaller")
    core: list[int] = Field([5], description="smaller")
    head: list[int] = Field([4], description="smaller")


class _LeNet(LeNetOptions):
    family = "faulty"
    width: float = Field(0.2, description="smaller")


class _ResNet(ResNetOptions):
    family = "faulty"
    width: float = Field(0.1, description="smaller")


class _WideResNet(WideResNetOptions):
    family = "faulty"
    depth: int = Field(10, description="smaller")


@pytest.mark.parametrize(
    ("name", "options"),
    [("mlp", _MLP), ("lenet", _LeNet), ("resnet", _ResNet), ("wide-resnet", _WideResNet)],
)
def test_networks_of_this_suite_fit(name: str, options: type[NetworkOptions]) -> None:
    register_network(options)(FAMILIES[name].builder())
    for _, check in network_checks(FAMILIES["faulty"]):
        check()
