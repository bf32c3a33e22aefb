"""Runs all checks of a plugin, and prints a line per check and a verdict."""

from __future__ import annotations

import signal
import tempfile
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, NamedTuple

from distillation_bench.bench.check import processor_time
from distillation_bench.bench.check.checks import Check, ContractBroken
from distillation_bench.bench.check.dataset_contract import dataset_checks
from distillation_bench.bench.check.method_contract import method_checks, resume_checks
from distillation_bench.bench.check.metric_contract import metric_checks
from distillation_bench.bench.check.network_contract import network_checks
from distillation_bench.bench.check.repeatability import Repeatability, Resume
from distillation_bench.bench.common.errors import UsageError
from distillation_bench.bench.common.text import terminal_safe
from distillation_bench.bench.execution.executors.base import (
    JobFailed,
    WorkerDied,
    WorkerLost,
    describe_failure,
)
from distillation_bench.bench.execution.executors.local import LocalExecutor
from distillation_bench.bench.metrics.registry import METRICS, Metric
from distillation_bench.bench.planning.plugins.installed_plugins import load_installed
from distillation_bench.bench.planning.plugins.loading import load_plugins
from distillation_bench.datasets import DATASETS
from distillation_bench.datasets.base import Dataset
from distillation_bench.methods import METHODS
from distillation_bench.methods.base import Method
from distillation_bench.methods.networks.families import FAMILIES, Family

CHECK_SECONDS = 10
"""Seconds of processor time that one check of a method or a metric may take.

Checks of datasets and networks have no limit, since data may take long to load, and networks may
be large.
"""
TOTAL_SECONDS = 600.0
"""Seconds of processor time that all checks may take together; only loading data gets there."""


class _Registered(NamedTuple):
    """What a plugin registers."""

    methods: list[type[Method]]
    datasets: list[type[Dataset]]
    networks: list[Family]
    metrics: list[Metric]


def check_isolated(path: str) -> bool:
    """Run `check_plugin` in a process of its own, because the plugin may kill or block it.

    Raises:
        UsageError: the plugin cannot be loaded or registers nothing.
    """
    executor = LocalExecutor(1)
    try:
        return bool(executor.submit(_check_within, TOTAL_SECONDS, path).result())
    except JobFailed as error:
        raise UsageError(error.reason) from None
    except (WorkerDied, WorkerLost) as error:
        print(f"\nverdict: does not fit: after the last line above, {error}", flush=True)
        return False
    finally:
        executor.stop()


def _check_within(seconds: float, path: str) -> bool:
    """Run `check_plugin` with a limit on the processor time of this process."""
    processor_time.limit(seconds)
    return check_plugin(path)


def check_plugin(path: str, resume: Resume | None = None) -> bool:
    """Check all that a plugin registers; return whether all checks pass.

    Args:
        path: of the plugin.
        resume: resumes interrupted cells, see `Repeatability`.

    Raises:
        UsageError: the plugin cannot be loaded or registers nothing.
    """
    registered = _load(path)
    with tempfile.TemporaryDirectory() as folder:
        repeatability = Repeatability(path, Path(folder), resume)
        passed = [
            _passes(name, check, CHECK_SECONDS)
            for name, check in _timed_checks(registered, repeatability)
        ]
        passed += [
            _passes(name, check) for name, check in _untimed_checks(registered, repeatability)
        ]
    names = ", ".join(repr(item.name) for items in registered for item in items)
    print(f"\nverdict: {names} {_verdict(passed)}", flush=True)
    return all(passed)


def _load(path: str) -> _Registered:
    """Load a plugin and return what it has registered."""
    registries: list[dict[str, Any]] = [METHODS, DATASETS, FAMILIES, METRICS]
    load_installed()
    names_before = [set(registry) for registry in registries]
    load_plugins([path])
    registered = _Registered(
        *(
            [registry[name] for name in registry if name not in before]
            for registry, before in zip(registries, names_before, strict=True)
        )
    )
    if not any(registered):
        raise UsageError(f"{path}: registers no method, dataset, network or metric")
    return registered


def _timed_checks(registered: _Registered, repeatability: Repeatability) -> Iterable[Check]:
    for method in registered.methods:
        yield from method_checks(method, repeatability)
    for metric in registered.metrics:
        yield from metric_checks(metric)


def _untimed_checks(registered: _Registered, repeatability: Repeatability) -> Iterable[Check]:
    for dataset in registered.datasets:
        yield from dataset_checks(dataset)
    for family in registered.networks:
        yield from network_checks(family)
    yield from resume_checks(registered.methods, repeatability)


def _verdict(passed: list[bool]) -> str:
    if all(passed):
        return f"fits ({len(passed)} check{'s' * (len(passed) != 1)})"
    return f"does not fit: {passed.count(False)} of {len(passed)} checks failed"


def _passes(name: str, check: Callable[[], None], seconds: float = 0) -> bool:
    """Run a check and print its line; return whether it raises nothing.

    Args:
        name: what the line says of the check.
        check: raises if the contract is broken.
        seconds: the most processor time; 0 for no limit.
    """
    signal.signal(signal.SIGPROF, _raise_timeout)
    signal.setitimer(signal.ITIMER_PROF, seconds)
    try:
        check()
    except (Exception, SystemExit, GeneratorExit) as error:
        is_broken = isinstance(error, ContractBroken)
        reason = str(error) if is_broken else describe_failure(error)[0]
        print(terminal_safe(f"FAIL  {name}: {' '.join(reason.split())}"), flush=True)
        return False
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
    print(terminal_safe(f"ok    {name}"), flush=True)
    return True


def _raise_timeout(number: int, frame: object) -> None:
    raise ContractBroken(f"took longer than {CHECK_SECONDS} s")
