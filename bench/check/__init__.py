"""The contract test of a plugin: small, quick, and with a verdict."""

from __future__ import annotations

import signal
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from distillation_bench.bench.check.dataset_contract import dataset_checks
from distillation_bench.bench.check.method_contract import method_checks, resume_checks
from distillation_bench.bench.check.metric_contract import metric_checks
from distillation_bench.bench.check.promises import Broken
from distillation_bench.bench.check.whole_cell import Journeys
from distillation_bench.bench.common.errors import UsageError
from distillation_bench.bench.common.text import terminal_safe
from distillation_bench.bench.execution.executors import (
    JobFailed,
    LocalExecutor,
    TimedOut,
    WorkerDied,
    WorkerLost,
    describe_failure,
)
from distillation_bench.bench.metrics.registry import METRICS
from distillation_bench.bench.planning.plugins.installed_plugins import load_installed
from distillation_bench.bench.planning.plugins.loading import load_plugins
from distillation_bench.datasets import DATASETS
from distillation_bench.methods import METHODS

CHECK_SECONDS = 10
"""Of processor time, that a check of a method or metric may take, whatever else the machine does.

Data may take as long as they do.
"""
CHECKING_SECONDS = 300.0
"""That all checks together may take; only what waits for ever, or loads data without end, does."""


def check_apart(path: str) -> bool:
    """`check_plugin` in a process of its own, which the plugin may kill or hang.

    Raises:
        UsageError: it can't be loaded or registers nothing.
    """
    executor = LocalExecutor(1, CHECKING_SECONDS)
    try:
        return bool(executor.submit(check_plugin, path).result())
    except JobFailed as error:
        raise UsageError(error.reason) from None
    except (TimedOut, WorkerDied, WorkerLost) as error:
        print(f"\nverdict: does not fit: after the last line above, {error}", flush=True)
        return False
    finally:
        executor.stop()


def check_plugin(path: str, elsewhere: Callable[[str, Path], None] | None = None) -> bool:
    """Check all that a plugin registers; prints a line a check and a verdict.

    Args:
        path: of the plugin.
        elsewhere: see `Journeys`.

    Raises:
        UsageError: it can't be loaded or registers nothing.
    """
    registries: list[dict[str, Any]] = [METHODS, DATASETS, METRICS]
    load_installed()
    before = [set(registry) for registry in registries]
    load_plugins([path])
    methods, datasets, metrics = (
        [registry[name] for name in registry if name not in known]
        for registry, known in zip(registries, before, strict=True)
    )
    if not (methods or datasets or metrics):
        raise UsageError(f"{path}: registers no method, dataset or metric")
    with tempfile.TemporaryDirectory() as folder:
        journeys = Journeys(path, Path(folder), elsewhere)
        checks = [check for method in methods for check in method_checks(method, journeys)]
        checks += [check for metric in metrics for check in metric_checks(metric)]
        passed = [_passes(name, check, CHECK_SECONDS) for name, check in checks]
        checks = [check for dataset in datasets for check in dataset_checks(dataset)]
        checks += resume_checks(methods, journeys)
        passed += [_passes(name, check) for name, check in checks]
    names = ", ".join(repr(each.name) for each in [*methods, *datasets, *metrics])
    failures = f"{passed.count(False)} of {len(passed)} checks failed"
    verdict = (
        f"fits ({len(passed)} check{'s' * (len(passed) != 1)})"
        if all(passed)
        else f"does not fit: {failures}"
    )
    print(f"\nverdict: {names} {verdict}", flush=True)
    return all(passed)


def _passes(name: str, check: Callable[[], None], seconds: float = 0) -> bool:
    """Whether a check raises nothing in so many seconds of processor time; 0: in any time."""
    signal.signal(signal.SIGPROF, _too_long)
    signal.setitimer(signal.ITIMER_PROF, seconds)
    try:
        check()
    except (Exception, SystemExit, GeneratorExit) as error:
        reason = str(error) if isinstance(error, Broken) else describe_failure(error)[0]
        print(terminal_safe(f"FAIL  {name}: {' '.join(reason.split())}"), flush=True)
        return False
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
    print(terminal_safe(f"ok    {name}"), flush=True)
    return True


def _too_long(number: int, frame: object) -> None:
    raise Broken(f"took longer than {CHECK_SECONDS} s")
