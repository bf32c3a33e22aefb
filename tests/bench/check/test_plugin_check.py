"""`check` finds each breach of the plugin contract and names it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from concurrent.futures import Future
from pathlib import Path
from typing import Any

import pytest
from tests.in_process import InProcess

from distillation_bench.bench.check import plugin_check
from distillation_bench.bench.check.checks import ContractBroken
from distillation_bench.bench.check.method_contract import HOOK_CHECKS
from distillation_bench.bench.check.method_under_test import MethodUnderTest
from distillation_bench.bench.check.plugin_check import check_plugin
from distillation_bench.bench.check.repeatability import (
    Repeatability,
    Resume,
    resume_cells,
    resume_in_new_process,
)
from distillation_bench.bench.check.synthetic_data import RECIPE
from distillation_bench.bench.common.errors import UsageError
from distillation_bench.bench.execution.executors.base import (
    DEFAULT_OPTIONS,
    JobOptions,
    WorkerLost,
)
from distillation_bench.bench.execution.executors.local import LocalExecutor
from distillation_bench.datasets import DATASETS
from distillation_bench.methods import METHODS

METHOD = """
import os, random, time
import numpy, torch
from distillation_bench.methods import Group, Method, register
from distillation_bench.methods.networks.heads import core_and_heads

{above}

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
        return {{"correctness": scale * self.task.correctness(outputs, batch.y)}}

    {hooks}

    def predict(self, outputs):
        {predict}
        return self.task.prediction(outputs)
"""
PARTS = {
    "above": "",
    "build": "pass",
    "forward": "pass",
    "loss": "scale = 1",
    "hooks": "",
    "predict": "pass",
}

TWICE = "a whole run gives the same values twice: run twice, "
RESUMED = "can be resumed in another process: resumed in another process after 1 epochs, "
COUNTER = "OF.count = getattr(OF, 'count', 0) + 1; scale = OF.count"
OWN_PREDICTION = """
from distillation_bench.methods.predictions import Prediction

class Odd(Prediction):
    def __init__(self, outputs):
        self._mean = outputs[..., 0].double().mean(0)
        self.total = self.aleatoric = self._mean.new_ones(self._mean.shape)
        self.epistemic = 0 * self.total
        self.scores = {}

    mean = property(lambda self: self._mean)

    def log_prob(self, y):
        return -(self._mean - y).square()
