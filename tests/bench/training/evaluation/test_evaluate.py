"""The evaluation protocol: which metrics on which sets, with nothing fitted on test data."""

from __future__ import annotations

import functools
import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from scipy.special import log_softmax
from torch import Tensor, nn

from distillation_bench.bench.metrics.calibration import ece
from distillation_bench.bench.metrics.fidelity import robust_upper_end
from distillation_bench.bench.metrics.outcome import ClassOutcome
from distillation_bench.bench.metrics.registry import METRICS
from distillation_bench.bench.metrics.temperature_scaling import fit_temperature
from distillation_bench.bench.planning.cache_keys import DataPlan
from distillation_bench.bench.planning.evaluation_sources import EvaluationSources, OODSet
from distillation_bench.bench.planning.recipe import Recipe, recipe_for
from distillation_bench.bench.storage.cache import Cache
from distillation_bench.bench.training import data, data_preparation, student, teacher
from distillation_bench.bench.training.evaluation.evaluate import evaluate
from distillation_bench.bench.training.evaluation.outcomes import outcome_of
from distillation_bench.bench.training.hardware.compute import CPU
from distillation_bench.bench.training.student import StudentInputs
from distillation_bench.datasets import get
from distillation_bench.datasets.base import Dataset
from distillation_bench.methods import METHODS, Method, Setting
from distillation_bench.methods.networks import network_builder
from distillation_bench.methods.networks.families import describe
from distillation_bench.methods.tasks import TASKS


class UntrainedTeacher:
    """A dataset with an untrained teacher of three members."""

    def __init__(self, folder: Path, name: str) -> None:
        self.dataset: type[Dataset] = get(name)
        network = describe(self.dataset.network)
        self.recipe: Recipe = recipe_for(self.dataset.recipe, network, {"members": 3})
        groups = self.dataset.ood_groups.items()
        self.sources = EvaluationSources(tuple(OODSet(name, group) for name, group in groups))
        cache = Cache(folder)
        plan = DataPlan(name, 0, None, None, self.sources, "data", "sets")
        data_preparation.prepare_data(cache, plan, folder)
        self.data = data.load(cache, plan)
        self.networks = network_builder(network, self.dataset.shape, self.dataset.outputs)
        members = self.networks.members([torch.Generator().manual_seed(m) for m in range(3)])
        outputs = teacher.all_outputs(members, self.data, CPU)
        self.teacher = teacher.Teacher(outputs, members.state_dict())

    def method(self, name: str) -> Method:
        setting = Setting(
            task=TASKS[self.dataset.task],
            members=3,
            examples=self.data.examples,
            networks=self.networks,
            inputs=self.data.input_range,
            teacher=lambda: self.teacher.network(self.networks),
        )
        return METHODS[name](METHODS[name].Parameters(), setting)

    def student(self, name: str, epochs: int = 0) -> nn.Module:
        """Return a student of seed 0, trained for some epochs."""
        recipe = self.recipe.model_copy(update={"epochs": max(epochs, 1)})
        inputs = self.inputs(name, self.data, recipe)
        network = student.build(inputs)
        return student.train_student(network, inputs)[0] if epochs else network

    def inputs(self, name: str, prepared: data.PreparedData, recipe: Recipe) -> StudentInputs:
        return StudentInputs(
            method=self.method(name),
            data=prepared,
            teacher=self.teacher,
            recipe=recipe,
            seed=0,
            dataset=self.dataset.name,
        )

    def figures(
        self,
        name: str,
        prepared: data.PreparedData | None = None,
        sources: EvaluationSources | None = None,
        network: nn.Module | None = None,
    ) -> Any:
        """Return headline and entries of a student, by default an untrained one."""
        network = network or self.student(name)
        sources = self.sources if sources is None else sources
        inputs = self.inputs(name, prepared or self.data, self.recipe)
        return evaluate(network, inputs, sources)[:2]

    @functools.cache  # noqa: B019
    def plain(self, name: str) -> dict[tuple[str, str, int], dict[str, float]]:
        """Return the values of an untrained student, by set."""
        return by_set(self.figures(name)[1])


@pytest.fixture(scope="module")
def digits(tmp_path_factory: pytest.TempPathFactory) -> UntrainedTeacher:
    return UntrainedTeacher(tmp_path_factory.mktemp("digits"), "digits-0-7")


def by_set(entries: list[dict[str, Any]]) -> dict[tuple[str, str, int], dict[str, float]]:
    return {(e["set"], e["shift"], e["severity"]): e["values"] for e in entries}


