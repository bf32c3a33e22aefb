"""A method on synthetic data with an untrained teacher, and the checks of its hooks."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
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
from distillation_bench.bench.planning.recipe import Recipe
from distillation_bench.bench.training import student
from distillation_bench.bench.training.evaluation import cost
from distillation_bench.bench.training.hardware.compute import CPU
from distillation_bench.bench.training.teacher import Teacher, all_outputs
from distillation_bench.methods import Batch, Examples, Method, Setting
from distillation_bench.methods.base import Outputs, Stage
from distillation_bench.methods.networks import network_builder
from distillation_bench.methods.networks.families import describe
from distillation_bench.methods.tasks import TASKS

EXTREME = 1e4
"""The absolute value of extreme outputs."""
TOLERANCE = 1e-9
"""How far the sum of probabilities may be from 1."""
MOST_EPOCHS = 100
"""The most epochs of a training in which each stage has epochs."""


class MethodUnderTest:
    """A method on synthetic data of a task, with default parameters and an untrained teacher.

    Each `check_…` raises ContractBroken, or whatever the method raises, if the check fails.
    """

    def __init__(self, method: type[Method], task: str) -> None:
        self.name = method.name
        self.task = task
        self.outputs = OUTPUTS[task]
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
            inputs=self.data.input_range,
            teacher=lambda: self.teacher.network(networks),
        )
        self._class = method
        self._method = self.make()
        self.recipe = self._recipe()

    def make(self) -> Method:
        """Make a new object of the method, as each cell does."""
        return self._class(self._class.Parameters(), self._setting)

    def stages(self) -> Sequence[Stage]:
        """Return the stages of the training of a new student."""
        return self._method.stages(self._build(), torch_stream(0, "stages"))

    def _recipe(self) -> Recipe:
        """Return a recipe in which each stage has epochs."""
        shares = [stage.share for stage in self.stages() if stage.share > 0]
        epochs = max(math.ceil(1 / share) for share in [*shares, 1 / RECIPE.epochs])
        return RECIPE.model_copy(update={"epochs": min(epochs, MOST_EPOCHS)})

    def interruptions(self) -> list[int]:
        """Return the epochs after which trainings are interrupted: some of each stage."""
        total = self.recipe.epochs
        ends = [(start, start + n) for _, start, n in student.epochs_of(self.stages(), total)]
        epochs = {epoch for start, end in ends for epoch in (start + 1, end - 1, end)}
        return sorted(epochs & set(range(1, total)))

    def check_fit(self) -> None:
        """Check that `fit` gives finite tensors, the same ones from the same stream."""
        first, second = self._fitted(), self._fitted()
        for name, tensor in first.items():
            require(isinstance(tensor, Tensor), f"{name!r} is a {type(tensor).__name__}")
            require(bool(tensor.isfinite().all()), f"{name!r} is not finite")
            require(
                name in second and torch.equal(tensor, second[name]),
                f"called twice, {name!r} differs; draw from the given generator alone",
            )

    def _fitted(self) -> Mapping[str, Tensor]:
        train = Examples(*self.data.train, self.teacher.outputs["train"])
        return self._method.fit(train, torch_stream(0, "fit"))

    def check_output_shape(self) -> None:
        """Check that outputs are tensors whose axis 1 is the batch."""
        outputs = self._outputs(self._finished(self._build()))
        for tensor in tensors_of(outputs):
            require(
                tensor.dim() >= 2 and tensor.shape[1] == EXAMPLES,
                f"outputs for a batch of {EXAMPLES} are {list(tensor.shape)}: axis 1 is the batch",
            )

    def check_draws(self) -> None:
        """Check that `infer` draws from its generator alone."""
        network = self._finished(self._build())
        first, second = (tensors_of(self._outputs(network)) for _ in range(2))
        require(
            all(map(torch.equal, first, second)),
            "infer, called twice with the same stream, gives two outputs; draw from its generator "
            "alone, and keep no state in the method",
        )

    def check_groups(self) -> None:
        """Check that groups have parameters of the network, and factors of at least 0."""
        for stage in self.stages():
            known = {id(parameter) for parameter in stage.network.parameters()}
            for group in self._method.groups(stage.network):
                strangers = [p for p in group.parameters if id(p) not in known]
                require(not strangers, f"stage {stage.name!r}: a parameter that it does not train")
                for name, factor in (("rate", group.rate), ("decay", group.decay)):
                    require(
                        math.isfinite(factor) and factor >= 0,
                        f"stage {stage.name!r}: {name} is {factor:g}; it is a factor of 0 or more",
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
        for stage in self.stages():
            outputs = self._method.forward(stage.network, self.data.train[0], torch_stream(0))
            for sign in (1, -1):
                for name, term in self._terms(stage, _extremes(outputs, sign)).items():
                    require(bool(term.isfinite()), f"term {name!r} is {term.item()}")

    def check_weights(self) -> None:
        """Check that each weight is that of a term."""
        stages = self.stages()
        names = {name for stage in stages for name in self._terms(stage)}
        unknown = set(self._weights()) - names
        require(
            not stages or not unknown, f"weights of unknown terms: {', '.join(sorted(unknown))}"
        )

    def check_some_weight(self) -> None:
        """Check that some term of each stage has a weight other than 0."""
        weights = self._weights()
        for stage in self.stages():
            terms = self._terms(stage)
            require(any(weights.get(name, 1.0) for name in terms), "every term has weight 0")

    def check_prediction(self) -> None:
        """Check that a prediction sums to 1, and has finite uncertainties of at least 0."""
        # Training asks for predictions too: where they are wrong, it is this check that says so.
        self._check_prediction(self._finished(self._build()))
        self._check_prediction(self._trained())

    def _check_prediction(self, network: nn.Module) -> None:
        prediction = self._method.predict(self._outputs(network))
        classes = [self.outputs] if self.task == "classification" else []
        shape = list(prediction.mean.shape)
        require(
            shape == [EXAMPLES, *classes],
            f"the mean for {EXAMPLES} inputs is {shape}, not {[EXAMPLES, *classes]}",
        )
        if classes:
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
        network, loaded = self._trained(), self._finished(self._build())
        loaded.load_state_dict(load(save(network.state_dict())))
        outputs, of_loaded = (tensors_of(self._outputs(each)) for each in (network, loaded))
        require(
            all(map(torch.equal, outputs, of_loaded)),
            "saved and loaded, the outputs differ; keep all state in parameters and buffers",
        )
        cost.counts(self._method, loaded, self.data.sets[0].x)

    def _build(self) -> nn.Module:
        return student.build(self._inputs(RECIPE))

    def _inputs(self, recipe: Recipe) -> student.StudentInputs:
        return student.StudentInputs(
            method=self._method,
            data=self.data,
            teacher=self.teacher,
            recipe=recipe,
            seed=0,
            dataset="check",
        )

    def _finished(self, network: nn.Module) -> nn.Module:
        """Return what the method makes of a student that was not trained."""
        validation = self.data.validation
        assert validation.y is not None
        outputs = self.teacher.outputs["validation"]
        examples = Examples(validation.x, validation.y, outputs)
        return self._method.finish(network.eval(), examples).eval()

    def _trained(self) -> nn.Module:
        inputs = self._inputs(self.recipe)
        network, _ = student.train_student(student.build(inputs), inputs)
        return network

    def _outputs(self, network: nn.Module) -> Outputs:
        """Return a finished student's outputs on the test set."""
        with torch.no_grad():
            return self._method.infer(network, self.data.sets[0].x, torch_stream(0, "outputs"))

    def _stages(self) -> tuple[nn.Module, Sequence[Stage]]:
        """Return a new student and the stages of its training."""
        network = self._build()
        return network, self._method.stages(network, torch_stream(0, "stages"))

    def _terms(self, stage: Stage, outputs: Outputs | None = None) -> dict[str, Tensor]:
        """Return the terms of the loss on the training split, at some outputs or the network's."""
        noise, teacher = torch_stream(0, "terms"), self._setting.teacher().requires_grad_(False)

        def ask(x: Tensor) -> Tensor:
            shape = list(self._setting.inputs.shape)
            require(
                list(x.shape[1:]) == shape,
                f"the members were asked on {list(x.shape)}; inputs are {['B', *shape]}",
            )
            answers: Tensor = teacher(x)
            return answers

        def answer(x: Tensor) -> Outputs:
            if outputs is not None:
                return outputs
            return self._method.forward(stage.network, x, noise)

        (x, y), taught = self.data.train, self.teacher.outputs["train"]
        batch = Batch(x, y, taught, stage.network, stage.name, noise, ask, answer)
        return dict(self._method.step(batch, self._method.parameters.at(0, self.recipe.epochs)))

    def _weights(self) -> dict[str, float]:
        return dict(self._method.weights(self._method.parameters.at(0, self.recipe.epochs)))


def tensors_of(outputs: Outputs) -> tuple[Tensor, ...]:
    """Return outputs as a tuple of tensors."""
    return (outputs,) if isinstance(outputs, Tensor) else tuple(outputs)


def _extremes(outputs: Outputs, sign: int) -> Outputs:
    """Return outputs of the same shapes that are far from 0, of alternating signs."""

    def extreme(tensor: Tensor) -> Tensor:
        pattern = 1 - 2 * (torch.arange(tensor.numel()).view(tensor.shape) % 2)
        return (sign * EXTREME * pattern).requires_grad_()

    if isinstance(outputs, Tensor):
        return extreme(outputs)
    return tuple(map(extreme, outputs))


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
