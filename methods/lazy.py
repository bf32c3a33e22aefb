"""Modules that import torch, imported when they are first used.

Commands that list methods or plan a run import every method file, and must not wait for torch.
Type checkers read `lazy.pyi`, where the names are the modules themselves.
"""

from __future__ import annotations

import importlib
from typing import Any


class _LazyModule:
    """Imports a module when one of its attributes is first used."""

    def __init__(self, module: str) -> None:
        self._module = module

    def __getattr__(self, name: str) -> Any:
        value = getattr(importlib.import_module(self._module), name)
        setattr(self, name, value)
        return value


torch = _LazyModule("torch")
functional = _LazyModule("torch.nn.functional")
predictions = _LazyModule("distillation_bench.methods.predictions")
tasks = _LazyModule("distillation_bench.methods.tasks")
two_heads = _LazyModule("distillation_bench.methods.networks.two_heads")
batch_ensemble = _LazyModule("distillation_bench.methods.networks.batch_ensemble")
batched = _LazyModule("distillation_bench.methods.networks.batched")
dirichlets = _LazyModule("distillation_bench.methods.dirichlets")
frozen = _LazyModule("distillation_bench.methods.networks.frozen")
heads = _LazyModule("distillation_bench.methods.networks.heads")
lenet = _LazyModule("distillation_bench.methods.networks.lenet")
mlp = _LazyModule("distillation_bench.methods.networks.mlp")
rescaled = _LazyModule("distillation_bench.methods.networks.rescaled")
resnet = _LazyModule("distillation_bench.methods.networks.resnet")
wide_resnet = _LazyModule("distillation_bench.methods.networks.wide_resnet")
factor_model = _LazyModule("distillation_bench.methods.factor_model")
noisy_network = _LazyModule("distillation_bench.methods.networks.noisy_network")
sample_distances = _LazyModule("distillation_bench.methods.sample_distances")
logit_distributions = _LazyModule("distillation_bench.methods.logit_distributions")
low_discrepancy = _LazyModule("distillation_bench.methods.low_discrepancy")
flow = _LazyModule("distillation_bench.methods.flow")
velocity = _LazyModule("distillation_bench.methods.networks.velocity")
