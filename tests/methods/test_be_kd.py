from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Generator, Tensor

from distillation_bench.methods import Batch, Method, Setting
from distillation_bench.methods.be_kd import BEKD
from distillation_bench.methods.networks.batch_ensemble import BatchEnsemble
from distillation_bench.methods.perturbations import Perturbation, perturbed

MakeSetting = Callable[..., Setting]
MakeBatch = Callable[..., Batch]

BOTH = pytest.mark.parametrize("task", ["classification", "regression"])
PERTURBATIONS: list[Perturbation] = ["none", "gaussian", "ods", "conf-ods", "tdiv-sdiv"]


def stream(seed: int = 4) -> Generator:
    return Generator().manual_seed(seed)


def weighted(method: Method, data: Batch) -> dict[str, float]:
    """Each term times its weight, as the engine adds them up."""
    now = method.parameters.at(0, 10)
    weights = method.weights(now)
    terms = method.step(replace(data, generator=stream()), now)
    return {name: weights.get(name, 1.0) * term.item() for name, term in terms.items()}


@BOTH
@pytest.mark.parametrize("heads", [None, 2, 5])
@pytest.mark.parametrize("perturbation", PERTURBATIONS)
def test_labels_are_learnt_at_clean_inputs_and_members_at_perturbed_ones(
    task: str,
    heads: int | None,
    perturbation: Perturbation,
    setting: MakeSetting,
    batch: MakeBatch,
    plain: Mapping[str, Any],
    generator: Generator,
) -> None:
    where = setting(task)
    parameters = BEKD.Parameters(
        heads=heads, a=0.7, temperature=3.0, perturbation=perturbation, step=0.1
    )
    method = BEKD(parameters, where)
    student = method.build(generator)
    data = batch(where, student)
    x, taught = perturbed(perturbation, replace(data, generator=stream()), where, 0.1, 3.0)
    outputs = student(x)
    assert outputs.shape == (heads or where.members, 7, where.networks.outputs)
    loops = plain[task]
    expected = {
        "correctness": 0.3 * loops.correctness(student(data.x), data.y),
        "individuality": 0.7 * loops.individuality(outputs, taught, 3.0),
    }
    assert weighted(method, data) == pytest.approx(expected, rel=1e-9)
    moved = expected["individuality"] != pytest.approx(
        0.7 * loops.individuality(student(data.x), data.teacher, 3.0), rel=1e-3
    )
    assert moved == (perturbation != "none")


@BOTH
def test_one_equal_member_is_a_plain_network(
    task: str,
    setting: MakeSetting,
    batch: MakeBatch,
    plain: Mapping[str, Any],
    generator: Generator,
) -> None:
    """The mean of KL(member ‖ network) over all members."""
    where = setting(task)
    parameters = BEKD.Parameters(heads=1, a=1.0, perturbation="none", spread=0.0)
    method = BEKD(parameters, where)
    state = generator.get_state()
    student = method.build(generator)
    network = where.networks.network(generator.set_state(state)).double()
    data = batch(where, student)
    outputs = network(data.x)[None]
    torch.testing.assert_close(student(data.x), outputs, rtol=0, atol=1e-12)
    expected = {
        "correctness": 0,
        "individuality": plain[task].individuality(outputs, data.teacher, 4),
    }
    assert weighted(method, data) == pytest.approx(expected, rel=1e-9)


def test_factors_learn_at_half_the_rate_and_are_not_decayed(
    setting: MakeSetting, generator: Generator
) -> None:
    method = BEKD(BEKD.Parameters(), setting(head=[6]))
    student = method.build(generator)
    (group,) = method.groups(student)
    assert (group.rate, group.decay) == (0.5, 0)
    grouped = {id(parameter) for parameter in group.parameters}
    names = {name.split(".")[-1] for name, p in student.named_parameters() if id(p) in grouped}
    others = {name.split(".")[-1] for name, p in student.named_parameters() if id(p) not in grouped}
    assert (names, others) == ({"r", "s"}, {"weight", "bias"})


def test_members_start_apart_as_the_parameters_say(setting: MakeSetting) -> None:
    def factors(**values: Any) -> Tensor:
        student = BEKD(BEKD.Parameters(**values), setting()).build(stream())
        assert isinstance(student, BatchEnsemble)
        return torch.cat([factor.detach().flatten() for factor in student.factors()])

    assert 0.3 < factors().std().item() < 0.7
    assert (factors(spread=0.0) == 1).all()
    assert set(factors(spread=0.0, signs=True).tolist()) == {-1, 1}


@BOTH
def test_the_prediction_is_the_mixture_of_the_members(
    task: str, setting: MakeSetting, batch: MakeBatch, generator: Generator
) -> None:
    where = setting(task)
    method = BEKD(BEKD.Parameters(), where)
    student = method.build(generator)
    data = batch(where, student)
    with torch.no_grad():
        prediction = method.predict(method.infer(student, data.x, generator))
        members = [where.task.prediction(output[None]).mean for output in student(data.x)]
    torch.testing.assert_close(prediction.mean, torch.stack(members).mean(0))
    assert prediction.epistemic.min() > 0
