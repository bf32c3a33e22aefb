"""A plugin that changes code other than its own is refused."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tests.bench.planning.plugins.plugin_files import (
    Mistake,
    code_of,
    twin,
    write,
)

from distillation_bench.bench.metrics.registry import METRICS
from distillation_bench.bench.planning.code_digests import cell_code, class_code
from distillation_bench.bench.planning.plugins import integrity
from distillation_bench.bench.planning.plugins.loading import (
    load_plugins,
)
from distillation_bench.methods import METHODS
from distillation_bench.methods.base import Method
from distillation_bench.methods.tasks import TASKS

PATCHES = {
    "KD.loss = lambda self, outputs, batch, now: {}": "methods.kd.KD.loss",
    "import functools\nold = KD.loss\n@functools.wraps(old)\ndef loss(*a): return old(*a)\n"
    "KD.loss = loss": "methods.kd.KD.loss",
    "KD.loss.__code__ = (lambda self, outputs, batch, now: {}).__code__": "methods.kd.KD.loss",
    "KD.loss.__defaults__ = (1,)": "methods.kd.KD.loss",
    "KD.forward = lambda self, network, x, generator: x": "methods.kd.KD.forward",
    "KD.taught = False": "methods.kd.KD.taught",
    "del KD.loss": "methods.kd.KD.loss",
    "from distillation_bench.methods.base import Method\n"
    "Method.predict = None": "methods.base.Method.predict",
    "from distillation_bench.methods import METHODS\n"
    "METHODS['kd'] = METHODS['hydra']": "methods.METHODS['kd']",
    "from distillation_bench.methods import METHODS\n"
    "METHODS.pop('gauss')": "methods.METHODS['gauss']",
    "from distillation_bench.methods import tasks as t\n"
    "t.TASKS['regression'] = t.TASKS['classification']": "TASKS['regr",
    "from distillation_bench.methods import tasks as t\n"
    "t.TASKS['regression'].losses = print": "methods.tasks.TASKS['regr",
    "from distillation_bench.methods import tasks as t\n"
    "t.log_softmax = print": "methods.tasks.log_softmax",
    "import distillation_bench.methods.kd\n"
    "distillation_bench.methods.kd.len = lambda x: 3": "methods.kd.len",
    "import distillation_bench.bench.metrics.arrays as a\n"
    "a.divergence = print": "metrics.arrays.divergence",
    "from distillation_bench.bench.metrics.registry import METRICS\n"
    "METRICS['nll'] = METRICS['ece']": "METRICS['nll']",
    "from distillation_bench.datasets.spiral import Spiral\n"
    "Spiral.outputs = 4": "datasets.spiral.Spiral.outputs",
    "import distillation_bench.bench.common.random_streams as r\n"
    "r.stream_seed = lambda *a: 0": "common.random_streams.stream_seed",
}


@pytest.mark.parametrize("patch", PATCHES, ids=[name[-30:] for name in PATCHES.values()])
def test_a_plugin_that_changes_other_code_is_refused(
    patch: str, tmp_path: Path, mistake: Mistake, monkeypatch: pytest.MonkeyPatch
) -> None:
    state = restorable()
    try:
        path = write(
            tmp_path / "patching.py", f"from distillation_bench.methods.kd import KD\n{patch}\n"
        )
        message = mistake(load_plugins, [path])
    finally:
        restore(state)
    assert message.startswith(f"{path}: changes ") and PATCHES[patch] in message
    assert "derive a class of your own instead" in message


def restorable() -> list[tuple[Any, dict[str, Any]]]:
    """Return the present state of all that the patches change."""
    import distillation_bench.bench.common.random_streams
    import distillation_bench.bench.metrics.arrays
    import distillation_bench.datasets.spiral
    import distillation_bench.methods.base
    import distillation_bench.methods.kd
    import distillation_bench.methods.tasks

    owners = (
        *(
            distillation_bench.methods.kd,
            distillation_bench.methods.kd.KD,
            distillation_bench.methods.base.Method,
            distillation_bench.methods.tasks,
            distillation_bench.bench.metrics.arrays,
        ),
        *(
            distillation_bench.datasets.spiral.Spiral,
            distillation_bench.bench.common.random_streams,
        ),
    )
    loss = distillation_bench.methods.kd.KD.loss
    registries = [(registry, dict(registry)) for registry in (METHODS, TASKS, METRICS)]
    function = (loss, {"__code__": loss.__code__, "__defaults__": loss.__defaults__})
    return [*registries, *((owner, dict(vars(owner))) for owner in owners), function]


def restore(state: list[tuple[Any, dict[str, Any]]]) -> None:
    for owner, before in state:
        if isinstance(owner, dict):
            owner.clear()
            owner.update(before)
            continue
        if "__code__" in before:
            owner.__code__, owner.__defaults__ = before["__code__"], before["__defaults__"]
            continue
        for name in set(vars(owner)) - set(before):
            delattr(owner, name)
        changed = (name for name in before if vars(owner).get(name) is not before[name])
        for name in [name for name in changed if not name.startswith("__")]:
            setattr(owner, name, before[name])
    for task in TASKS.values():
        vars(task).pop("losses", None)


def test_a_module_that_a_plugin_imports_first_and_changes_is_checked(
    tmp_path: Path, mistake: Mistake, monkeypatch: pytest.MonkeyPatch
) -> None:
    import distillation_bench.datasets.shifts

    monkeypatch.delitem(sys.modules, "distillation_bench.datasets.shifts")
    monkeypatch.setattr("distillation_bench.datasets.shifts", distillation_bench.datasets.shifts)
    text = "import distillation_bench.datasets.shifts as s\ns.shifted = lambda *a: None\n"
    message = mistake(load_plugins, [write(tmp_path / "bringing.py", text)])
    assert "changes distillation_bench.datasets.shifts.shifted, which it does not define" in message


def test_a_plugin_that_changes_another_is_refused(tmp_path: Path, mistake: Mistake) -> None:
    load_plugins([write(tmp_path / "first.py", twin("m") + "\nSCALE = 3\n")])
    for change in ("METHODS['m'].loss = print", "sys.modules[METHODS['m'].__module__].SCALE = 4"):
        text = f"import sys\nfrom distillation_bench.methods import METHODS\n{change}\n"
        assert "which it does not define" in mistake(
            load_plugins, [write(tmp_path / "second.py", text)]
        )
        fresh_module = [name for name in sys.modules if name.startswith("plugin_second")]
        for name in fresh_module:
            del sys.modules[name]


def test_functions_defined_in_several_ways_are_accepted(tmp_path: Path) -> None:
    text = """
