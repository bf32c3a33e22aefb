from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from distillation_bench.bench.execution.progress import announcements as beforehand
from distillation_bench.bench.execution.progress.announcements import announce_duration
from distillation_bench.bench.planning.cells import Cell
from distillation_bench.bench.planning.estimates import run_time
from distillation_bench.bench.planning.estimates.network_operations import forward_products
from distillation_bench.bench.planning.estimates.run_time import Chain, rough_seconds, wall_seconds
from distillation_bench.bench.storage.cache import Cache
from distillation_bench.bench.training.evaluation.cost import _flops
from distillation_bench.methods.networks import network_builder
from distillation_bench.methods.networks.options import options_of

Plan = Callable[..., list[Cell]]


@pytest.mark.parametrize(
    ("description", "shape"),
    [
        ({"family": "lenet"}, (1, 28, 28)),
        ({"family": "lenet", "width": 0.3, "member": [8, 9, 10]}, (3, 32, 20)),
        ({"family": "resnet", "width": 0.25}, (3, 32, 32)),
        ({"family": "resnet", "width": 0.25, "head": []}, (1, 16, 32)),
        ({"family": "resnet18", "width": 0.1, "blocks": 1}, (3, 32, 32)),
        ({"family": "wide-resnet", "widen": 1, "depth": 16}, (3, 32, 32)),
        ({"family": "mlp", "member": [20, 30], "core": [20], "head": [7]}, (2,)),
    ],
)
def test_products_equal_the_count_of_torch(
    description: dict[str, Any], shape: tuple[int, ...]
) -> None:
    networks = network_builder(description, shape, 10)
    stream, x = torch.Generator(), torch.zeros(1, *shape)
    member, core = networks.members([stream]), networks.core(stream)
    head, features = networks.heads(1, stream), core(x)
    counted = [
        _flops(lambda: member(x)),
        _flops(lambda: core(x)),
        _flops(lambda: head(features)),
    ]
    products = forward_products(options_of(description), shape, 10)
    assert [2 * count for count in products] == counted


def test_the_estimate_of_a_cell_includes_its_teacher() -> None:
    """Five pieces of 2 minutes on two cores are three rounds, then a cell of 8 minutes."""
    chain = Chain(teacher=600, pieces=5, cell=480)
    assert wall_seconds(1080, [chain], 2) == 3 * 120 + 480
    assert wall_seconds(1080, [chain], 1) == 1080
    assert wall_seconds(10 * 1080, [chain] * 10, 2) == 5 * 1080
    assert wall_seconds(0, [], 2) == 0


def test_all_remaining_work_is_counted(
    cells: Plan, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(run_time, "_speed", lambda: 1e9)
    monkeypatch.setattr(run_time, "_efficiency", lambda products: 1.0)
    recipe = {"epochs": 7, "members": 3, "examples": 100}
    planned = cells("kd", "ensemble", "hydra+[heads=2]", datasets=["digits"], recipe=recipe)
    cache = Cache(tmp_path)
    member, core, head = run_time.network_products(planned[0].teacher)
    expected = (3 * member + core + head + core + 2 * head) * 2 * (3 * 7 * 100) / 1e9
    assert rough_seconds(planned, cache) == pytest.approx(expected)
    # Two seeds have two teachers.
    seeds = cells("kd", datasets=["digits"], recipe=recipe, seeds=[0, 1])
    assert rough_seconds(seeds, cache) == pytest.approx(2 * rough_seconds(seeds[:1], cache))


@pytest.mark.parametrize("heads", ["many", [2], 1.5, None])
def test_the_heads_parameter_of_a_plugin_may_have_any_value(
    cells: Plan, tmp_path: Path, heads: Any
) -> None:
    (cell,) = cells("hydra+")
    odd = replace(cell, parameters={**cell.parameters, "heads": heads})
    assert rough_seconds([odd], Cache(tmp_path)) > 0


def test_only_long_runs_are_announced(
    cells: Plan,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(beforehand, "rough_seconds", lambda cells, cache, jobs: 2 * 999.0 / jobs)
    for jobs, device in ((100, "cpu"), (2, "cuda:0"), (2, "cpu")):
        announce_duration(cells(), Cache(tmp_path), jobs, device)
    assert capsys.readouterr().err == (
        "this will take roughly 17 min with 2 at a time, by the operations of its networks; "
        "plan --estimate times them\n"
    )
