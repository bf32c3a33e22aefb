"""The protocol: what is measured on which set, and what never touches the test split."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from bench import data, student, teacher
from bench.cache import Cache
from bench.evaluation import evaluate
from bench.recipe import Recipe, recipe_for
from datasets import get
from datasets.base import Dataset
from methods import METHODS, Method, Setting
from methods.networks import build_networks
from methods.tasks import TASKS


class Bed:
    """A dataset with an untrained teacher of three members."""

    def __init__(self, folder: Path, name: str) -> None:
        self.dataset: type[Dataset] = get(name)
        self.recipe: Recipe = recipe_for(self.dataset.recipe, self.dataset.network, {"members": 3})
        cache = Cache(folder)
        data.prepare(cache, "data", name, 0)
        self.data = data.load(cache, "data")
        self.networks = build_networks(
            self.recipe.network, self.dataset.inputs, self.dataset.outputs
        )
        streams = [torch.Generator().manual_seed(m) for m in range(3)]
        weights = {k: v.numpy() for k, v in self.networks.members(streams).state_dict().items()}
        teacher.save(cache, "teacher", weights, self.data, self.networks, {})
        self.teacher = teacher.load(cache, "teacher")

    def method(self, name: str) -> Method:
        setting = Setting(
            task=TASKS[self.dataset.task],
            members=3,
            examples=self.data.examples,
            networks=self.networks,
            teacher=lambda: self.teacher.network(self.networks),
        )
        return METHODS[name](METHODS[name].Parameters(), setting)

    def figures(self, name: str, prepared: data.Prepared | None = None) -> Any:
        method = self.method(name)
        network = student.build(method, 0, self.dataset.name)
        return evaluate(method, network, prepared or self.data, self.teacher, self.dataset, 0)


@pytest.fixture(scope="module")
def digits(tmp_path_factory: pytest.TempPathFactory) -> Bed:
    return Bed(tmp_path_factory.mktemp("digits"), "digits-0-7")


def by_set(entries: list[dict[str, Any]]) -> dict[tuple[str, str, int], dict[str, float]]:
    return {(e["set"], e["shift"], e["severity"]): e["figures"] for e in entries}


def test_every_set_is_measured(digits: Bed) -> None:
    headline, entries = digits.figures("kd")
    found = by_set(entries)
    shifted = {("test", shift, level) for shift in digits.dataset.shifts for level in range(1, 6)}
    assert shifted | {("test", "", 0)} <= set(found)
    for name in ("ood:digits-8-9", "ood:patches", "ood", "ood-near", "ood-far"):
        scores = {f"ood_auroc:{score}" for score in ("total", "epistemic", "confidence")}
        assert scores <= set(found[name, "", 0])
    assert headline["accuracy"] == found["test", "", 0]["accuracy"]
    assert headline["ood_auroc"] == found["ood", "", 0]["ood_auroc:total"]
    assert "accuracy" not in found["ood:patches", "", 0]


def test_group_figures_are_unweighted_means(digits: Bed) -> None:
    found = by_set(digits.figures("kd")[1])
    parts = [found[f"ood:{name}", "", 0]["ood_fpr95:total"] for name in ("digits-8-9", "patches")]
    assert found["ood", "", 0]["ood_fpr95:total"] == pytest.approx(np.mean(parts), abs=1e-15)
    assert found["ood-near", "", 0]["ood_fpr95:total"] == parts[0]


def test_the_teachers_fidelity_to_itself_is_perfect(digits: Bed) -> None:
    for (name, _, _), figures in by_set(digits.figures("ensemble")[1]).items():
        if name == "test" or name.startswith("ood:"):
            assert figures["teacher_kl"] == pytest.approx(0, abs=1e-12)
            assert figures["teacher_tv_epistemic"] == 0
            assert figures["teacher_agreement"] == 1
            assert figures["teacher_spearman"] == pytest.approx(1)


def test_a_point_prediction_has_no_epistemic_uncertainty(digits: Bed) -> None:
    found = by_set(digits.figures("kd")[1])
    assert found["test", "", 0]["epistemic"] == 0
    assert math.isnan(found["test", "", 0]["disagreement"])
    assert found["ood:patches", "", 0]["ood_auroc:epistemic"] == 0.5


def test_the_temperature_is_fitted_on_validation_alone(digits: Bed) -> None:
    def relabelled(targets: Tensor | None) -> Tensor:
        assert targets is not None
        return (targets + 1) % digits.dataset.outputs

    def calibrated(prepared: data.Prepared) -> float:
        # The tempered NLL of a set whose labels stay tells the temperature.
        entries = by_set(digits.figures("kd", prepared)[1])
        return entries["test", "rotation", 1]["nll_tempered"]

    plain = calibrated(digits.data)
    sets = [
        replace(each, y=relabelled(each.y)) if each.key == "test" else each
        for each in digits.data.sets
    ]
    assert calibrated(replace(digits.data, sets=tuple(sets))) == plain
    held_out = replace(digits.data.validation, y=relabelled(digits.data.validation.y))
    assert calibrated(replace(digits.data, validation=held_out)) != plain


def test_a_set_more_changes_no_other_figure(digits: Bed) -> None:
    fewer = replace(digits.data, sets=digits.data.sets[:4])
    full, part = by_set(digits.figures("mc-dropout")[1]), None
    part = by_set(digits.figures("mc-dropout", fewer)[1])
    for key in part:
        if key[0] == "test":
            assert part[key] == full[key]


def test_regression_has_its_own_figures(tmp_path: Path) -> None:
    headline, entries = Bed(tmp_path, "sine").figures("hydra")
    assert {"nll", "rmse", "crps", "ood_auroc", "teacher_kl"} <= set(headline)
    assert {"coverage50", "coverage90", "coverage95", "mae"} <= set(by_set(entries)["test", "", 0])
    assert not {"accuracy", "ece"} & set(headline)
