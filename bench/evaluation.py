"""The protocol: the same sets, metrics and random streams for every method."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from bench.data import EvaluationSet, Prepared
from bench.metrics.classification import fit_temperature
from bench.metrics.outcome import Array, ClassOutcome, Outcome, ValueOutcome
from bench.metrics.registry import METRICS, Kind, Metric
from bench.randomness import torch_stream
from bench.teacher import CHUNK, Teacher
from datasets.base import Dataset
from methods.base import Method
from methods.predictions import Categorical, GaussianMixture, Prediction

Figures = dict[str, float]
SetFigures = dict[str, Any]


def evaluate(
    method: Method,
    student: nn.Module,
    data: Prepared,
    teacher: Teacher,
    dataset: type[Dataset],
    seed: int,
) -> tuple[Figures, list[SetFigures]]:
    """All figures of one student.

    Returns:
        The headline figures, and one entry per evaluation set: `set`, `shift`, `severity` and
        `figures` by metric or "metric:score".
    """
    outcomes = _outcomes(method, student, data, dataset.name, seed)
    test = outcomes["test"]
    entries = []
    for each in data.sets:
        outcome = outcomes[each.key]
        reference = outcome_of(method.task.prediction(teacher.outputs[each.key]), each)
        figures = _set_figures(outcome, reference, test, dataset.task, each)
        entries.append(_entry(each.name, each.shift, each.severity, figures))
    entries += _group_entries(entries, dataset)
    return _headline(entries, dataset.task), entries


@torch.no_grad()
def predict(method: Method, student: nn.Module, x: Tensor, stream: torch.Generator) -> Prediction:
    """The prediction on x [N, ...], in chunks of fixed size."""
    outputs = [method.forward(student, chunk, stream) for chunk in torch.split(x, CHUNK)]
    return method.predict(torch.cat(outputs, dim=1))


def _outcomes(
    method: Method, student: nn.Module, data: Prepared, dataset: str, seed: int
) -> dict[str, Outcome]:
    def outcome(each: EvaluationSet, temperature: float) -> Outcome:
        stream = torch_stream(seed, dataset, "evaluation", each.key)
        return outcome_of(predict(method, student, each.x, stream), each, temperature)

    validation = outcome(data.validation, 1.0)
    temperature = 1.0
    if isinstance(validation, ClassOutcome):
        temperature = fit_temperature(validation.log_mean, validation.targets)
    return {each.key: outcome(each, temperature) for each in data.sets}


def outcome_of(prediction: Prediction, each: EvaluationSet, temperature: float = 1.0) -> Outcome:
    """The prediction as arrays."""

    def array(tensor: Tensor | None) -> Any:
        return None if tensor is None else tensor.cpu().numpy()

    common = {
        "total": array(prediction.total),
        "aleatoric": array(prediction.aleatoric),
        "epistemic": array(prediction.epistemic),
        "scores": {name: array(score) for name, score in prediction.scores.items()},
        "targets": array(each.y),
        "log_likelihood": None if each.y is None else array(prediction.log_prob(each.y)),
    }
    if isinstance(prediction, Categorical):
        log_members = array(prediction.log_members)
        return ClassOutcome(
            **common,
            log_mean=array(prediction.log_mean),
            log_members=log_members,
            temperature=temperature,
        )
    assert isinstance(prediction, GaussianMixture)
    return ValueOutcome(
        **common, means=array(prediction.means), variances=array(prediction.variances)
    )


def _metrics(kind: Kind, task: str) -> Iterator[Metric]:
    return (each for each in METRICS.values() if each.kind == kind and each.applies(task))


def _set_figures(
    outcome: Outcome, reference: Outcome, test: Outcome, task: str, each: EvaluationSet
) -> Figures:
    figures = {m.name: m.function(outcome) for m in _metrics("unlabelled", task)}
    figures |= {m.name: m.function(outcome, reference) for m in _metrics("fidelity", task)}
    if outcome.targets is not None:
        figures |= {m.name: m.function(outcome) for m in _metrics("labelled", task)}
    if each.name != "test":
        inside, outside = ood_scores(test), ood_scores(outcome)
        for metric in _metrics("ood", task):
            for score in inside:
                value = metric.function(inside[score], outside[score])
                figures[f"{metric.name}:{score}"] = value
    return {name: float(value) for name, value in figures.items()}


def ood_scores(outcome: Outcome) -> Mapping[str, Array]:
    """Scores that are high for unfamiliar inputs; total and epistemic for every prediction."""
    scores = {"total": outcome.total, "epistemic": outcome.epistemic, **outcome.scores}
    if isinstance(outcome, ClassOutcome):
        scores["confidence"] = 1 - np.exp(outcome.log_mean.max(1))
    return scores


def _entry(name: str, shift: str, severity: int, figures: Figures) -> SetFigures:
    return {"set": name, "shift": shift, "severity": severity, "figures": figures}


def _group_entries(entries: list[SetFigures], dataset: type[Dataset]) -> list[SetFigures]:
    """Unweighted means of the OOD figures over all OOD sets, and over the near and far ones."""
    by_set = {e["set"]: e["figures"] for e in entries if e["set"].startswith("ood:")}
    groups = {"ood": list(by_set)}
    for name in by_set:
        group = f"ood-{dataset.ood_groups[name.removeprefix('ood:')]}"
        groups.setdefault(group, []).append(name)
    metrics = {metric.name for metric in _metrics("ood", dataset.task)}
    result = []
    for group, names in sorted(groups.items()):
        keys = (
            [key for key in by_set[names[0]] if key.partition(":")[0] in metrics] if names else []
        )
        means = {key: float(np.mean([by_set[name][key] for name in names])) for key in keys}
        if means:
            result.append(_entry(group, "", 0, means))
    return result


def _headline(entries: list[SetFigures], task: str) -> Figures:
    """Each headline metric on the test set; OOD detection over all OOD sets, by total."""
    plain = {e["set"]: e["figures"] for e in entries if not e["shift"]}
    headline = {}
    for metric in METRICS.values():
        if metric.headline and metric.applies(task):
            if metric.kind == "ood":
                headline[metric.name] = plain.get("ood", {}).get(f"{metric.name}:total", np.nan)
            else:
                headline[metric.name] = plain["test"][metric.name]
    return headline
