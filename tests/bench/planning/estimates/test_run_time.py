from __future__ import annotations

import math
from collections.abc import Callable, Sequence
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
from distillation_bench.methods.networks.families import options_of
from distillation_bench.methods.networks.options import MLPOptions

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
    assert products is not None
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
    products = run_time.network_products(planned[0].teacher)
    assert products is not None
    member, core, head = products
    expected = (3 * member + core + head + core + 2 * head) * 2 * (3 * 7 * 100) / 1e9
    assert rough_seconds(planned, cache) == pytest.approx(expected)
    # Two seeds have two teachers.
    seeds = cells("kd", datasets=["digits"], recipe=recipe, seeds=[0, 1])
    one_seed = rough_seconds(seeds[:1], cache)
    assert one_seed is not None
    assert rough_seconds(seeds, cache) == pytest.approx(2 * one_seed)


@pytest.mark.parametrize("heads", ["many", [2], 1.5, None])
def test_the_heads_parameter_of_a_plugin_may_have_any_value(
    cells: Plan, tmp_path: Path, heads: Any
) -> None:
    (cell,) = cells("hydra+")
    odd = replace(cell, parameters={**cell.parameters, "heads": heads})
    seconds = rough_seconds([odd], Cache(tmp_path))
    assert seconds is not None and seconds > 0


class _Wide(MLPOptions):
    """Options of another network than those that they are derived from."""

    family = "wide"


class _Counted(_Wide):
    def products(self, shape: Sequence[int], outputs: int) -> tuple[int, int, int]:
        return 100 * math.prod(shape), 7, 10 * outputs


def test_networks_of_plugins_may_say_their_products() -> None:
    values: dict[str, Any] = {"member": [5], "core": [5], "head": [5]}
    assert forward_products(_Counted(**values), (2, 3), 4) == (600, 7, 40)
    assert forward_products(_Wide(**values), (2, 3), 4) is None


def test_nothing_is_announced_of_networks_of_unknown_size(
    cells: Plan, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(run_time, "forward_products", lambda *_: None)
    assert rough_seconds(cells(), Cache(tmp_path)) is None
    announce_duration(cells(), Cache(tmp_path), 1, "cpu")
    assert capsys.readouterr().err == ""


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
