"""The protocol: the same sets, metrics and random streams for every method."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
from torch import Tensor, nn

from distillation_bench.bench.common.random_streams import torch_stream
from distillation_bench.bench.metrics.classification import fit_temperature
from distillation_bench.bench.metrics.outcome import Array, ClassOutcome, Outcome, ValueOutcome
from distillation_bench.bench.metrics.registry import FLAGS, METRICS, Metric, MetricKind
from distillation_bench.bench.planning.evaluation_sources import EvaluationSources
from distillation_bench.bench.training.data import EvaluationSet, PreparedData
from distillation_bench.bench.training.evaluation import curves
from distillation_bench.bench.training.hardware.compute import CPU, Compute
from distillation_bench.bench.training.student import predict
from distillation_bench.bench.training.teacher import Teacher
from distillation_bench.methods.base import Method
from distillation_bench.methods.predictions import Categorical, GaussianMixture, Prediction
from distillation_bench.methods.tasks import LOG_VARIANCE_LIMIT

Figures = dict[str, float]
SetFigures = dict[str, Any]
Scores = Mapping[str, Array]
"""For OOD detection, by name: [N] each."""


def evaluate(
    method: Method,
    student: nn.Module,
    data: PreparedData,
    teacher: Teacher,
    sources: EvaluationSources,
    seed: int,
    dataset: str,
    compute: Compute = CPU,
) -> tuple[Figures, list[SetFigures], curves.Curves]:
    """All figures of one student.

    Returns:
        The headline figures, one entry per evaluation set (`set`, `shift`, `severity` and
        `figures` by metric or "metric:score"), and what figures are drawn from.
    """

    def outcome(each: EvaluationSet, temperature: float) -> Outcome:
        if method.is_teacher:
            prediction = method.predict(teacher.outputs[each.key])
        else:
            stream = torch_stream(seed, dataset, "evaluation", each.key, device=compute.device)
            prediction = predict(method, student, data, each.x, stream, compute)
        return outcome_of(prediction, each, temperature)

    task = method.task.name
    temperature = _temperature(outcome(data.validation, 1.0))
    test, *others = data.sets
    inside = outcome(test, temperature)
    familiar = ood_scores(inside)
    entries = []
    drawn: curves.Curves = {}
    for each in (test, *others):
        # One set at a time: those of all sets would not fit beside one another.
        seen = inside if each is test else outcome(each, temperature)
        reference = outcome_of(method.task.prediction(teacher.outputs[each.key]), each)
        scores = None if each.name == "test" else (familiar, ood_scores(seen))
        figures = _set_figures(seen, reference, scores, task)
        entries.append(_entry(each.name, each.shift, each.severity, figures))
        drawn |= curves.of_set(each.key, seen, reference)
        if scores is not None:
            drawn |= curves.of_detection(each.key, *scores)
    if data.canvas is not None:
        drawn |= curves.of_canvas(outcome(replace(data.canvas, y=None), temperature), data)
    entries += _group_entries(entries, sources, task)
    return _headline(entries, task), entries, curves.compact(drawn)


def _temperature(validation: Outcome) -> float:
    """The temperature fitted on the validation split; 1 in regression."""
    if not isinstance(validation, ClassOutcome):
        return 1.0
    return fit_temperature(validation.log_mean, validation.targets)


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
        "log_likelihood": None if each.y is None else array(_log_likelihood(prediction, each.y)),
    }
    if isinstance(prediction, Categorical):
        log_members = array(prediction.log_members)
        return ClassOutcome(
            **common,
            log_mean=array(prediction.log_mean),
            log_members=log_members,
            temperature=temperature,
        )
    if not isinstance(prediction, GaussianMixture):
        kind = type(prediction).__name__
        raise TypeError(f"predict gives a {kind}, which is no Categorical or GaussianMixture")
    return ValueOutcome(
        **common,
        means=array(prediction.means),
        variances=array(prediction.variances),
        log_variance_limit=LOG_VARIANCE_LIMIT,
    )


def _log_likelihood(prediction: Prediction, y: Tensor) -> Tensor:
    return prediction.log_prob(y.to(prediction.total.device))


def _metrics(kind: MetricKind, task: str) -> Iterator[Metric]:
    return (each for each in METRICS.values() if each.kind == kind and each.applies(task))


def _set_figures(
    outcome: Outcome, reference: Outcome, scores: tuple[Scores, Scores] | None, task: str
) -> Figures:
    """All figures of a set; `scores` are the test set's and its own, of OOD inputs."""
    figures = {m.name: m.function(outcome) for m in _metrics("unlabelled", task)}
    figures |= {m.name: m.function(outcome, reference) for m in _metrics("fidelity", task)}
    if outcome.targets is not None:
        figures |= {m.name: m.function(outcome) for m in _metrics("labelled", task)}
    if scores is not None:
        inside, outside = scores
        for metric in _metrics("ood", task):
            for score in inside:
                value = metric.function(inside[score], outside[score])
                figures[f"{metric.name}:{score}"] = value
    return {name: float(value) for name, value in figures.items()}


def ood_scores(outcome: Outcome) -> Scores:
    """Scores that are high for unfamiliar inputs; total and epistemic for every prediction."""
    scores = {"total": outcome.total, "epistemic": outcome.epistemic, **outcome.scores}
    if isinstance(outcome, ClassOutcome):
        scores["confidence"] = 1 - np.exp(outcome.log_mean.max(1))
    return scores


def _entry(name: str, shift: str, severity: int, figures: Figures) -> SetFigures:
    return {"set": name, "shift": shift, "severity": severity, "values": figures}


def _group_entries(
    entries: list[SetFigures], sources: EvaluationSources, task: str
) -> list[SetFigures]:
    """Unweighted means of the OOD figures over all OOD sets, and over the near and far ones.

    `sets` counts them; a set that is absent has an entry that says so.
    """
    by_set = {e["set"]: e["values"] for e in entries if e["set"].startswith("ood:")}
    groups: dict[str, list[str]] = {}
    for each in sources.present:
        for group in ("ood", f"ood-{each.group}"):
            groups.setdefault(group, []).append(f"ood:{each.name}")
    metrics = {metric.name for metric in _metrics("ood", task)}
    result = []
    for group, names in sorted(groups.items()):
        keys = [key for key in by_set[names[0]] if key.partition(":")[0] in metrics]
        means = {key: float(np.mean([by_set[name][key] for name in names])) for key in keys}
        result.append(_entry(group, "", 0, {"sets": float(len(names)), **means}))
    absent = [each.name for each in sources.ood if each.absent]
    return result + [_entry(f"ood:{name}", "", 0, {"absent": 1.0}) for name in absent]


def _headline(entries: list[SetFigures], task: str) -> Figures:
    """Each headline metric on the test set; OOD detection over all OOD sets, by total.

    Of each flag that applies, the largest on any set.
    """
    plain = {e["set"]: e["values"] for e in entries if not e["shift"]}
    headline = {}
    for metric in METRICS.values():
        if metric.headline and metric.applies(task):
            if metric.kind == "ood":
                headline[metric.name] = plain.get("ood", {}).get(f"{metric.name}:total", np.nan)
            else:
                headline[metric.name] = plain["test"][metric.name]
    return headline | _flags(entries)


def _flags(entries: list[SetFigures]) -> Figures:
    measured = [entry["values"] for entry in entries]
    found = {name: [each[name] for each in measured if name in each] for name in FLAGS}
    return {name: float(np.max(values)) for name, values in found.items() if values}