def test_every_set_is_measured(digits: UntrainedTeacher) -> None:
    headline, entries = digits.figures("kd")
    values = by_set(entries)
    shifted = {("test", shift, level) for shift in digits.dataset.shifts for level in range(1, 6)}
    assert shifted | {("test", "", 0)} <= set(values)
    for name in ("ood:digits-8-9", "ood:patches", "ood", "ood-near", "ood-far"):
        scores = {f"ood_auroc:{score}" for score in ("total", "epistemic", "confidence")}
        assert scores <= set(values[name, "", 0])
    assert headline["accuracy"] == values["test", "", 0]["accuracy"]
    assert headline["ood_auroc"] == values["ood", "", 0]["ood_auroc:total"]
    assert "accuracy" not in values["ood:patches", "", 0]


def test_values_of_groups_are_unweighted_means_over_sets(digits: UntrainedTeacher) -> None:
    values = digits.plain("kd")
    parts = [values[f"ood:{name}", "", 0]["ood_fpr95:total"] for name in ("digits-8-9", "patches")]
    assert values["ood", "", 0]["ood_fpr95:total"] == pytest.approx(np.mean(parts), abs=1e-15)
    assert values["ood-near", "", 0]["ood_fpr95:total"] == parts[0]
    assert values["ood", "", 0]["sets"] == 2
    assert values["ood-near", "", 0]["sets"] == values["ood-far", "", 0]["sets"] == 1


def test_an_absent_set_is_recorded_and_counts_in_no_mean(digits: UntrainedTeacher) -> None:
    near, far = digits.sources.ood
    lost = OODSet("lost", "far", "lost", absent="no lost.bin in data")
    headline, entries = digits.figures("kd", sources=EvaluationSources((near, lost, far)))
    plain, expected = digits.figures("kd")
    assert headline == plain
    values = by_set(entries)
    assert values.pop(("ood:lost", "", 0)) == {"absent": 1.0}
    np.testing.assert_equal(values, by_set(expected))


def test_without_ood_sets_there_is_no_group(digits: UntrainedTeacher) -> None:
    fewer = replace(digits.data, sets=digits.data.sets[:1])
    headline, entries = digits.figures("kd", fewer, EvaluationSources())
    assert set(by_set(entries)) == {("test", "", 0)}
    assert math.isnan(headline["ood_auroc"])


