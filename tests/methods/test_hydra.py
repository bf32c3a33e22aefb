from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import pytest
import torch
from torch import nn

from distillation_bench.methods import Batch, Setting
from distillation_bench.methods.hydra import Hydra
from distillation_bench.methods.networks.heads import CoreAndHeads

MakeSetting = Callable[..., Setting]
MakeBatch = Callable[..., Batch]


def terms(method: Hydra, network: nn.Module, data: Batch) -> dict[str, float]:
    outputs = method.forward(network, data.x, torch.Generator())
    losses = method.loss(outputs, data, method.parameters.at(0, 10))
    return {name: term.item() for name, term in losses.items()}


@pytest.mark.parametrize("task", ["classification", "regression"])
@pytest.mark.parametrize("heads", [None, 2, 5])
def test_heads_learn_their_members(
    task: str,
    heads: int | None,
    setting: MakeSetting,
    batch: MakeBatch,
    plain: Mapping[str, Any],
    generator: torch.Generator,
) -> None:
    where = setting(task)
    method = Hydra(Hydra.Parameters(heads=heads, temperature=3.0), where)
    student = method.build(generator)
    data = batch(where, student)
    outputs = student(data.x)
    assert len(outputs) == (heads or where.members)
    expected = plain[task].individuality(outputs, data.teacher, 3.0)
    assert terms(method, student, data) == pytest.approx({"individuality": expected}, rel=1e-11)


@pytest.mark.parametrize("task", ["classification", "regression"])
def test_the_hinton_head_learns_the_mean_and_shapes_the_core_alone(
    task: str,
    setting: MakeSetting,
    batch: MakeBatch,
    plain: Mapping[str, Any],
    generator: torch.Generator,
) -> None:
    where = setting(task)
    method = Hydra(Hydra.Parameters(temperature=3.0, first=0.3), where)
    student = method.build(generator)
    first, second = method.stages(student, generator)
    assert isinstance(student, CoreAndHeads) and isinstance(first.network, CoreAndHeads)
    assert (first.share, second.share) == pytest.approx((0.3, 0.7))
    assert second.network is student
    assert first.network.core is student.core
    trained = {id(parameter) for parameter in first.network.parameters()}
    assert not trained & {id(parameter) for parameter in student.heads.parameters()}

    data = batch(where, first.network, first.name)
    outputs = first.network(data.x)
    assert len(outputs) == 1
    expected = plain[task].aggregation(outputs, data.teacher, 3.0)
    assert terms(method, first.network, data) == pytest.approx({"aggregation": expected}, rel=1e-11)


def test_one_phase_has_no_hinton_head(setting: MakeSetting, generator: torch.Generator) -> None:
    method = Hydra(Hydra.Parameters(phases=1), setting())
    student = method.build(generator)
    (stage,) = method.stages(student, generator)
    assert (stage.network, stage.share) == (student, 1.0)


def test_heads_start_with_different_weights(
    setting: MakeSetting, generator: torch.Generator
) -> None:
    student = Hydra(Hydra.Parameters(), setting(head=[6])).build(generator)
    assert isinstance(student, CoreAndHeads)
    for parameter in student.heads.parameters():
        assert len({tuple(head.flatten().tolist()) for head in parameter}) == 3
