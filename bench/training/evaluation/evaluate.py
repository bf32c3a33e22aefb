"""The evaluation protocol: the same sets, metrics and random streams for every method."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from torch import nn

from distillation_bench.bench.common.random_streams import torch_stream
from distillation_bench.bench.metrics.outcome import ClassOutcome, Outcome, ValueOutcome
from distillation_bench.bench.metrics.registry import FLAGS, METRICS, Metric, MetricKind
from distillation_bench.bench.metrics.temperature_scaling import fit_temperature
from distillation_bench.bench.planning.evaluation_sources import EvaluationSources
from distillation_bench.bench.training.data import EvaluationSet
from distillation_bench.bench.training.evaluation.figure_arrays import (
    MOST_PASSES,
    FigureArrays,
    as_float32,
    canvas_arrays,
    detection_arrays,
    fidelity_arrays,
    set_arrays,
)
from distillation_bench.bench.training.evaluation.outcomes import Scores, ood_scores, outcome_of
from distillation_bench.bench.training.student import StudentInputs, predict, predict_passes

Values = dict[str, float]
"""Values by the name of their metric."""
DETECTION_KINDS: tuple[MetricKind, ...] = ("ood", "teacher_ood")
"""Metrics of OOD detection by the student, and by the teacher."""
SetValues = dict[str, Any]
"""`set`, `shift` and `severity` of an evaluation set, and its values under `values`."""


def evaluate(
    student: nn.Module, inputs: StudentInputs, sources: EvaluationSources
) -> tuple[Values, list[SetValues], FigureArrays]:
    """Measure a student on every evaluation set.

    Args:
        student: trained.
        inputs: what it was trained with; their data hold the evaluation sets.
        sources: the OOD sets that are asked for, including those that are missing.

    Returns:
        The values of the headline metrics, the values of each evaluation set (by metric or
        "metric:score"), and the arrays from which figures are drawn.
    """
    data, task = inputs.data, inputs.method.task.name
    predictor = _Predictor(student, inputs)
    temperature = _temperature(predictor.outcome(data.validation, 1.0))
    entries: list[SetValues] = []
    arrays: FigureArrays = {}
    inside: Sequence[Scores] = ()
    for evaluation_set in data.sets:
        # One set at a time: the predictions on all sets would not fit into memory together.
        outcomes = predictor.outcomes(evaluation_set, temperature)
        scores = [ood_scores(outcome) for outcome in outcomes]
        # The test set comes first.
        inside = inside or scores
        is_ood = evaluation_set.name != "test"
        detections = list(zip(inside, scores, strict=True)) if is_ood else []
        entries.append(_entry(evaluation_set, _set_values(outcomes, detections, task)))
        arrays |= _arrays(evaluation_set, outcomes, detections)
    entries += _group_entries(entries, sources, task)
    arrays |= predictor.canvas(temperature)
    return _headline(entries, task), entries, as_float32(arrays)


@dataclass(frozen=True)
class _Predictor:
    """Predictions of a student and of its teacher on evaluation sets."""

    student: nn.Module
    inputs: StudentInputs

    def outcomes(
        self, evaluation_set: EvaluationSet, temperature: float
    ) -> tuple[Outcome, Outcome]:
        """Return the student's outcome, and the teacher's."""
        student = self.outcome(evaluation_set, temperature)
        return student, self.teacher_outcome(evaluation_set)

    def outcome(self, evaluation_set: EvaluationSet, temperature: float) -> Outcome:
        """Return the student's outcome; its random stream depends on the set alone."""
        inputs = self.inputs
        if inputs.method.is_teacher:
            prediction = inputs.method.predict(inputs.teacher.outputs[evaluation_set.key])
        else:
            names = (inputs.dataset, "evaluation", evaluation_set.key)
            stream = torch_stream(inputs.seed, *names, device=inputs.compute.device)
            prediction = predict(inputs, self.student, evaluation_set.x, stream)
        return outcome_of(prediction, evaluation_set, temperature)

    def teacher_outcome(self, evaluation_set: EvaluationSet) -> Outcome:
        """Return the teacher's outcome, from its stored outputs."""
        outputs = self.inputs.teacher.outputs[evaluation_set.key]
        return outcome_of(self.inputs.method.task.prediction(outputs), evaluation_set)

    def canvas(self, temperature: float) -> FigureArrays:
        """Return the arrays of the canvas; none if the dataset has no canvas."""
        data = self.inputs.data
        if data.canvas is None:
            return {}
        points = replace(data.canvas, y=None)
        outcome = self.outcome(points, temperature)
        return canvas_arrays(outcome, self._passes(points, outcome), data)

    def _passes(self, points: EvaluationSet, outcome: Outcome) -> Outcome:
        """Return the outcome of the functions that the student consists of; see `Method.passes`."""
        inputs = self.inputs
        if inputs.method.is_teacher or not isinstance(outcome, ValueOutcome):
            return outcome
        names = (inputs.dataset, "evaluation", "passes")
        stream = torch_stream(inputs.seed, *names, device=inputs.compute.device)
        passes = predict_passes(inputs, self.student, points.x, MOST_PASSES, stream)
        return outcome_of(passes, points)


