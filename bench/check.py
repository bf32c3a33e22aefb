"""The contract test of a plugin: small, quick, and with a verdict."""

from __future__ import annotations

import functools
import math
import random
import signal
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import numpy as np
import torch
from pydantic import ValidationError
from safetensors.torch import load, save
from torch import Tensor, nn

from bench import cost, evaluation, student
from bench.data import EvaluationSet, Prepared
from bench.errors import UsageError
from bench.executors import ProcessPerTask, TaskFailed, TimedOut, WorkerDied, describe_failure
from bench.metrics.outcome import Outcome
from bench.metrics.registry import METRICS, Metric
from bench.places import DATA_ROOT
from bench.plugins import load_installed, load_plugins
from bench.randomness import numpy_stream, torch_stream
from bench.recipe import Recipe
from bench.teacher import Teacher, outputs_on
from datasets import DATASETS
from datasets.base import Data, Dataset, Split
from datasets.shifts import LEVELS
from methods import METHODS, Batch, Method, Setting
from methods.networks import build_networks
from methods.networks.options import describe
from methods.predictions import Categorical
from methods.tasks import TASKS

MEMBERS, EXAMPLES, INPUTS = 3, 40, 2
OUTPUTS = {"classification": 3, "regression": 2}
NETWORK = {"family": "mlp", "member": [8, 8], "core": [8], "head": [8]}
RECIPE = Recipe(members=MEMBERS, epochs=4, batch_size=16, network=NETWORK)
EXTREME = 1e4
CHECK_SECONDS, CHECKING_SECONDS = 10, 120.0
"""That one check and all of them may take."""

Check = tuple[str, Callable[[], None]]


class Broken(Exception):
    """A promise of the contract is not kept; the message says which."""


def check_apart(path: str) -> bool:
    """`check_plugin` in a process of its own, which the plugin may kill or hang.

    Raises:
        UsageError: it can't be loaded or registers nothing.
    """
    executor = ProcessPerTask(1, CHECKING_SECONDS)
    try:
        return bool(executor.submit(check_plugin, path).result())
    except TaskFailed as error:
        raise UsageError(error.reason.removeprefix("UsageError: ")) from None
    except (TimedOut, WorkerDied) as error:
        print(f"\nverdict: does not fit: after the last line above, {error}", flush=True)
        return False
    finally:
        executor.stop()


def check_plugin(path: str) -> bool:
    """Check all that a plugin registers; prints a line a check and a verdict.

    Raises:
        UsageError: it can't be loaded or registers nothing.
    """
    registries: list[dict[str, Any]] = [METHODS, DATASETS, METRICS]
    load_installed()
    before = [set(registry) for registry in registries]
    load_plugins([path])
    methods, datasets, metrics = (
        [registry[name] for name in registry if name not in known]
        for registry, known in zip(registries, before, strict=True)
    )
    checks = [check for method in methods for check in method_checks(method)]
    checks += [check for dataset in datasets for check in dataset_checks(dataset)]
    checks += [check for metric in metrics for check in metric_checks(metric)]
    if not checks:
        raise UsageError(f"{path}: registers no method, dataset or metric")
    failures = sum(not _passes(name, check) for name, check in checks)
    names = ", ".join(repr(each.name) for each in [*methods, *datasets, *metrics])
    verdict = f"does not fit: {failures} of {len(checks)} checks failed" if failures else "fits"
    count = "" if failures else f" ({len(checks)} checks)"
    print(f"\nverdict: {names} {verdict}{count}", flush=True)
    return not failures


def _passes(name: str, check: Callable[[], None]) -> bool:
    signal.signal(signal.SIGALRM, _too_long)
    signal.alarm(CHECK_SECONDS)
    try:
        check()
    except (Exception, SystemExit, GeneratorExit) as error:
        reason = str(error) if isinstance(error, Broken) else describe_failure(error)[0]
        print(f"FAIL  {name}: {' '.join(reason.split())}", flush=True)
        return False
    finally:
        signal.alarm(0)
    print(f"ok    {name}", flush=True)
    return True


def _too_long(number: int, frame: object) -> None:
    raise Broken(f"took longer than {CHECK_SECONDS} s")


def _require(condition: bool, message: str) -> None:
    if not condition:
        raise Broken(message)


# Methods