import dataclasses, functools
from distillation_bench.methods import register
from distillation_bench.methods.kd import KD
from distillation_bench.methods.hydra import Hydra

def made(scale):
    def loss(self, outputs, batch, now):
        return {name: scale * term for name, term in KD.loss(self, outputs, batch, now).items()}
    return loss

@register
class Made(KD):
    name = "made"
    loss = made(3)
    other = Hydra.loss
    cached = functools.cached_property(lambda self: 1)
    still = staticmethod(lambda: 1)
    part = functools.partialmethod(made, 2)
"""
    load_plugins([write(tmp_path / "made.py", text)])
    assert code_of("made")


def test_a_method_that_was_patched_before_is_refused(
    monkeypatch: pytest.MonkeyPatch, mistake: Mistake, cells: Callable[..., Any]
) -> None:
    """A script could patch a class and then call the program."""
    assert "distillation_bench.methods.kd.KD.loss" not in str(cells("kd"))
    monkeypatch.setattr(METHODS["kd"], "loss", lambda self, outputs, batch, now: {})
    class_code.cache_clear()
    cell_code.cache_clear()
    assert mistake(lambda: cells("kd")) == (
        "distillation_bench.methods.kd.KD.loss differs from its source: it was replaced after "
        "the import"
    )
    cell_code.cache_clear()


def test_all_built_in_code_matches_its_source() -> None:
    for method in METHODS.values():
        integrity.require_source(method, Method, ())
    assert not list(integrity._foreign_functions(()))