"""
FAULTS = {
    "sound": ({}, ""),
    "unused": (
        {"build": "network.extra = torch.nn.Parameter(torch.ones(2))"},
        "gradient for extra",
    ),
    "shape": (
        {"forward": "return network(x)[0]"},
        "outputs for a batch of 40 are [40, 3]: axis 1 is the batch",
    ),
    "vector": ({"loss": "return {'a': outputs.mean((0, 2))}"}, "term 'a' is [40], not a scalar"),
    "overflow": ({"loss": "return {'a': outputs.exp().mean()}"}, "term 'a' is inf"),
    "global": ({"forward": "return network(x) + torch.rand(1)"}, "infer, called twice"),
    "a fit that is not repeated": (
        {"hooks": "def fit(self, train, generator): return {'a': torch.rand(2)}"},
        "called twice, 'a' differs",
    ),
    "a fit that is not finite": (
        {"hooks": "def fit(self, train, generator): return {'a': torch.tensor([1e400])}"},
        "'a' is not finite",
    ),
    "members asked on other inputs": (
        {"loss": "scale = batch.ask(batch.x[:, :1]).mean()"},
        "the members were asked on [40, 1]; inputs are ['B', 2]",
    ),
    "a group of strangers": (
        {
            "hooks": "def groups(self, network): "
            "return [Group([torch.nn.Parameter(torch.ones(1))], decay=0)]"
        },
        "stage 'train': a parameter that it does not train",
    ),
    "a negative factor": (
        {"hooks": "def groups(self, network): return [Group(network.parameters(), rate=-1)]"},
        "stage 'train': rate is -1; it is a factor of 0 or more",
    ),
    "outputs of another batch": (
        {"hooks": "def infer(self, network, x, generator): return network(x), network(x)[:, 1:]"},
        "outputs for a batch of 40 are [1, 39,",
    ),
    # Each part works alone, but a run would fail.
    "another prediction": (
        {"above": OWN_PREDICTION, "predict": "return Odd(outputs)"},
        "faulty, classification: the prediction is a distribution: the mean for 40 inputs is [40]",
    ),
    "nan in a prediction": (
        {"predict": "outputs = outputs * float('nan')"},
        "uncertainty is negative or not finite",
    ),
    "a prediction of other examples": (
        {"predict": "outputs = outputs[:, 1:]"},
        "the mean for 40 inputs is [39]",
    ),
    # Values that a second run would not repeat.
    "predict draws": ({"predict": "outputs = outputs + torch.rand(1)"}, TWICE),
    "predict draws with numpy": ({"predict": "outputs = outputs + numpy.random.rand()"}, TWICE),
    "the loss draws": ({"loss": "scale = 1 + random.random()"}, TWICE),
    "the clock": ({"loss": "scale = 1 + time.time() % 1"}, TWICE),
    "state of the class": ({"loss": COUNTER.replace("OF", "type(self)")}, TWICE),
    "state of the module": (
        {"above": "class Memory: pass", "loss": COUNTER.replace("OF", "Memory")},
        TWICE,
    ),
    # Training that could not be resumed.
    "state of the method": ({"loss": COUNTER.replace("OF", "self")}, RESUMED),
    "state of the network": ({"loss": COUNTER.replace("OF", "batch.network")}, RESUMED),
    "a buffer that is not kept": (
        {
            "build": "network.register_buffer('steps', torch.zeros(()), persistent=False)",
            "loss": "batch.network.steps += 1; scale = batch.network.steps",
        },
        RESUMED,
    ),
    "the process": ({"loss": "scale = 1 + os.getpid() % 1000 / 1000"}, RESUMED),
}
DEPENDS_ON_HASHES = {"loss": "scale = 1 + list({str(n) for n in range(99)}).index('7')"}
STATE_IN_A_BUFFER = {
    "build": "network.register_buffer('steps', torch.zeros(()))",
    "loss": "batch.network.steps += 1; scale = batch.network.steps",
}
"""What a method may do: its state is in a buffer."""


def test_a_prediction_of_another_kind_passes(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], resume: Resume
) -> None:
    parts = {"above": OWN_PREDICTION, "predict": "if outputs.shape[-1] == 2: return Odd(outputs)"}
    assert check_plugin(plugin(tmp_path, parts), resume), capsys.readouterr().out


@pytest.fixture(autouse=True)
def registry(monkeypatch: pytest.MonkeyPatch) -> None:
    """Restore the registries after each test."""
    monkeypatch.setitem(METHODS, "faulty", METHODS["kd"])
    monkeypatch.delitem(METHODS, "faulty")


@pytest.fixture
def resume(processes: Callable[..., LocalExecutor]) -> Resume:
    """Return a forked process, which shares no state and starts at once."""
    executor = processes(1)

    def resume_there(plugin: str, folder: Path) -> None:
        executor.submit(resume_cells, plugin, folder).result()

    return resume_there


def plugin(folder: Path, parts: Mapping[str, str]) -> str:
    path = folder / "plugin.py"
    path.write_text(METHOD.format(name="faulty", **{**PARTS, **parts}))
    return str(path)


@pytest.mark.parametrize("fault", FAULTS)
def test_a_faulty_method_is_reported(
    fault: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    resume: Resume,
) -> None:
    changes, message = FAULTS[fault]
    fits = check_plugin(plugin(tmp_path, changes), resume)
    out = capsys.readouterr().out
    assert fits == (fault == "sound"), out
    assert message in out
    verdict = "fits" if fits else "does not fit"
    assert f"verdict: 'faulty' {verdict}" in out


def test_state_in_a_buffer_and_built_in_methods_pass(tmp_path: Path, resume: Resume) -> None:
    path = plugin(tmp_path, STATE_IN_A_BUFFER)
    assert check_plugin(path, resume)
    repeatability = Repeatability(path, tmp_path, resume)
    tasks = ("regression", "classification")
    methods_and_tasks = [
        (m, next(t for t in tasks if t not in m.refuses)) for m in METHODS.values()
    ]
    for method, task in methods_and_tasks:
        repeatability.check_repeated(MethodUnderTest(method, task))
    for method, task in methods_and_tasks:
        repeatability.check_resumed(method.name, task)


def test_values_that_depend_on_the_order_of_a_set_are_found(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert not check_plugin(plugin(tmp_path, DEPENDS_ON_HASHES))
    assert RESUMED in capsys.readouterr().out


def test_the_time_limit_does_not_count_the_preparation_of_data(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A loaded machine may take long."""
    monkeypatch.setattr("distillation_bench.bench.check.plugin_check.CHECK_SECONDS", 0.05)
    monkeypatch.setitem(DATASETS, "late", DATASETS["spiral"])
    monkeypatch.delitem(DATASETS, "late")
    path = tmp_path / "late.py"
    path.write_text(
        "import time\nfrom distillation_bench.datasets import register\n"
        "from distillation_bench.datasets.spiral import Spiral\n"
        "@register\nclass Late(Spiral):\n    name = 'late'\n    def load(self, stream):\n"
        "        end = time.process_time() + 0.1\n"
        "        while time.process_time() < end: pass\n"
        "        return super().load(stream)\n"
    )
    assert check_plugin(str(path)), capsys.readouterr().out