@pytest.mark.parametrize("name", ["kd", "hydra", "endd"])
def test_values_do_not_depend_on_chunks_or_other_sets(
    digits: UntrainedTeacher, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Rows are independent of one another: neither chunks nor other sets are seen in a figure.

    In float64: the order of sums, which may differ, must not swap two ranks.
    """

    def exact(evaluation_set: data.EvaluationSet) -> data.EvaluationSet:
        return replace(evaluation_set, x=evaluation_set.x.double())

    sets = tuple(exact(evaluation_set) for evaluation_set in digits.data.sets[:3])
    few_sets = replace(digits.data, sets=sets, validation=exact(digits.data.validation))
    network, entries = digits.student(name, epochs=2).double(), []
    for size in (256, 10**6, 7):
        monkeypatch.setattr("distillation_bench.bench.training.teacher.CHUNK", size)
        entries.append(by_set(digits.figures(name, few_sets, EvaluationSources(), network)[1]))
    chunked, *in_other_chunks = entries
    for values in in_other_chunks:
        assert values.keys() == chunked.keys()
        for key, figures in chunked.items():
            assert values[key] == pytest.approx(figures, rel=1e-9, abs=1e-9, nan_ok=True)


@pytest.mark.parametrize("scale, at_bound", [(1.0, False), (1e-9, True), (0.0, False)])
def test_a_temperature_at_a_bound_is_used_and_flagged(
    digits: UntrainedTeacher, scale: float, at_bound: bool
) -> None:
    """Correct classes with very low confidence need a low T; without any effect T is 1."""
    y = digits.data.validation.y
    assert y is not None
    noise = torch.randn(len(y), 8, generator=torch.Generator().manual_seed(0))
    outputs = scale * (torch.nn.functional.one_hot(y, 8) + 0.5 * noise)
    prediction = TASKS["classification"].prediction(outputs[None])
    fitted = outcome_of(prediction, digits.data.validation)
    assert isinstance(fitted, ClassOutcome)
    fitted = replace(fitted, temperature=fit_temperature(fitted.log_mean, fitted.targets))
    names = ("temperature", "temperature_at_bound", "nll_tempered", "ece_tempered")
    values = (METRICS[name].function(fitted) for name in names)
    temperature, flag, tempered, error = (value or 0.0 for value in values)
    assert (temperature, flag) == (fitted.temperature, float(at_bound))
    assert temperature == 0.05 if at_bound else 0.05 < temperature < 20
    log_p = log_softmax(fitted.log_mean / temperature, axis=1)
    right = log_p.argmax(1) == y.numpy()
    assert tempered == pytest.approx(-log_p[np.arange(len(y)), y].mean(), rel=1e-12)
    assert error == pytest.approx(ece(np.exp(log_p), y.numpy()), abs=1e-12)
    assert right.mean() == METRICS["accuracy"].function(fitted)


def test_the_calibration_error_of_the_paper_has_ten_bins(digits: UntrainedTeacher) -> None:
    y = digits.data.validation.y
    assert y is not None
    outputs = torch.randn(1, len(y), 8, generator=torch.Generator().manual_seed(3))
    outcome = outcome_of(TASKS["classification"].prediction(outputs), digits.data.validation)
    assert isinstance(outcome, ClassOutcome)
    for name, bins in (("ece_10", 10), ("ece", 15)):
        assert METRICS[name].function(outcome) == ece(outcome.probabilities, y.numpy(), bins)
    values = digits.plain("kd")
    assert {"ece_10", "ece"} <= values["test", "", 0].keys() & values["test", "rotation", 3].keys()


def test_the_bounds_of_the_histograms_are_recorded(digits: UntrainedTeacher) -> None:
    """ln C in 50 bins."""
    figures = digits.plain("kd")["test", "", 0]
    for name in ("total", "aleatoric", "epistemic"):
        assert figures[f"teacher_tv_{name}_bin"] == pytest.approx(math.log(8) / 50)


def test_epistemic_uncertainty_is_corrected_for_the_number_of_samples(
    digits: UntrainedTeacher,
) -> None:
    for name, factor in (("kd", 1.0), ("hydra", 3 / 2), ("mc-dropout", 3 / 2), ("endd", 1.0)):
        figures = digits.plain(name)["test", "", 0]
        assert figures["epistemic_unbiased"] == pytest.approx(factor * figures["epistemic"])


def test_the_teachers_fidelity_to_itself_is_perfect(digits: UntrainedTeacher) -> None:
    for (name, _, _), figures in digits.plain("ensemble").items():
        if name == "test" or name.startswith("ood:"):
            assert figures["teacher_kl"] == pytest.approx(0, abs=1e-12)
            assert figures["teacher_tv_epistemic"] == 0
            assert figures["teacher_agreement"] == 1
            assert figures["teacher_spearman"] == pytest.approx(1)


def test_the_teachers_own_detection_is_in_each_cell(digits: UntrainedTeacher) -> None:
    own, students = digits.plain("ensemble"), digits.plain("kd")
    for name in ("ood:patches", "ood:digits-8-9", "ood", "ood-near"):
        for score in ("total", "epistemic", "confidence"):
            expected = own[name, "", 0][f"ood_auroc:{score}"]
            assert students[name, "", 0][f"teacher_ood_auroc:{score}"] == expected
    assert "teacher_ood_auroc:total" not in students["test", "", 0]
    assert "teacher_ood_auroc" not in digits.figures("kd")[0]


def test_fidelity_is_measured_on_every_ood_set(digits: UntrainedTeacher) -> None:
    for name in ("test", "ood:patches", "ood:digits-8-9"):
        assert math.isfinite(digits.plain("hydra")[name, "", 0]["teacher_spearman"])


@pytest.mark.parametrize("name", ["hydra", "mc-dropout", "gauss", "ensemble", "kd"])
def test_passes_on_the_canvas_are_functions(tmp_path: Path, name: str) -> None:
    sine = UntrainedTeacher(tmp_path, "sine")
    canvas = sine.data.canvas
    assert canvas is not None and canvas.y is not None
    # Every input twice: noise that is drawn for each input would differ.
    doubled = replace(canvas, x=canvas.x[:100].repeat(2, 1), y=canvas.y[:100].repeat(2))
    prepared = replace(sine.data, canvas=doubled)
    outputs = {"canvas": sine.teacher.outputs["canvas"][:, :100].repeat(1, 2, 1)}
    known = replace(sine.teacher, outputs={**sine.teacher.outputs, **outputs})
    inputs = replace(sine.inputs(name, prepared, sine.recipe), teacher=known)
    passes = evaluate(sine.student(name), inputs, sine.sources)[2]["canvas/passes"]
    count = {"kd": 1, "mc-dropout": 10, "gauss": 10}.get(name, 3)
    assert passes.shape == (count, 200)
    np.testing.assert_allclose(passes[:, :100], passes[:, 100:], rtol=1e-5, atol=1e-5)
    if count > 1:
        assert passes.std(0).min() > 0


def test_a_point_prediction_has_no_epistemic_uncertainty(digits: UntrainedTeacher) -> None:
    values = digits.plain("kd")
    assert values["test", "", 0]["epistemic"] == 0
    single = {"disagreement", "pairwise_kl", "teacher_spearman"}
    assert not single & {name for of_set in values.values() for name in of_set}
    assert single <= {*digits.plain("hydra")["test", "", 0]}
    assert values["ood:patches", "", 0]["ood_auroc:epistemic"] == 0.5


def test_the_temperature_is_fitted_on_validation_alone(digits: UntrainedTeacher) -> None:
    def relabelled(targets: Tensor | None) -> Tensor:
        assert targets is not None
        return (targets + 1) % digits.dataset.outputs

    network = digits.student("kd", epochs=10)
    test, shifted = digits.data.sets[:2]
    assert (test.key, shifted.shift) == ("test", "horizontal-shift")
    few = replace(digits.data, sets=(test, shifted))

    def calibrated(prepared: data.PreparedData) -> float:
        # The tempered NLL of a set with unchanged labels reveals the temperature.
        entries = by_set(digits.figures("kd", prepared, EvaluationSources(), network)[1])
        figures = entries["test", shifted.shift, shifted.severity]
        assert 0.05 < figures["temperature"] < 20
        return figures["nll_tempered"]

    plain = calibrated(few)
    assert calibrated(replace(few, sets=(replace(test, y=relabelled(test.y)), shifted))) == plain
    held_out = digits.data.validation
    rows = torch.arange(len(held_out.x)) % 4 == 0
    mixed = torch.where(rows, relabelled(held_out.y), held_out.y)  # type: ignore[arg-type]
    assert calibrated(replace(few, validation=replace(held_out, y=mixed))) != plain


def test_an_additional_set_changes_no_other_value(digits: UntrainedTeacher) -> None:
    fewer = replace(digits.data, sets=digits.data.sets[:4])
    full = digits.plain("mc-dropout")
    part = by_set(digits.figures("mc-dropout", fewer, EvaluationSources())[1])
    for key in part:
        if key[0] == "test":
            np.testing.assert_equal(part[key], full[key])


def test_regression_has_its_own_metrics(tmp_path: Path) -> None:
    headline, entries = UntrainedTeacher(tmp_path, "sine").figures("hydra")
    assert {"nll", "rmse", "crps", "ood_auroc", "teacher_kl"} <= set(headline)
    assert {"coverage50", "coverage90", "coverage95", "mae"} <= set(by_set(entries)["test", "", 0])
    assert not {"accuracy", "ece"} & set(headline)


def test_a_member_with_huge_variance_is_counted_and_moves_no_bins(tmp_path: Path) -> None:
    sine = UntrainedTeacher(tmp_path, "sine")
    headline, entries = sine.figures("kd")
    assert headline["variance_capped"] == headline["teacher_variance_capped"] == 0
    before = by_set(entries)["test", "", 0]["teacher_tv_total_bin"]
    # The first member's variance leaves all bounds on 400 of 1,000 test inputs, and on 2 of the
    # OOD set it vanishes.
    sine.teacher.outputs["test"][0, :400, 1] = 60.0
    sine.teacher.outputs["ood:outside"][0, :2, 1] = -60.0
    headline, entries = sine.figures("kd")
    values = by_set(entries)
    assert values["test", "", 0]["teacher_variance_capped"] == pytest.approx(400 / 3000)
    assert values["ood:outside", "", 0]["teacher_variance_capped"] == pytest.approx(2 / 3000)
    assert headline["teacher_variance_capped"] == values["test", "", 0]["teacher_variance_capped"]
    assert headline["variance_capped"] == 0
    means, log_variances = sine.teacher.outputs["test"].double().unbind(-1)
    variances = log_variances.clamp(-15, 15).exp()
    total = (variances.median(0).values + means.var(0, correction=0)).numpy()
    width = values["test", "", 0]["teacher_tv_total_bin"]
    assert width == pytest.approx(robust_upper_end(total) / 50, rel=1e-4)
    assert 0.5 * before < width < 2 * before
    assert variances.mean(0).max() > 1e6
    # The row of the teacher reports it, too.
    assert sine.figures("ensemble")[0]["variance_capped"] == headline["teacher_variance_capped"]
