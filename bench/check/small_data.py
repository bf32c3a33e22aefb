"""Small data that methods and metrics are checked on."""

from __future__ import annotations

import torch
from torch import Tensor

from distillation_bench.bench.common.random_streams import torch_stream
from distillation_bench.bench.planning.evaluation_sources import EvaluationSources, OODSet
from distillation_bench.bench.planning.recipe import Recipe
from distillation_bench.bench.training.data import EvaluationSet, PreparedData

MEMBERS, EXAMPLES, INPUTS = 3, 40, 2
OUTPUTS = {"classification": 3, "regression": 2}
NETWORK = {"family": "mlp", "member": [8, 8], "core": [8], "head": [8]}
RECIPE = Recipe(members=MEMBERS, epochs=4, batch_size=16, network=NETWORK)
SOURCES = EvaluationSources(ood=(OODSet("apart", "far"),))


def small_data(task: str) -> PreparedData:
    """Splits, a shifted test set and an OOD set."""

    def part(name: str) -> tuple[Tensor, Tensor]:
        stream = torch_stream(0, "check", name)
        x = torch.randn(EXAMPLES, INPUTS, generator=stream)
        if task == "regression":
            return x, x.sum(1)
        return x, (x[:, 0] > 0).long() + (x[:, 1] > 0).long()

    x, y = part("test")
    sets = (
        EvaluationSet("test", x, y),
        EvaluationSet("test", x + 0.5, y, "moved", 1),
        EvaluationSet("ood:apart", x + 5),
    )
    return PreparedData(part("train"), EvaluationSet("validation", *part("validation")), sets)
