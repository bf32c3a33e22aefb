from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import pytest
import torch
from tests.bench.training.plain_training import (
    networks_for,
    prepared,
    recipe,
    student_inputs,
)
from torch import Generator

from distillation_bench.bench.training.student import build, train_student
from distillation_bench.bench.training.teacher import Teacher
from distillation_bench.methods import Batch, Examples, Setting
from distillation_bench.methods.latent_be import LatentBE
from distillation_bench.methods.networks.batch_ensemble import BatchEnsemble, merge
from distillation_bench.methods.perturbations import Perturbation, perturbed
from distillation_bench.methods.tasks import TASKS

MakeSetting = Callable[..., Setting]
MakeBatch = Callable[..., Batch]

BOTH = pytest.mark.parametrize("task", ["classification", "regression"])
PERTURBATIONS: list[Perturbation] = ["none", "gaussian", "ods", "conf-ods", "tdiv-sdiv"]


def stream(seed: int = 4) -> Generator:
    return Generator().manual_seed(seed)


@BOTH
@pytest.mark.parametrize("heads", [None, 2, 5])
@pytest.mark.parametrize("perturbation", PERTURBATIONS)
def test_labels_and_members_are_learnt_at_perturbed_inputs(
    task: str,
    heads: int | None,
    perturbation: Perturbation,
    setting: MakeSetting,
    batch: MakeBatch,
    plain: Mapping[str, Any],
    generator: Generator,
) -> None:
    where = setting(task)
    parameters = LatentBE.Parameters(
        heads=heads,
        a=0.7,
        temperature=3.0,
        perturbation=perturbation,
        step=0.1,
        spread=0.5,
        pull=0.2,
    )
    method = LatentBE(parameters, where)
    student = method.build(generator)
    assert isinstance(student, BatchEnsemble)
    data = batch(where, student)
    x, taught = perturbed(perturbation, replace(data, generator=stream()), where, 0.1, 3.0)
    outputs = student(x)
    count = heads or where.members
    assert outputs.shape == (count, 7, where.networks.outputs)
    loops = plain[task]
    squares = [(1 - v) ** 2 for factor in student.factors() for v in factor.flatten().tolist()]
    expected = {
        "correctness": 0.3 * loops.correctness(outputs, data.y),
        "individuality": 0.7 * loops.individuality(outputs, taught, 3.0),
        "deviation": 0.2 * 0.5 * sum(squares) / count,
    }
    now = method.parameters.at(0, 10)
    weights = method.weights(now)
    terms = method.step(replace(data, generator=stream()), now)
    actual = {name: weights[name] * term.item() for name, term in terms.items()}
    assert actual == pytest.approx(expected, rel=1e-9)


def test_members_start_equal_and_their_factors_are_pulled_to_one_instead_of_zero(
    setting: MakeSetting, generator: Generator
) -> None:
    method = LatentBE(LatentBE.Parameters(), setting(head=[6]))
    student = method.build(generator)
    assert isinstance(student, BatchEnsemble)
    assert student.deviation() == 0
    (group,) = method.groups(student)
    assert (group.rate, group.decay) == (1, 0)
    assert set(map(id, group.parameters)) == set(map(id, student.factors()))


@BOTH
def test_the_student_is_the_merged_network(
    task: str, setting: MakeSetting, batch: MakeBatch, generator: Generator
) -> None:
    """In training its loss on the validation split is that of the merged network, too."""
    where = setting(task)
    method = LatentBE(LatentBE.Parameters(spread=0.5), where)
    student = method.build(generator)
    data = batch(where, student)
    assert isinstance(student, BatchEnsemble)
    finished = method.finish(student, Examples(data.x, data.y, data.teacher))
    kd = where.networks.network(generator)
    assert [p.shape for p in finished.parameters()] == [p.shape for p in kd.parameters()]
    with torch.no_grad():
        during, after = (method.infer(n, data.x, generator) for n in (student, finished))
        assert torch.equal(during, after)
        assert torch.equal(after[0], merge(student)(data.x))
        assert not torch.allclose(after[0], student(data.x).mean(0))
        assert (method.predict(after).epistemic == 0).all()


def test_the_epoch_is_selected_by_the_merged_network() -> None:
    networks = networks_for("classification")
    data = prepared("classification", 12)
    teacher = networks.members([stream(m) for m in range(3)]).eval()
    setting = Setting(TASKS["classification"], 3, 12, networks, data.input_range, lambda: teacher)
    with torch.no_grad():
        outputs = {"train": teacher(data.train[0]), "validation": teacher(data.validation.x)}
    method = LatentBE(LatentBE.Parameters(spread=0.5), setting)
    values = recipe(epochs=8, select="validation", learning_rate=0.3)
    inputs = student_inputs(method, data, Teacher(outputs, {}), values)
    network, history = train_student(build(inputs), inputs)
    losses = [row["validation_nll"] for row in history]
    with torch.no_grad():
        prediction = method.predict(method.infer(network, data.validation.x, stream()))
    assert data.validation.y is not None
    nll = -prediction.log_prob(data.validation.y).mean().item()
    assert nll == pytest.approx(min(losses), rel=1e-6)
    assert losses[-1] != min(losses)
