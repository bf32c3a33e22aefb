"""Counts of parameters and operations equal counts by hand."""

from __future__ import annotations

from itertools import pairwise

import pytest
import torch

from distillation_bench.bench.common.random_streams import torch_stream
from distillation_bench.bench.training.evaluation import cost
from distillation_bench.datasets.spiral import Spiral
from distillation_bench.methods import METHODS, Setting
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
