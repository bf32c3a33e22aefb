"""Fixtures of the tests of bench: planned cells, executors and messages of errors."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import pytest
from tests.bench.complete_runs import complete_run, driver  # noqa: F401
from tests.bench.generated_runs import make_run, results_of  # noqa: F401

from distillation_bench.bench.common.errors import UsageError
from distillation_bench.bench.execution.executors.local import LocalExecutor
from distillation_bench.bench.planning.cells import Cell, make_cells
from distillation_bench.bench.planning.configuration.config import Config, Variant
from distillation_bench.bench.planning.configuration.option_values import parse_variant


@pytest.fixture(scope="session")
def mistake() -> Callable[..., str]:
    """mistake(function, *arguments): the message of its UsageError, which is one line."""

    def message(function: Callable[..., Any], *arguments: Any) -> str:
        with pytest.raises(UsageError) as caught:
            function(*arguments)
        text = str(caught.value)
        assert len(text.splitlines()) == 1, text
        return text

    return message


@pytest.fixture(scope="session")
def cells() -> Callable[..., list[Cell]]:
    """cells("kd", "hydra[heads=2,3]", datasets=["sine"], recipe={"epochs": 5}): the plan."""

    def plan(
        *methods: str | Variant,
        datasets: Sequence[str] = ("spiral",),
        seeds: Sequence[int] = (0,),
        recipe: Mapping[str, Any] | None = None,
        recipes: Mapping[str, Mapping[str, Any]] | None = None,
        locations: Mapping[str, str] | None = None,
    ) -> list[Cell]:
        variants = tuple(
            parse_variant(method) if isinstance(method, str) else method
            for method in methods or ["kd"]
        )
        config = Config(
            datasets=tuple(datasets),
            variants=variants,
            seeds=tuple(seeds),
            recipe=recipe or {},
            recipes=recipes or {},
            locations=locations or {},
        )
        return make_cells(config)

    return plan


@pytest.fixture
def processes() -> Iterator[Callable[..., LocalExecutor]]:
    """processes(jobs, timeout): an executor whose workers are ended with the test."""
    executors: list[LocalExecutor] = []

    def make(jobs: int = 4, timeout: float | None = None) -> LocalExecutor:
        executors.append(LocalExecutor(jobs, timeout))
        return executors[-1]

    yield make
    for executor in executors:
        executor.stop()
