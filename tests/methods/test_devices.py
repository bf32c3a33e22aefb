"""No tensor stays on the CPU when a student is elsewhere: torch's meta device stands for a GPU."""

from __future__ import annotations

from functools import partial
from typing import Any

import pytest
import torch

from distillation_bench.bench.training.data import EvaluationSet, PreparedData, Scaling
from distillation_bench.bench.training.optimization.optimizer import Adam
from distillation_bench.methods import METHODS, Batch, Examples, InputRange, Setting
from distillation_bench.methods.networks import network_builder
from distillation_bench.methods.tasks import TASKS

META = torch.device("meta")
MEMBERS, EXAMPLES = 3, 6
NETWORKS: dict[str, tuple[dict[str, Any], tuple[int, ...]]] = {
    "mlp": ({"family": "mlp", "member": [7], "core": [7], "head": [6]}, (5,)),
    "lenet": ({"family": "lenet", "width": 0.1}, (1, 8, 8)),
    "resnet": ({"family": "resnet", "width": 0.05}, (3, 8, 8)),
}


@pytest.fixture
def anywhere(monkeypatch: pytest.MonkeyPatch) -> None:
    """Draws on the meta device, which has no generators."""
    for name in ("rand", "randn"):
        draw = getattr(torch, name)

        def without_stream(shape: Any, *, generator: Any, device: Any, draw: Any = draw) -> Any:
            return draw(shape, device=device)

        monkeypatch.setattr(torch, name, without_stream)


@pytest.mark.parametrize("family", NETWORKS)
@pytest.mark.parametrize("task", ["classification", "regression"])
@pytest.mark.parametrize("name", METHODS)
def test_a_step_and_a_prediction_stay_on_the_device(
    name: str, task: str, family: str, request: pytest.FixtureRequest
) -> None:
    if task in METHODS[name].refuses:
        pytest.skip(METHODS[name].refuses[task])
    description, shape = NETWORKS[family]
    classification = task == "classification"
    networks = network_builder(description, shape, 4 if classification else 2)
    streams = [torch.Generator().manual_seed(m) for m in range(MEMBERS)]
    members = networks.members(streams).to(META)
    inputs = InputRange.of(torch.zeros(1, *shape))
    setting = Setting(TASKS[task], MEMBERS, EXAMPLES, networks, inputs, lambda: members)
    method = METHODS[name](METHODS[name].Parameters(), setting)
    x = torch.zeros(EXAMPLES, *shape, device=META)
    y = torch.zeros(EXAMPLES, dtype=torch.int64 if classification else torch.float32, device=META)
    method.fitted = method.fit(Examples(x, y, members(x)), torch.Generator())
    student = method.build(torch.Generator()).to(META)
    stages = method.stages(student, torch.Generator())
    request.getfixturevalue("anywhere")
    for stage in stages:
        stage.network.to(META)
        noise = torch.Generator()
        answer = partial(method.forward, stage.network, generator=noise)
        batch = Batch(x, y, members(x), stage.network, stage.name, noise, members, answer)
        terms = method.step(batch, method.parameters.at(0, 10))
        parameters = list(stage.network.parameters())
        total = torch.stack(list(terms.values())).sum()
        gradients = torch.autograd.grad(total, parameters, materialize_grads=True)
        norm = Adam(parameters, [0.0] * len(parameters), 5.0, False).step(gradients, 0.1)
        assert norm.device == META
    with torch.no_grad():
        finished = method.finish(student, Examples(x, y, members(x)))
        prediction = method.predict(method.infer(finished, x, torch.Generator()))
    for value in (prediction.mean, prediction.total, prediction.log_prob(y)):
        assert value.device == META


def test_inputs_are_normalised_on_the_device() -> None:
    x = torch.zeros(EXAMPLES, 3, 8, 8, dtype=torch.uint8)
    y = torch.zeros(EXAMPLES, dtype=torch.int64)
    scaling = Scaling(torch.tensor([0.5] * 3), torch.tensor([0.2] * 3))
    data = PreparedData((x, y), EvaluationSet("validation", x, y), (), scaling, 4).to(META)
    assert data.inputs(x).device == META
    assert data.inputs(x, torch.device("cpu")).device.type == "cpu"
    raw, targets = data.batch(torch.arange(2))
    assert raw.device == targets.device == META