def test_a_loss_without_end_fails_its_check(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    resume: Resume,
) -> None:
    monkeypatch.setattr("distillation_bench.bench.check.plugin_check.CHECK_SECONDS", 0.5)
    checks = (
        "gives outputs whose axis 1 is the batch",
        "finite terms and a gradient for every parameter",
    )
    monkeypatch.setattr(
        "distillation_bench.bench.check.method_contract.HOOK_CHECKS",
        {name: HOOK_CHECKS[name] for name in checks},
    )
    short = RECIPE.model_copy(update={"epochs": 1})
    monkeypatch.setattr("distillation_bench.bench.check.method_under_test.RECIPE", short)
    path = plugin(tmp_path, {"loss": "while True: pass"})
    assert not check_plugin(path, resume)
    out = capsys.readouterr().out
    # The gradients and the whole run, of either task.
    assert out.count("took longer than 0.5 s") == 4 and out.count("ok    faulty") == 4


def test_a_plugin_that_registers_nothing_is_reported(tmp_path: Path) -> None:
    path = tmp_path / "nothing.py"
    path.write_text("x = 1\n")
    with pytest.raises(UsageError, match="registers no method, dataset, network or metric"):
        check_plugin(str(path))


def test_a_failure_of_the_resumed_process_gives_the_reason(tmp_path: Path) -> None:
    path = tmp_path / "raising.py"
    path.write_text("raise OSError('not here')\n")
    with pytest.raises(
        ContractBroken, match=rf"ended with status 1: .*{path}:1: OSError: not here"
    ):
        resume_in_new_process(str(path), tmp_path)


def test_a_lost_process_is_reported_as_a_failed_check(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A plugin may end the server that its process was forked from."""

    class Lost(InProcess):
        def __init__(self, *_: object) -> None: ...

        def submit(self, *_: object, options: JobOptions = DEFAULT_OPTIONS) -> Future[Any]:
            future: Future[Any] = Future()
            future.set_exception(WorkerLost("the process that it was forked from is gone"))
            return future

    monkeypatch.setattr(plugin_check, "LocalExecutor", Lost)
    assert not plugin_check.check_isolated("plugin.py")
    assert (
        "verdict: does not fit: after the last line above, the process" in capsys.readouterr().out
    )