def method_checks(method: type[Method]) -> Iterator[Check]:
    """The promises of a method, for each task that it does not refuse."""
    yield f"{method.name}: parameters are documented", lambda: _documented(method)
    yield f"{method.name}: a wrong parameter is refused", lambda: _refuses_unknown(method)
    for task in TASKS:
        start = f"{method.name}, {task}:"
        if task in method.refuses:
            yield f"{start} refused with a reason", partial(_gives_reason, method, task)
            continue
        # Made within the first check: a method that can't be made fails that, not the program.
        bed = functools.cache(partial(TestBed, method, task))
        for promise, check in PROMISES.items():
            yield f"{start} {promise}", partial(_kept, bed, check)


def _kept(bed: Callable[[], TestBed], check: Callable[[TestBed], None]) -> None:
    check(bed())


def _documented(method: type[Method]) -> None:
    bare = [name for name, f in method.Parameters.model_fields.items() if not f.description]
    _require(not bare, f"without help: {', '.join(bare)}")
    method.Parameters()


def _refuses_unknown(method: type[Method]) -> None:
    try:
        method.Parameters(**{"no such parameter": 1})
    except ValidationError:
        return
    raise Broken("an unknown parameter was accepted; derive Parameters from methods.Parameters")


def _gives_reason(method: type[Method], task: str) -> None:
    _require(bool(method.refuses[task].strip()), "the reason is empty")


class TestBed:
    """A method on small data with an untrained teacher."""

    __test__ = False

    def __init__(self, method: type[Method], task: str) -> None:
        self.task = task
        networks = build_networks(describe(NETWORK), (INPUTS,), OUTPUTS[task])
        members = networks.members([torch_stream(0, "member", m) for m in range(MEMBERS)])
        self.data = _small_data(task)
        inputs = {"train": self.data.train[0], "test": self.data.sets[0].x}
        outputs = {name: outputs_on(members, self.data, x) for name, x in inputs.items()}
        self.teacher = Teacher(outputs, dict(members.state_dict()))
        setting = Setting(
            task=TASKS[task],
            members=MEMBERS,
            examples=EXAMPLES,
            networks=networks,
            teacher=lambda: self.teacher.network(networks),
        )
        self.method = method(method.Parameters(), setting)

    def build(self) -> nn.Module:
        return student.build(self.method, 0, "check")

    def trained(self) -> nn.Module:
        network = self.build()
        student.train_student(self.method, network, self.data, self.teacher, RECIPE, 0, "check")
        return network

    def outputs(self, network: nn.Module) -> Tensor:
        with torch.no_grad():
            return self.method.forward(network, self.data.sets[0].x, torch_stream(0, "outputs"))

    def terms(self, network: nn.Module, stage: str, outputs: Tensor | None = None) -> Any:
        x, y = self.data.train
        batch = Batch(x, y, self.teacher.outputs["train"], network, stage)
        if outputs is None:
            outputs = self.method.forward(network, x, torch_stream(0, "terms"))
        return self.method.loss(outputs, batch, self.method.parameters.at(0, RECIPE.epochs))

    def stages(self) -> Any:
        network = self.build()
        return network, self.method.stages(network, torch_stream(0, "stages"))

    def outputs_have_shape(self) -> None:
        outputs = self.outputs(self.build())
        expected = (EXAMPLES, OUTPUTS[self.task])
        _require(
            outputs.dim() == 3 and outputs.shape[1:] == expected,
            f"outputs are {list(outputs.shape)}, not [S, {EXAMPLES}, {OUTPUTS[self.task]}]",
        )

    def gradients_reach_all(self) -> None:
        network, stages = self.stages()
        share = sum(stage.share for stage in stages)
        _require(not stages or math.isclose(share, 1), f"the stages' shares sum to {share:g}")
        reached: set[int] = set()
        for stage in stages:
            terms = self.terms(stage.network, stage.name)
            for name, term in terms.items():
                _require(term.dim() == 0, f"term {name!r} is {list(term.shape)}, not a scalar")
                _require(bool(term.isfinite()), f"term {name!r} is {term.item()}")
            parameters = dict(stage.network.named_parameters())
            total = sum(terms.values())
            gradients = torch.autograd.grad(total, list(parameters.values()), allow_unused=True)
            for (name, parameter), gradient in zip(parameters.items(), gradients, strict=True):
                if gradient is not None:
                    _require(bool(gradient.isfinite().all()), f"{name}: gradient not finite")
                    reached.add(id(parameter))
        if stages:
            missed = [n for n, p in network.named_parameters() if id(p) not in reached]
            _require(not missed, f"no gradient for {', '.join(missed)}")

    def terms_are_robust(self) -> None:
        _, stages = self.stages()
        for stage in stages:
            outputs = self.method.forward(stage.network, self.data.train[0], torch_stream(0))
            pattern = 1 - 2 * (torch.arange(outputs.numel()).view(outputs.shape) % 2)
            for sign in (1, -1):
                extreme = (sign * EXTREME * pattern).requires_grad_()
                for name, term in self.terms(stage.network, stage.name, extreme).items():
                    _require(bool(term.isfinite()), f"term {name!r} is {term.item()}")

    def weights_name_terms(self) -> None:
        _, stages = self.stages()
        names = {name for stage in stages for name in self.terms(stage.network, stage.name)}
        weights = self.method.weights(self.method.parameters.at(0, RECIPE.epochs))
        unknown = set(weights) - names
        _require(not stages or not unknown, f"weights of no term: {', '.join(sorted(unknown))}")

    def predicts_distribution(self) -> None:
        prediction = self.method.predict(self.outputs(self.trained()))
        if isinstance(prediction, Categorical):
            error = (prediction.mean.sum(-1) - 1).abs().max().item()
            _require(error < 1e-9, f"probabilities sum to 1 ± {error:.1e}")
        for name in ("total", "aleatoric", "epistemic"):
            values = getattr(prediction, name)
            _require(values.shape == (EXAMPLES,), f"{name} is {list(values.shape)}")
            good = bool((values.isfinite() & (values >= 0)).all())
            _require(good, f"{name} uncertainty is negative or not finite")
        log_prob = prediction.log_prob(self.data.sets[0].y)  # type: ignore[arg-type]
        _require(log_prob.shape == (EXAMPLES,), f"log_prob is {list(log_prob.shape)}")

    def repeats(self) -> None:
        # Streams that the engine does not seed stand elsewhere each time.
        random.seed(1)
        first = self.method.predict(self.outputs(self.trained()))
        random.seed(2)
        second = self.method.predict(self.outputs(self.trained()))
        for name in ("mean", "total", "aleatoric", "epistemic"):
            same = torch.equal(getattr(first, name), getattr(second, name))
            _require(same, f"trained twice, the predictions' {name} differs")

    def learns(self) -> None:
        _, stages = self.stages()
        weights = self.method.weights(self.method.parameters.at(0, RECIPE.epochs))
        for stage in stages:
            names = self.terms(stage.network, stage.name)
            _require(any(weights.get(name, 1.0) for name in names), "every term has weight 0")

    def survives_saving(self) -> None:
        network, fresh = self.trained(), self.build()
        fresh.load_state_dict(load(save(network.state_dict())))
        fresh.eval()
        _require(
            torch.equal(self.outputs(network), self.outputs(fresh)), "loaded, the outputs differ"
        )
        cost.counts(self.method, fresh, self.data.sets[0].x)


