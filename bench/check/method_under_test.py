"""A method on synthetic data with an untrained teacher, and the checks of its hooks."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch
from safetensors.torch import load, save
from torch import Tensor, nn

from distillation_bench.bench.check.checks import require
from distillation_bench.bench.check.synthetic_data import (
    EXAMPLES,
    INPUTS,
    MEMBERS,
    NETWORK,
    OUTPUTS,
    RECIPE,
    synthetic_data,
)
from distillation_bench.bench.common.random_streams import torch_stream
from distillation_bench.bench.metrics.uncertainties import UNCERTAINTIES
from distillation_bench.bench.training import student
from distillation_bench.bench.training.evaluation import cost
from distillation_bench.bench.training.hardware.compute import CPU
from distillation_bench.bench.training.teacher import Teacher, all_outputs
from distillation_bench.methods import Batch, Method, Setting
from distillation_bench.methods.base import Stage
from distillation_bench.methods.networks import network_builder
from distillation_bench.methods.networks.options import describe
from distillation_bench.methods.predictions import Categorical
from distillation_bench.methods.tasks import TASKS

EXTREME = 1e4
"""The absolute value of extreme outputs."""
TOLERANCE = 1e-9
"""How far the sum of probabilities may be from 1."""


class MethodUnderTest:
    """A method on synthetic data of a task, with default parameters and an untrained teacher.

    Each `check_…` raises ContractBroken, or whatever the method raises, if the check fails.
    """

    def __init__(self, method: type[Method], task: str) -> None:
        self.name = method.name
        self.task = task
        networks = network_builder(describe(NETWORK), (INPUTS,), OUTPUTS[task])
        members = networks.members([torch_stream(0, "member", m) for m in range(MEMBERS)])
        self.data = synthetic_data(task)
        outputs = all_outputs(members, self.data, CPU)
        self.teacher = Teacher(outputs, dict(members.state_dict()))
        self._setting = Setting(
            task=TASKS[task],
            members=MEMBERS,
            examples=EXAMPLES,
            networks=networks,
            teacher=lambda: self.teacher.network(networks),
        )
        self._class = method
        self._method = self.make()

    def make(self) -> Method:
        """Make a new object of the method, as each cell does."""
        return self._class(self._class.Parameters(), self._setting)

    def check_output_shape(self) -> None:
        """Check that outputs are [S, B, K]."""
        outputs = self._outputs(self._build())
        expected = (EXAMPLES, OUTPUTS[self.task])
        require(
            outputs.dim() == 3 and outputs.shape[1:] == expected,
            f"outputs are {list(outputs.shape)}, not [S, {EXAMPLES}, {OUTPUTS[self.task]}]",
        )

    def check_gradients(self) -> None:
        """Check that terms are finite scalars and give each parameter a finite gradient."""
        network, stages = self._stages()
        share = sum(stage.share for stage in stages)
        require(not stages or math.isclose(share, 1), f"the stages' shares sum to {share:g}")
        with_gradient: set[int] = set()
        for stage in stages:
            terms = self._terms(stage)
            for name, term in terms.items():
                require(term.dim() == 0, f"term {name!r} is {list(term.shape)}, not a scalar")
                require(bool(term.isfinite()), f"term {name!r} is {term.item()}")
            with_gradient |= _parameters_with_gradient(stage.network, terms)
        if stages:
            parameters = network.named_parameters()
            missed = [name for name, p in parameters if id(p) not in with_gradient]
            require(not missed, f"no gradient for {', '.join(missed)}")

    def check_extreme_outputs(self) -> None:
        """Check that terms are finite at outputs far from 0."""
        _, stages = self._stages()
        for stage in stages:
            outputs = self._method.forward(stage.network, self.data.train[0], torch_stream(0))
            pattern = 1 - 2 * (torch.arange(outputs.numel()).view(outputs.shape) % 2)
            for sign in (1, -1):
                extreme = (sign * EXTREME * pattern).requires_grad_()
                for name, term in self._terms(stage, extreme).items():
                    require(bool(term.isfinite()), f"term {name!r} is {term.item()}")

    def check_weights(self) -> None:
        """Check that each weight is that of a term."""
        _, stages = self._stages()
        names = {name for stage in stages for name in self._terms(stage)}
        unknown = set(self._weights()) - names
        require(
            not stages or not unknown, f"weights of unknown terms: {', '.join(sorted(unknown))}"
        )

    def check_some_weight(self) -> None:
        """Check that some term of each stage has a weight other than 0."""
        _, stages = self._stages()
        weights = self._weights()
        for stage in stages:
            terms = self._terms(stage)
            require(any(weights.get(name, 1.0) for name in terms), "every term has weight 0")

    def check_prediction(self) -> None:
        """Check that a prediction sums to 1, and has finite uncertainties of at least 0."""
        # Training asks for predictions too: where they are wrong, it is this check that says so.
        self._check_prediction(self._build())
        self._check_prediction(self._trained())

    def _check_prediction(self, network: nn.Module) -> None:
        prediction = self._method.predict(self._outputs(network))
        if isinstance(prediction, Categorical):
            error = (prediction.mean.sum(-1) - 1).abs().max().item()
            require(error < TOLERANCE, f"probabilities sum to 1 ± {error:.1e}")
        for name in UNCERTAINTIES:
            values = getattr(prediction, name)
            require(values.shape == (EXAMPLES,), f"{name} is {list(values.shape)}")
            is_good = bool((values.isfinite() & (values >= 0)).all())
            require(is_good, f"{name} uncertainty is negative or not finite")
        log_prob = prediction.log_prob(self.data.sets[0].y)  # type: ignore[arg-type]
        require(log_prob.shape == (EXAMPLES,), f"log_prob is {list(log_prob.shape)}")

    def check_saving(self) -> None:
        """Check that a student has the same outputs after its tensors are saved and loaded."""
        network, loaded = self._trained(), self._build()
        loaded.load_state_dict(load(save(network.state_dict())))
        loaded.eval()
        require(
            torch.equal(self._outputs(network), self._outputs(loaded)),
            "loaded, the outputs differ",
        )
        cost.counts(self._method, loaded, self.data.sets[0].x)

    def _build(self) -> nn.Module:
        return student.build(self._method, 0, "check")

    def _trained(self) -> nn.Module:
        network = self._build()
        inputs = student.StudentInputs(
            method=self._method,
            data=self.data,
            teacher=self.teacher,
            recipe=RECIPE,
            seed=0,
            dataset="check",
        )
        student.train_student(network, inputs)
        return network

    def _outputs(self, network: nn.Module) -> Tensor:
        """Return a student's outputs on the test set."""
        with torch.no_grad():
            return self._method.forward(network, self.data.sets[0].x, torch_stream(0, "outputs"))

    def _stages(self) -> tuple[nn.Module, Sequence[Stage]]:
        """Return a new student and the stages of its training."""
        network = self._build()
        return network, self._method.stages(network, torch_stream(0, "stages"))

    def _terms(self, stage: Stage, outputs: Tensor | None = None) -> dict[str, Tensor]:
        """Return the terms of the loss on the training split, at some outputs or the network's."""
        x, y = self.data.train
        batch = Batch(x, y, self.teacher.outputs["train"], stage.network, stage.name)
        if outputs is None:
            outputs = self._method.forward(stage.network, x, torch_stream(0, "terms"))
        now = self._method.parameters.at(0, RECIPE.epochs)
        return dict(self._method.loss(outputs, batch, now))

    def _weights(self) -> dict[str, float]:
        return dict(self._method.weights(self._method.parameters.at(0, RECIPE.epochs)))


def _parameters_with_gradient(network: nn.Module, terms: dict[str, Tensor]) -> set[int]:
    """Return the ids of the parameters that have a gradient; check that it is finite."""
    parameters = dict(network.named_parameters())
    total: Any = sum(terms.values())
    gradients = torch.autograd.grad(total, list(parameters.values()), allow_unused=True)
    ids: set[int] = set()
    for (name, parameter), gradient in zip(parameters.items(), gradients, strict=True):
        if gradient is not None:
            require(bool(gradient.isfinite().all()), f"{name}: gradient not finite")
            ids.add(id(parameter))
    return ids