def _temperature(validation: Outcome) -> float:
    """Return the temperature fitted on the validation split; 1 in regression."""
    if not isinstance(validation, ClassOutcome):
        return 1.0
    return fit_temperature(validation.log_mean, validation.targets)


def _metrics(kind: MetricKind, task: str) -> Iterator[Metric]:
    return (m for m in METRICS.values() if m.kind == kind and m.applies(task))


Detection = tuple[Scores, Scores]
"""The scores of one network for OOD detection, on the test set and on an OOD set."""


def _set_values(
    outcomes: tuple[Outcome, Outcome], detections: Sequence[Detection], task: str
) -> Values:
    """Return all values of one evaluation set.

    Args:
        outcomes: the student's and the teacher's.
        detections: the student's and the teacher's; none if this set is not OOD.
        task: classification or regression.
    """
    outcome = outcomes[0]
    values: dict[str, float | None] = {}
    values |= {m.name: m.function(outcome) for m in _metrics("unlabelled", task)}
    values |= {m.name: m.function(*outcomes) for m in _metrics("fidelity", task)}
    if outcome.targets is not None:
        values |= {m.name: m.function(outcome) for m in _metrics("labelled", task)}
    for kind, (inside, outside) in zip(DETECTION_KINDS, detections, strict=False):
        values |= {
            f"{m.name}:{score}": m.function(inside[score], outside[score])
            for m in _metrics(kind, task)
            for score in inside
        }
    # None is of a metric that this kind of prediction cannot have.
    return {name: float(value) for name, value in values.items() if value is not None}


def _arrays(
    evaluation_set: EvaluationSet,
    outcomes: tuple[Outcome, Outcome],
    detections: Sequence[Detection],
) -> FigureArrays:
    """Return the arrays of one evaluation set; see `_set_values`."""
    key = evaluation_set.key
    arrays = set_arrays(key, *outcomes)
    if not evaluation_set.shift:
        arrays |= fidelity_arrays(key, *outcomes)
    return arrays | detection_arrays(key, *detections[0]) if detections else arrays


def _entry(evaluation_set: EvaluationSet, values: Values) -> SetValues:
    return {
        "set": evaluation_set.name,
        "shift": evaluation_set.shift,
        "severity": evaluation_set.severity,
        "values": values,
    }


def _unshifted_entry(name: str, values: Values) -> SetValues:
    return {"set": name, "shift": "", "severity": 0, "values": values}


def _group_entries(
    entries: list[SetValues], sources: EvaluationSources, task: str
) -> list[SetValues]:
    """Return entries for "ood", "ood-near" and "ood-far", and for OOD sets that are absent.

    The values of a group are unweighted means over its OOD sets; `sets` is their number. The entry
    of an absent set has the value `absent` alone.
    """
    values_of = {e["set"]: e["values"] for e in entries if e["set"].startswith("ood:")}
    groups: dict[str, list[str]] = {}
    for ood_set in sources.present:
        for group in ("ood", f"ood-{ood_set.group}"):
            groups.setdefault(group, []).append(f"ood:{ood_set.name}")
    metrics = {metric.name for kind in DETECTION_KINDS for metric in _metrics(kind, task)}
    result = []
    for group, names in sorted(groups.items()):
        shared = set.intersection(*({*values_of[name]} for name in names))
        keys = [k for k in values_of[names[0]] if k in shared and k.partition(":")[0] in metrics]
        means = {key: float(np.mean([values_of[name][key] for name in names])) for key in keys}
        result.append(_unshifted_entry(group, {"sets": float(len(names)), **means}))
    absent = [ood_set.name for ood_set in sources.ood if ood_set.absent]
    return result + [_unshifted_entry(f"ood:{name}", {"absent": 1.0}) for name in absent]


def _headline(entries: list[SetValues], task: str) -> Values:
    """Return the value of each headline metric, and the flags.

    Metrics are taken on the test set; those of OOD detection are the means over all OOD sets, with
    total uncertainty as the score.
    """
    unshifted = {e["set"]: e["values"] for e in entries if not e["shift"]}
    headline = {}
    for metric in METRICS.values():
        if metric.headline and metric.applies(task):
            if metric.kind == "ood":
                headline[metric.name] = unshifted.get("ood", {}).get(f"{metric.name}:total", np.nan)
            elif metric.name in unshifted["test"]:
                headline[metric.name] = unshifted["test"][metric.name]
    return headline | _flags(entries)


def _flags(entries: list[SetValues]) -> Values:
    """Return the largest value of each flag over all evaluation sets."""
    values = {
        name: [entry["values"][name] for entry in entries if name in entry["values"]]
        for name in FLAGS
    }
    return {name: float(np.max(of_sets)) for name, of_sets in values.items() if of_sets}
