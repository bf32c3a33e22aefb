"""Counts of parameters and operations equal counts by hand."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise

import pytest
import torch

from distillation_bench.bench.common.random_streams import torch_stream
from distillation_bench.bench.training.evaluation import cost
from distillation_bench.datasets.spiral import Spiral
from distillation_bench.methods import METHODS, InputRange, Method, Setting
from distillation_bench.methods.networks import network_builder
from distillation_bench.methods.tasks import TASKS


def layers(*widths: int) -> tuple[int, int]:
    """Parameters and multiply-accumulates of a perceptron."""
    pairs = list(pairwise(widths))
    return sum((a + 1) * b for a, b in pairs), sum(a * b for a, b in pairs)


CORE, HEAD = layers(2, 100, 100, 100), layers(100, 100, 3)
MEMBER = layers(2, 100, 100, 100, 100, 3)
TRUNK, LAST = layers(2, 100, 100, 100, 100), layers(100, 3)


@pytest.mark.parametrize(
    ("name", "parameters", "multiplications"),
    [
        ("ensemble", 20 * MEMBER[0], 20 * MEMBER[1]),
        ("kd", CORE[0] + HEAD[0], CORE[1] + HEAD[1]),
        ("hydra+", CORE[0] + 20 * HEAD[0], CORE[1] + 20 * HEAD[1]),
        ("mc-dropout", TRUNK[0] + LAST[0], TRUNK[1] + 20 * LAST[1]),
        ("gauss", TRUNK[0] + 2 * LAST[0], TRUNK[1] + 2 * LAST[1]),
    ],
)
def test_counts_of_the_networks_of_the_original_code(
    name: str, parameters: int, multiplications: int
) -> None:
    networks = network_builder(Spiral.network, Spiral.shape, Spiral.outputs)
    setting = Setting(
        task=TASKS["classification"],
        members=20,
        examples=240,
        networks=networks,
        inputs=InputRange.of(torch.zeros(1, 2)),
        teacher=lambda: networks.members([torch_stream(0, m) for m in range(20)]),
    )
    method = METHODS[name](METHODS[name].Parameters(), setting)
    counts = cost.counts(method, method.build(torch_stream(0)), torch.zeros(4, 2))
    assert counts["parameters"] == parameters
    assert counts["flops"] == 2 * multiplications
    assert counts["bytes"] == 4 * parameters
    for figure in ("parameters", "flops"):
        assert counts[figure] == counts[f"{figure}_core"] + counts[f"{figure}_heads"]
    shared = {"ensemble": (0, 0), "kd": CORE, "hydra+": CORE}.get(name, TRUNK)
    assert counts["parameters_core"] == shared[0]
    assert counts["flops_core"] == 2 * shared[1]


def small_method() -> Method:
    setting = Setting(
        task=TASKS["classification"],
        members=1,
        examples=240,
        networks=network_builder(Spiral.network, Spiral.shape, Spiral.outputs),
        inputs=InputRange.of(torch.zeros(1, 2)),
        teacher=torch.nn.Module,
    )
    return METHODS["kd"](METHODS["kd"].Parameters(), setting)


def test_latency_is_the_median_of_alternating_passes(monkeypatch: pytest.MonkeyPatch) -> None:
    """One second after another, and a hundred in a disturbed pass; a batch of 256 takes twice."""
    method = small_method()
    sizes: list[int] = []
    monkeypatch.setattr(cost, "ROUNDS_SECONDS", 1e9)

    def seconds(function: Callable[[], object]) -> float:
        function()
        disturbed = 100.0 if len(sizes) % 10 < 2 else 1.0
        return disturbed * (1 if sizes[-1] == 1 else 2)

    def forward(network: torch.nn.Module, x: torch.Tensor, *_: object) -> torch.Tensor:
        sizes.append(len(x))
        return x

    monkeypatch.setattr(cost, "_seconds", seconds)
    monkeypatch.setattr(method, "forward", forward)
    found = cost.latencies(method, method.build(torch_stream(0)), torch.zeros(4, 2))
    assert sizes == [1, 256] * cost.ROUNDS
    start = "latency_seconds_batch_"
    assert {name.removeprefix(start): value for name, value in found.items()} == {
        **{"1": 1, "1_low": 1, "1_high": 1},
        **{"256": 2 / 256, "256_low": 2 / 256, "256_high": 2 / 256},
    }


def test_a_slow_network_is_timed_a_few_times(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cost, "ROUNDS_SECONDS", 0.0)
    moved: list[int] = []
    rounds = cost._timed_rounds([lambda: None, lambda: None], lambda: moved.append(1))
    assert rounds.shape == (cost.MIN_ROUNDS, 2) and not moved


def test_a_network_is_timed_at_several_places_and_stays_the_same() -> None:
    network = small_method().build(torch_stream(0))
    before = {name: (t.data_ptr(), t.clone()) for name, t in network.state_dict().items()}
    held = cost._move(network)
    after = network.state_dict()
    for name, (place, tensor) in before.items():
        assert after[name].data_ptr() != place and torch.equal(after[name], tensor)
    assert len(held) == len(before)


def test_quartiles_surround_the_median() -> None:
    method = small_method()
    found = cost.latencies(method, method.build(torch_stream(0)), torch.zeros(4, 2))
    for size in cost.BATCH_SIZES:
        name = f"latency_seconds_batch_{size}"
        assert 0 < found[f"{name}_low"] <= found[name] <= found[f"{name}_high"]
