"""Heavy modules, imported when first used.

Listing methods or planning a grid reads every method file; none of that may wait for torch.
Type checkers read `lazy.pyi`, where the names are the modules themselves.
"""

from __future__ import annotations

import importlib
from typing import Any


class _Lazy:
    def __init__(self, module: str) -> None:
        self._module = module

    def __getattr__(self, name: str) -> Any:
        value = getattr(importlib.import_module(self._module), name)
        setattr(self, name, value)
        return value


torch = _Lazy("torch")
functional = _Lazy("torch.nn.functional")
heads = _Lazy("distillation_bench.methods.networks.heads")
predictions = _Lazy("distillation_bench.methods.predictions")
