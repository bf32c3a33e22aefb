"""The contract test finds what is wrong, and says what."""

from __future__ import annotations

from pathlib import Path

import pytest

from bench.check import PROMISES, check_plugin
from bench.errors import UsageError
from methods import METHODS

METHOD = """
import torch
from methods import Method, register
from methods.networks.heads import core_and_heads

@register
class Faulty(Method):
    name = {name!r}
    summary = "faulty on purpose"
    paper = "none"

    def build(self, generator):
        network = core_and_heads(self.setting.networks, 1, generator)
        {build}
        return network

    def forward(self, network, x, generator):
        {forward}
        return network(x)

    def loss(self, outputs, batch, now):
        {loss}
        return {{"correctness": self.task.correctness(outputs, batch.y)}}
"""

FAULTS = {
    "sound": ({}, ""),
    "unused": (
        {"build": "network.extra = torch.nn.Parameter(torch.ones(2))"},
        "gradient for extra",
    ),
    "shape": ({"forward": "return network(x)[0]"}, "outputs are [40, 3], not [S, 40, 3]"),
    "vector": ({"loss": "return {'a': outputs.mean((0, 2))}"}, "term 'a' is [40], not a scalar"),
    "overflow": ({"loss": "return {'a': outputs.exp().mean()}"}, "term 'a' is inf"),
    "global": (
        {"forward": "return network(x) + torch.rand(1)"},
        "the outputs differ",
    ),
}


@pytest.fixture(autouse=True)
def registry(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a test registers is gone after it."""
    for name in [f"faulty-{fault}" for fault in FAULTS]:
        monkeypatch.setitem(METHODS, name, METHODS["kd"])
        monkeypatch.delitem(METHODS, name)


@pytest.mark.parametrize("fault", FAULTS)
def test_a_faulty_method(fault: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    changes, message = FAULTS[fault]
    parts = {"build": "pass", "forward": "pass", "loss": "pass"} | changes
    path = tmp_path / "plugin.py"
    path.write_text(METHOD.format(name=f"faulty-{fault}", **parts))
    fits = check_plugin(str(path))
    out = capsys.readouterr().out
    assert fits == (fault == "sound"), out
    assert message in out
    verdict = "fits" if fits else "does not fit"
    assert f"verdict: 'faulty-{fault}' {verdict}" in out


def test_a_loss_without_end_fails_its_check(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bench.check.CHECK_SECONDS", 1)
    some = ("gives outputs [S, B, K]", "finite terms and a gradient for every parameter")
    monkeypatch.setattr("bench.check.PROMISES", {name: PROMISES[name] for name in some})
    monkeypatch.setitem(METHODS, "faulty-endless", METHODS["kd"])
    monkeypatch.delitem(METHODS, "faulty-endless")
    path = tmp_path / "plugin.py"
    parts = {"build": "pass", "forward": "pass", "loss": "while True: pass"}
    path.write_text(METHOD.format(name="faulty-endless", **parts))
    assert not check_plugin(str(path))
    out = capsys.readouterr().out
    assert out.count("took longer than 1 s") == 2 and out.count("ok    faulty-endless") == 4


def test_a_plugin_that_registers_nothing(tmp_path: Path) -> None:
    path = tmp_path / "nothing.py"
    path.write_text("x = 1\n")
    with pytest.raises(UsageError, match="registers no method, dataset or metric"):
        check_plugin(str(path))
