"""A method on small data with an untrained teacher, and what it promises there."""

from __future__ import annotations

import math
from typing import Any

import torch
from safetensors.torch import load, save
from torch import Tensor, nn

from distillation_bench.bench.check.promises import require
from distillation_bench.bench.check.small_data import (
    EXAMPLES,
    INPUTS,
    MEMBERS,
    NETWORK,
    OUTPUTS,
    RECIPE,
    small_data,
)
from distillation_bench.bench.common.random_streams import torch_stream
from distillation_bench.bench.metrics.uncertainties import UNCERTAINTIES
from distillation_bench.bench.training import student
from distillation_bench.bench.training.evaluation import cost
from distillation_bench.bench.training.hardware.compute import CPU
from distillation_bench.bench.training.teacher import Teacher, all_outputs
from distillation_bench.methods import Batch, Method, Setting
from distillation_bench.methods.networks import network_builder
from distillation_bench.methods.networks.options import describe
from distillation_bench.methods.predictions import Categorical
from distillation_bench.methods.tasks import TASKS

EXTREME = 1e4


class TestBed:
    """A method on small data with an untrained teacher."""

    __test__ = False

    def __init__(self, method: type[Method], task: str) -> None:
        self.task = task
        networks = network_builder(describe(NETWORK), (INPUTS,), OUTPUTS[task])
        members = networks.members([torch_stream(0, "member", m) for m in range(MEMBERS)])
        self.data = small_data(task)
        outputs = all_outputs(members, self.data, CPU)
        self.teacher = Teacher(outputs, dict(members.state_dict()))
        self.setting = Setting(
            task=TASKS[task],
            members=MEMBERS,
            examples=EXAMPLES,
            networks=networks,
            teacher=lambda: self.teacher.network(networks),
        )
        self.kind = method
        self.method = self.anew()

    def anew(self) -> Method:
        """The method as each cell makes it."""
        return self.kind(self.kind.Parameters(), self.setting)

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
        require(
            outputs.dim() == 3 and outputs.shape[1:] == expected,
            f"outputs are {list(outputs.shape)}, not [S, {EXAMPLES}, {OUTPUTS[self.task]}]",
        )

    def gradients_reach_all(self) -> None:
        network, stages = self.stages()
        share = sum(stage.share for stage in stages)
        require(not stages or math.isclose(share, 1), f"the stages' shares sum to {share:g}")
        reached: set[int] = set()
        for stage in stages:
            terms = self.terms(stage.network, stage.name)
            for name, term in terms.items():
                require(term.dim() == 0, f"term {name!r} is {list(term.shape)}, not a scalar")
                require(bool(term.isfinite()), f"term {name!r} is {term.item()}")
            parameters = dict(stage.network.named_parameters())
            total = sum(terms.values())
            gradients = torch.autograd.grad(total, list(parameters.values()), allow_unused=True)
            for (name, parameter), gradient in zip(parameters.items(), gradients, strict=True):
                if gradient is not None:
                    require(bool(gradient.isfinite().all()), f"{name}: gradient not finite")
                    reached.add(id(parameter))
        if stages:
            missed = [n for n, p in network.named_parameters() if id(p) not in reached]
            require(not missed, f"no gradient for {', '.join(missed)}")

    def terms_are_robust(self) -> None:
        _, stages = self.stages()
        for stage in stages:
            outputs = self.method.forward(stage.network, self.data.train[0], torch_stream(0))
            pattern = 1 - 2 * (torch.arange(outputs.numel()).view(outputs.shape) % 2)
            for sign in (1, -1):
                extreme = (sign * EXTREME * pattern).requires_grad_()
                for name, term in self.terms(stage.network, stage.name, extreme).items():
                    require(bool(term.isfinite()), f"term {name!r} is {term.item()}")

    def weights_name_terms(self) -> None:
        _, stages = self.stages()
        names = {name for stage in stages for name in self.terms(stage.network, stage.name)}
        weights = self.method.weights(self.method.parameters.at(0, RECIPE.epochs))
        unknown = set(weights) - names
        require(not stages or not unknown, f"weights of no term: {', '.join(sorted(unknown))}")

    def predicts_distribution(self) -> None:
        prediction = self.method.predict(self.outputs(self.trained()))
        if isinstance(prediction, Categorical):
            error = (prediction.mean.sum(-1) - 1).abs().max().item()
            require(error < 1e-9, f"probabilities sum to 1 ± {error:.1e}")
        for name in UNCERTAINTIES:
            values = getattr(prediction, name)
            require(values.shape == (EXAMPLES,), f"{name} is {list(values.shape)}")
            good = bool((values.isfinite() & (values >= 0)).all())
            require(good, f"{name} uncertainty is negative or not finite")
        log_prob = prediction.log_prob(self.data.sets[0].y)  # type: ignore[arg-type]
        require(log_prob.shape == (EXAMPLES,), f"log_prob is {list(log_prob.shape)}")

    def learns(self) -> None:
        _, stages = self.stages()
        weights = self.method.weights(self.method.parameters.at(0, RECIPE.epochs))
        for stage in stages:
            names = self.terms(stage.network, stage.name)
            require(any(weights.get(name, 1.0) for name in names), "every term has weight 0")

    def survives_saving(self) -> None:
        network, fresh = self.trained(), self.build()
        fresh.load_state_dict(load(save(network.state_dict())))
        fresh.eval()
        require(
            torch.equal(self.outputs(network), self.outputs(fresh)), "loaded, the outputs differ"
        )
        cost.counts(self.method, fresh, self.data.sets[0].x)
