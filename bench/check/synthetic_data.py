"""The data, networks and recipe that methods and metrics are checked on."""

from __future__ import annotations

import torch
from torch import Tensor

from distillation_bench.bench.common.random_streams import torch_stream
from distillation_bench.bench.planning.evaluation_sources import EvaluationSources, OODSet
from distillation_bench.bench.planning.recipe import Recipe
from distillation_bench.bench.training.data import EvaluationSet, PreparedData

MEMBERS, EXAMPLES, INPUTS = 3, 40, 2
OUTPUTS = {"classification": 3, "regression": 2}
"""Outputs of a network, by task."""
NETWORK = {"family": "mlp", "member": [8, 8], "core": [8], "head": [8]}
RECIPE = Recipe(members=MEMBERS, epochs=4, batch_size=16, network=NETWORK)
SOURCES = EvaluationSources(ood=(OODSet("apart", "far"),))


def synthetic_data(task: str) -> PreparedData:
    """Return splits of a task with a test set, a shifted test set and an OOD set."""
    x, y = _split("test", task)
    sets = (
        EvaluationSet("test", x, y),
        EvaluationSet("test", x + 0.5, y, "moved", 1),
        EvaluationSet("ood:apart", x + 5),
    )
    validation = EvaluationSet("validation", *_split("validation", task))
    return PreparedData(_split("train", task), validation, sets)


def _split(name: str, task: str) -> tuple[Tensor, Tensor]:
    x = torch.randn(EXAMPLES, INPUTS, generator=torch_stream(0, "check", name))
    if task == "regression":
        return x, x.sum(1)
    return x, (x[:, 0] > 0).long() + (x[:, 1] > 0).long()