PROMISES: dict[str, Callable[[TestBed], None]] = {
    "gives outputs [S, B, K]": TestBed.outputs_have_shape,
    "finite terms and a gradient for every parameter": TestBed.gradients_reach_all,
    "terms are finite at extreme outputs": TestBed.terms_are_robust,
    "weights name terms of the loss": TestBed.weights_name_terms,
    "some term has a weight": TestBed.learns,
    "the prediction is a distribution": TestBed.predicts_distribution,
    "the same figures twice": TestBed.repeats,
    "the same after save and load": TestBed.survives_saving,
}


def _small_data(task: str) -> Prepared:
    def part(name: str) -> tuple[Tensor, Tensor]:
        stream = torch_stream(0, "check", name)
        x = torch.randn(EXAMPLES, INPUTS, generator=stream)
        if task == "regression":
            return x, x.sum(1)
        return x, (x[:, 0] > 0).long() + (x[:, 1] > 0).long()

    validation = EvaluationSet("validation", *part("validation"))
    return Prepared(part("train"), validation, (EvaluationSet("test", *part("test")),))


# Datasets


def dataset_checks(dataset: type[Dataset]) -> Iterator[Check]:
    """The promises of a dataset."""
    yield f"{dataset.name}: splits have inputs and targets of its task", lambda: _splits(dataset)
    yield f"{dataset.name}: OOD sets and shifts are those announced", lambda: _sets(dataset)
    yield f"{dataset.name}: one data seed gives the same arrays", lambda: _deterministic(dataset)
    yield f"{dataset.name}: its networks can be built", lambda: _buildable(dataset)


