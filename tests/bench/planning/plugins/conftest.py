"""Fixtures for the tests of plugins."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import Any

import pytest

from distillation_bench.bench.metrics.registry import METRICS
from distillation_bench.bench.planning.code_digests import class_code
from distillation_bench.bench.planning.plugins import installed_plugins, loading
from distillation_bench.datasets import DATASETS
from distillation_bench.methods import METHODS
from distillation_bench.methods.networks.families import FAMILIES


@pytest.fixture(autouse=True)
def process() -> Iterator[None]:
    """Remove what plugins leave in the process after each test."""
    registries: list[dict[Any, Any]] = [METHODS, DATASETS, FAMILIES, METRICS]
    registries += [loading._loaded, loading._module_files]
    contents = [dict(registry) for registry in registries]
    modules, path = set(sys.modules), list(sys.path)
    entered = set(installed_plugins._imported)
    yield
    installed_plugins._imported.intersection_update(entered)
    for registry, before in zip(registries, contents, strict=True):
        registry.clear()
        registry.update(before)
    for name in set(sys.modules) - modules:
        del sys.modules[name]
    sys.path[:] = path
    class_code.cache_clear()
    installed_plugins.import_installed.cache_clear()
