"""Small data and networks, and the same training written plainly with torch.optim."""

from collections.abc import Callable, Sequence
from typing import Any

import pytest
import torch
from torch import Generator, Tensor, nn
from torch.nn import functional
from torch.optim.lr_scheduler import CosineAnnealingLR

from distillation_bench.bench.common.random_streams import torch_stream
from distillation_bench.bench.planning.recipe import Recipe
from distillation_bench.bench.training.data import EvaluationSet, PreparedData
from distillation_bench.bench.training.student import StudentInputs
from distillation_bench.bench.training.teacher import Teacher
from distillation_bench.bench.training.training_inputs import TrainingInputs
from distillation_bench.methods import Method
from distillation_bench.methods.networks import network_builder
from distillation_bench.methods.networks.mlp import BatchedMLP, MLPBuilder

SEED, DATASET = 5, "some"


OUTPUTS = {"classification": 3, "regression": 2}


BOTH = pytest.mark.parametrize("task", list(OUTPUTS))


SIZES = pytest.mark.parametrize("examples", [12, 16, 41])
"""Fewer than, as many as and more than a batch of 16, with a smaller last batch."""


def recipe(**options: Any) -> Recipe:
    values = {"epochs": 4, "batch_size": 16, "learning_rate": 0.05, "clip": 0.1}
    decays = {"weight_decay": 0.03, "student_weight_decay": 0.02}
    return Recipe.model_validate({**values, **decays, **options})


def normal_numbers(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=Generator().manual_seed(seed))


def targets(task: str, *shape: int, seed: int = 1) -> Tensor:
    numbers = normal_numbers(*shape, seed=seed)
    return (numbers.abs() * 100).long() % 3 if task == "classification" else numbers


def prepared(task: str, examples: int, inputs: int = 4) -> PreparedData:
    held_out = EvaluationSet(
        "validation", normal_numbers(9, inputs, seed=2), targets(task, 9, seed=3)
    )
    return PreparedData((normal_numbers(examples, inputs), targets(task, examples)), held_out, ())


def training_inputs(data: PreparedData, values: Recipe) -> TrainingInputs:
    return TrainingInputs(data=data, recipe=values, seed=SEED, dataset=DATASET)


def student_inputs(
    method: Method, data: PreparedData, teacher: Teacher, values: Recipe
) -> StudentInputs:
    return StudentInputs(
        method=method, data=data, teacher=teacher, recipe=values, seed=SEED, dataset=DATASET
    )


def networks_for(task: str, width: int = 6, inputs: int = 4) -> MLPBuilder:
    described = {"family": "mlp", "member": [width, width], "core": [5], "head": [7]}
    networks = network_builder(described, (inputs,), OUTPUTS[task])
    assert isinstance(networks, MLPBuilder)
    return networks


# The same training with torch.optim


def perceptron(layers: Sequence[tuple[Tensor, Tensor]]) -> nn.Sequential:
    """Plain layers with ReLU between, from weights [outputs, inputs] and biases."""
    modules: list[nn.Module] = []
    for weight, bias in layers:
        linear = nn.Linear(*weight.T.shape)
        with torch.no_grad():
            linear.weight.copy_(weight)
            linear.bias.copy_(bias.flatten())
        modules += [linear, nn.ReLU()]
    return nn.Sequential(*modules[:-1])


def layers_of(module: nn.Module, network: int) -> list[tuple[Tensor, Tensor]]:
    """Weights and biases of one network of a batched perceptron, layer by layer."""
    assert isinstance(module, BatchedMLP)
    state = module.state_dict()
    return [
        (state[f"layers.{i}.weight"][network], state[f"layers.{i}.bias"][network])
        for i in range(len(module.layers))
    ]


def descend(
    model: nn.Module,
    loss: Callable[[Tensor], Tensor],
    orders: Sequence[Tensor],
    values: Recipe,
    decay: float,
) -> list[float]:
    """Train with torch.optim's Adam, L2 in the loss, clipping, a cosine; return gradient norms."""
    adam = torch.optim.Adam(model.parameters(), values.learning_rate)
    cosine = CosineAnnealingLR(adam, len(orders))
    norms = []
    for order in orders:
        for indices in torch.split(order, values.batch_size):
            adam.zero_grad()
            squares = torch.stack([p.square().sum() for p in model.parameters()]).sum()
            (loss(indices) + decay / 2 * squares).backward()  # type: ignore[no-untyped-call]
            norms.append(nn.utils.clip_grad_norm_(model.parameters(), values.clip).item())
            adam.step()
        cosine.step()
    return norms


def plain_loss(task: str, model: nn.Module, x: Tensor, y: Tensor, indices: Tensor) -> Tensor:
    outputs = model(x[indices])
    if task == "classification":
        return functional.cross_entropy(outputs, y[indices])
    return functional.gaussian_nll_loss(outputs[:, 0], y[indices], outputs[:, 1].exp())


def orders_of(examples: int, values: Recipe, *names: str | int) -> list[Tensor]:
    """Return the order of examples in each epoch; data within one batch has none."""
    if examples <= values.batch_size:
        return [torch.arange(examples)] * values.epochs
    return [
        torch.randperm(examples, generator=torch_stream(SEED, DATASET, *names, "order", epoch))
        for epoch in range(values.epochs)
    ]


def assert_same_layers(model: nn.Sequential, layers: Sequence[tuple[Tensor, Tensor]]) -> None:
    linears = [module for module in model if isinstance(module, nn.Linear)]
    for linear, (weight, bias) in zip(linears, layers, strict=True):
        torch.testing.assert_close(linear.weight.detach(), weight, rtol=0, atol=1e-9)
        torch.testing.assert_close(linear.bias.detach(), bias.flatten(), rtol=0, atol=1e-9)