def _load(dataset: type[Dataset]) -> Data:
    return dataset(DATA_ROOT).load(lambda name: numpy_stream(0, "data", dataset.name, name))


def _splits(dataset: type[Dataset]) -> None:
    data = _load(dataset)
    named = {"train": data.train, "validation": data.validation, "test": data.test}
    for name, split in named.items():
        _check_split(name, split, dataset)


def _check_split(name: str, split: Split, dataset: type[Dataset]) -> None:
    shape = split.x.shape[1:]
    _require(len(split.x) > 0, f"{name} is empty")
    _require(shape == dataset.shape, f"{name}: inputs are {shape}, not {dataset.shape}")
    expected = np.uint8 if dataset.images else np.float32
    _require(split.x.dtype == expected, f"{name}: x is {split.x.dtype}, not {np.dtype(expected)}")
    _require(bool(np.isfinite(split.x).all()), f"{name}: x is not finite")
    kind = np.int64 if dataset.task == "classification" else np.float32
    _require(split.y.dtype == kind, f"{name}: y is {split.y.dtype}, not {np.dtype(kind)}")
    if dataset.task == "classification":
        inside = bool(((split.y >= 0) & (split.y < dataset.outputs)).all())
        _require(inside, f"{name}: a class outside 0 to {dataset.outputs - 1}")


def _sets(dataset: type[Dataset]) -> None:
    data = _load(dataset)
    if dataset.images:
        unknown = set(dataset.shifts) - set(LEVELS)
        _require(not unknown, f"no such shifts: {', '.join(sorted(unknown))}")
        _require(data.mean is not None and data.std is not None, "mean and std are not given")
        return
    ood, shifts = set(data.ood), {shift for shift, _ in data.shifted}
    _require(ood == set(dataset.ood_groups), f"OOD sets {ood}, announced {dataset.ood_groups}")
    _require(shifts == set(dataset.shifts), f"shifts {shifts}, announced {dataset.shifts}")


def _deterministic(dataset: type[Dataset]) -> None:
    first, second = _load(dataset), _load(dataset)
    same = np.array_equal(first.train.x, second.train.x)
    same &= np.array_equal(first.test.x, second.test.x)
    same &= all(np.array_equal(x, second.ood[name]) for name, x in first.ood.items())
    _require(bool(same), "loaded twice, the arrays differ; draw from the stream alone")


def _buildable(dataset: type[Dataset]) -> None:
    networks = build_networks(describe(dataset.network), dataset.shape, dataset.outputs)
    x = torch.zeros(2, *dataset.shape)
    shape = networks.members([torch_stream(0, m) for m in range(2)])(x).shape
    _require(shape == (2, 2, dataset.outputs), f"outputs of two members are {list(shape)}")


# Metrics


def metric_checks(metric: Metric) -> Iterator[Check]:
    """The promises of a metric, for each task that it applies to."""
    for task in TASKS:
        if metric.applies(task):
            name = f"{metric.name}, {task}: gives a number, the same one for any order of rows"
            yield name, partial(_metric_is_function, metric, task)


def _metric_is_function(metric: Metric, task: str) -> None:
    values = [_value(metric, task, order) for order in (slice(None), slice(None, None, -1))]
    _require(isinstance(values[0], float), f"gives {type(values[0]).__name__}, not float")
    _require(math.isclose(*values, rel_tol=1e-9, abs_tol=1e-12), f"{values[0]}, then {values[1]}")


def _value(metric: Metric, task: str, order: slice) -> float:
    student_, teacher_ = _outcome(task, "student", order), _outcome(task, "teacher", order)
    if metric.kind == "ood":
        return metric.function(student_.total, teacher_.total)
    if metric.kind == "fidelity":
        return metric.function(student_, teacher_)
    return metric.function(student_)


def _outcome(task: str, name: str, order: slice) -> Outcome:
    data = _small_data(task)
    test = data.sets[0]
    assert test.y is not None
    outputs = torch.randn(
        MEMBERS, EXAMPLES, OUTPUTS[task], generator=torch_stream(0, "outcome", name)
    )
    indices = torch.arange(EXAMPLES).numpy()[order].copy()
    rows = EvaluationSet("test", test.x[indices], test.y[indices])
    return evaluation.outcome_of(TASKS[task].prediction(outputs[:, indices]), rows)
