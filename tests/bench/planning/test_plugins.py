"""Plugins: whatever they raise is one line, all their files count, and they change nothing else."""

from __future__ import annotations

import contextlib
import importlib.metadata
import os
import signal
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from distillation_bench.bench.common import signals
from distillation_bench.bench.common.errors import UsageError
from distillation_bench.bench.common.hashing import file_digest
from distillation_bench.bench.execution.executors import LocalExecutor
from distillation_bench.bench.execution.workplace import Workplace
from distillation_bench.bench.metrics.registry import METRICS
from distillation_bench.bench.planning.code_digests import cell_code, class_code
from distillation_bench.bench.planning.plugins import integrity
from distillation_bench.bench.planning.plugins import loading as plugins
from distillation_bench.bench.planning.plugins.loading import (
    ChangedPlugin,
    Plugin,
    load_planned,
    load_plugins,
    plugin_path,
)
from distillation_bench.datasets import DATASETS
from distillation_bench.methods import METHODS
from distillation_bench.methods.base import Method
from distillation_bench.methods.tasks import TASKS

Mistake = Callable[..., str]
TWIN = """
from distillation_bench.methods import register
from distillation_bench.methods.kd import KD
{imports}

@register
class {name}(KD):
    name = "{name}"

    def loss(self, outputs, batch, now):
        {within}
        return super().loss(outputs, batch, now)
"""


@pytest.fixture(autouse=True)
def process() -> Iterator[None]:
    """What plugins leave in a process is gone after the test."""
    registries: list[dict[Any, Any]] = [METHODS, DATASETS, METRICS]
    registries += [plugins._LOADED, plugins._PLACES]
    kept = [dict(each) for each in registries]
    modules, path = set(sys.modules), list(sys.path)
    entered = set(plugins._ENTERED)
    yield
    plugins._ENTERED.intersection_update(entered)
    for registry, before in zip(registries, kept, strict=True):
        registry.clear()
        registry.update(before)
    for name in set(sys.modules) - modules:
        del sys.modules[name]
    sys.path[:] = path
    class_code.cache_clear()
    plugins.installed.cache_clear()


def write(path: Path, text: str) -> str:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return str(path)


def twin(name: str, imports: str = "", within: str = "pass") -> str:
    return TWIN.format(name=name, imports=imports, within=within)


def as_in_another_process(folder: Path) -> None:
    """Neither the modules of a folder nor what is known of them are kept in mind."""
    for name, module in list(sys.modules.items()):
        if str(getattr(module, "__file__", "")).startswith(str(folder)) or name == "space_g":
            del sys.modules[name]
    sys.path[:] = [each for each in sys.path if not each.startswith(str(folder))]
    for name in ("m", "n"):
        METHODS.pop(name, None)
    plugins._LOADED.clear()
    plugins._PLACES.clear()
    file_digest.cache_clear()
    class_code.cache_clear()


# Whatever they raise

BAD_TEXT = """
class Bad({base}):
    def __str__(self):
        raise {inner}
raise Bad
"""
RAISED = {
    "def f(): return f()\nf()": "RecursionError: maximum recursion depth exceeded",
    "raise MemoryError": "MemoryError",
    "import asyncio\nraise asyncio.CancelledError": "CancelledError",
    "raise KeyboardInterrupt": "KeyboardInterrupt",
    "raise SystemExit(0)": "SystemExit: 0",
    "import sys; sys.exit('bye')": "SystemExit: bye",
    "raise GeneratorExit": "GeneratorExit",
    "raise BaseExceptionGroup('all', [KeyboardInterrupt()])": "BaseExceptionGroup: all",
    "raise ExceptionGroup('two\\nlines', [ValueError(1)])": "ExceptionGroup: two lines",
    BAD_TEXT.format(base="Exception", inner="ValueError"): "Bad: its message can't be shown",
    BAD_TEXT.format(base="BaseException", inner="SystemExit"): "Bad: its message can't be shown",
    "import os; os._exit(0)": "os._exit(0) while it was imported",
    "from os import _exit; _exit(3)": "os._exit(3) while it was imported",
    "import posix; posix._exit(0)": "os._exit(0) while it was imported",
    "raise type('Odd', (BaseException,), {})": "Odd",
    "from distillation_bench.bench.common import errors; raise errors.UsageError('me')": "r: me",
    "1 +": "invalid syntax",
    "x = '\\0'\0": "null bytes",
    "x = " + "(" * 999 + ")" * 999: "too many nested parentheses",
    "import nothing_of_this_name": "ModuleNotFoundError: No module named",
    "raise ModuleNotFoundError('none', name='methods')": "distillation_bench.methods",
    "raise ImportError('none', name='bench.metrics')": "is distillation_bench.bench",
    "from . import helpers": "ImportError: attempted relative import",
}


@pytest.mark.parametrize("text", RAISED, ids=[reason[:20] for reason in RAISED.values()])
def test_what_a_plugin_raises_is_one_line(text: str, tmp_path: Path, mistake: Mistake) -> None:
    real = os._exit
    path = write(tmp_path / "raising.py", text)
    message = mistake(load_plugins, [path])
    assert message.startswith(path) and RAISED[text] in message
    assert os._exit is real
    # In a worker, too, where it was fine when it was planned.
    with contextlib.suppress(SyntaxError):
        file = plugins.File("raising", path, plugins._digest_of(Path(path)))
        planned = Plugin(path, str(tmp_path), ("raising",), (file,))
        assert RAISED[text] in mistake(load_planned, [planned])


def test_the_innermost_line_of_its_own_is_named(tmp_path: Path, mistake: Mistake) -> None:
    path = write(tmp_path / "outer.py", "import inner_part\ninner_part.fail()\n")
    inner = write(tmp_path / "inner_part.py", "import json\ndef fail():\n    json.loads('{')\n")
    assert mistake(load_plugins, [path]).startswith(f"{inner}:3: JSONDecodeError: ")


def test_a_line_of_this_suite_is_not_named(tmp_path: Path, mistake: Mistake) -> None:
    """What refuses a plugin is not where the mistake is."""
    text = (
        "from distillation_bench.datasets.base import Dataset\n\nclass Bare(Dataset):\n    pass\n"
    )
    path = write(tmp_path / "bare.py", text)
    assert mistake(load_plugins, [path]).startswith(f"{path}:3: TypeError: ")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_what_ends_the_program_stays_an_interruption(number: int, tmp_path: Path) -> None:
    """Whatever the plugin makes of it."""
    text = (
        f"import os\ntry:\n    os.kill(os.getpid(), {number})\n"
        "except KeyboardInterrupt:\n    raise ImportError('half imported')\n"
    )
    path = write(tmp_path / "slow.py", text)
    with signals.raise_interrupts():
        before = signal.getsignal(number)
        with pytest.raises(KeyboardInterrupt):
            load_plugins([path])
        assert signal.getsignal(number) is before


def test_ctrl_c_stays_an_interruption_in_a_program_of_the_users(tmp_path: Path) -> None:
    path = write(tmp_path / "slow.py", "import os, signal\nos.kill(os.getpid(), signal.SIGINT)\n")
    with pytest.raises(KeyboardInterrupt):
        load_plugins([path])
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_a_forked_child_may_leave(tmp_path: Path) -> None:
    text = (
        "import os\npid = os.fork()\nif not pid:\n    os._exit(7)\nSTATUS = os.waitpid(pid, 0)[1]\n"
    )
    load_plugins([write(tmp_path / "forking.py", text)])
    (module,) = (each for name, each in sys.modules.items() if name.startswith("plugin_forking_"))
    assert os.waitstatus_to_exitcode(module.STATUS) == 7


@pytest.mark.parametrize("raised", ["raise KeyboardInterrupt", "import os; os._exit(0)"])
def test_a_plugin_that_raises_in_a_worker_alone_ends_the_run(
    raised: str, tmp_path: Path, mistake: Mistake, processes: Callable[..., LocalExecutor]
) -> None:
    """No cell is to blame for it, and the next would say the same."""
    text = f"import os\nif os.getpid() != {os.getpid()}:\n    {raised}\n"
    planned = load_plugins([write(tmp_path / "elsewhere.py", text)])
    workplace = Workplace(str(tmp_path / "cache"), planned)
    message = mistake(processes(1).submit(workplace.open).result)
    assert message.startswith(f"{tmp_path / 'elsewhere.py'}:3: ")


# All their files count


def code_of(name: str) -> str:
    return class_code(METHODS[name], Method)


LAYOUTS: dict[str, tuple[dict[str, str], str, str]] = {
    # files; what --plugin names; what decides a value
    "a neighbour": (
        {"a/one.py": twin("m", "import helper_a"), "a/helper_a.py": "X = 1"},
        "a/one.py",
        "a/helper_a.py",
    ),
    "a neighbour's neighbour": (
        {
            "a/one.py": twin("m", "from helper_b import y"),
            "a/helper_b.py": "import deep_b\ny = 1",
            "a/deep_b.py": "X = 1",
        },
        "a/one.py",
        "a/deep_b.py",
    ),
    "an import in a function": (
        {"a/one.py": twin("m", within="import helper_c"), "a/helper_c.py": "X = 1"},
        "a/one.py",
        "a/helper_c.py",
    ),
    "an import by a computed name": (
        {
            "a/one.py": twin("m", "import importlib\nimportlib.import_module('helper' + '_d')"),
            "a/helper_d.py": "X = 1",
        },
        "a/one.py",
        "a/helper_d.py",
    ),
    "a folder": (
        {"b/one.py": twin("m", "import helper_e"), "b/helper_e.py": "X = 1"},
        "b",
        "b/helper_e.py",
    ),
    "files of a folder import one another": (
        {"b/one_f.py": twin("m"), "b/two_f.py": twin("n", "from one_f import m as Base")},
        "b",
        "b/one_f.py",
    ),
    "a package": (
        {
            "my_package/__init__.py": "from . import one",
            "my_package/one.py": twin("m", "from .sub.helpers import f"),
            "my_package/sub/__init__.py": "",
            "my_package/sub/helpers.py": "def f(): return 1",
        },
        "my_package",
        "my_package/sub/helpers.py",
    ),
    "a package whose init is empty": (
        {"my_empty/__init__.py": "", "my_empty/one.py": twin("m", "import my_empty.help")}
        | {"my_empty/help.py": "X = 1"},
        "my_empty",
        "my_empty/help.py",
    ),
    "a file in a package": (
        {"my_part/__init__.py": "", "my_part/one.py": twin("m", within="from . import help")}
        | {"my_part/help.py": "X = 1"},
        "my_part/one.py",
        "my_part/help.py",
    ),
    "a namespace": (
        {"c/one.py": twin("m", "import space_g.help"), "c/space_g/help.py": "X = 1"},
        "c/one.py",
        "c/space_g/help.py",
    ),
}


@pytest.mark.parametrize("layout", LAYOUTS)
def test_every_file_of_a_plugin_counts(layout: str, tmp_path: Path) -> None:
    files, named, deciding = LAYOUTS[layout]
    for name, text in files.items():
        write(tmp_path / name, text)
    path = plugin_path(str(tmp_path / named))
    (first,) = load_plugins([path])
    before = code_of("m")
    assert {file.path for file in first.own_files} == {str(tmp_path / name) for name in files}
    # Comments and layout do not count.
    write(tmp_path / deciding, f"# a comment\n{files[deciding]}\n")
    as_in_another_process(tmp_path)
    load_planned([first])
    assert code_of("m") == before
    write(tmp_path / deciding, f"{files[deciding]}\nX = 2\n")
    as_in_another_process(tmp_path)
    with pytest.raises(ChangedPlugin, match=f"{Path(deciding).name} was changed during the run"):
        load_planned([first])
    load_plugins([path])
    assert code_of("m") != before


@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_plugin_that_travels_is_the_same_elsewhere(layout: str, tmp_path: Path) -> None:
    files, named, _ = LAYOUTS[layout]
    for name, text in files.items():
        write(tmp_path / "there" / name, text)
    (plugin,) = load_plugins([plugin_path(str(tmp_path / "there" / named))])
    here = plugin.within(tmp_path / "here")
    for sent, arrived in zip(plugin.own_files, here.own_files, strict=True):
        write(Path(arrived.path), Path(sent.path).read_text())
    assert here.digest == plugin.digest
    as_in_another_process(tmp_path)
    # Even where those that it was copied from can be imported, too.
    sys.path.append(plugin.folder)
    load_planned([here])
    found = sys.modules[METHODS["m"].__module__].__file__
    assert found is not None and found.startswith(str(tmp_path / "here"))


def test_names_that_hide_one_another_are_refused(tmp_path: Path, mistake: Mistake) -> None:
    write(tmp_path / "a/helper_h.py", "X = 1")
    write(tmp_path / "b/helper_h.py", "X = 2")
    load_plugins([write(tmp_path / "a/one.py", "import helper_h")])
    other = write(tmp_path / "b/two.py", "import helper_h")
    assert f"{other}: imports helper_h, which is {tmp_path / 'a/helper_h.py'}; rename " in mistake(
        load_plugins, [other]
    )
    write(tmp_path / "c/random.py", "X = 1")
    path = write(tmp_path / "c/three.py", "import random")
    assert f"{path}: imports random, which is " in mistake(load_plugins, [path])
    # Files of one name in several folders are so many plugins, and an edited one is another.
    load_plugins([write(tmp_path / folder / "same.py", f"X = '{folder}'") for folder in "abcd"])
    file_digest.cache_clear()
    load_plugins([write(tmp_path / folder / "same.py", f"X = 2 * '{folder}'") for folder in "abcd"])


def test_a_folder_without_a_python_file_is_refused(tmp_path: Path, mistake: Mistake) -> None:
    assert "a folder without a Python file" in mistake(plugin_path, str(tmp_path))


# Installed packages


def installed_as(monkeypatch: pytest.MonkeyPatch, module: str, version: str = "1") -> None:
    """An entry point of this module, in a distribution of this version."""
    entry = importlib.metadata.EntryPoint("mine", module, plugins.GROUP)
    entry = entry._for(SimpleNamespace(name="mine", version=version))  # type: ignore[attr-defined]
    monkeypatch.setattr(plugins, "entry_points", lambda group: [entry])
    plugins.installed.cache_clear()
    plugins._installed_code.cache_clear()
    class_code.cache_clear()


@pytest.mark.parametrize("text", ["raise KeyboardInterrupt", "import os; os._exit(0)", "f()"])
def test_an_installed_plugin_that_raises_is_one_line(
    text: str, tmp_path: Path, mistake: Mistake, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(tmp_path / "entry_raising.py", text)
    monkeypatch.syspath_prepend(tmp_path)
    installed_as(monkeypatch, "entry_raising")
    # Other tests have loaded some.
    monkeypatch.setattr(plugins, "_LOADED", {})
    monkeypatch.setattr(plugins, "_ENTERED", set())
    assert not plugins.in_use()
    # A worker's server imports them, and must outlive it; its tasks say what is wrong.
    assert plugins.installed().startswith("plugin mine (entry_raising): ")
    assert mistake(plugins.load_installed).startswith("plugin mine (entry_raising): ")
    assert plugins.in_use()


def test_version_and_files_of_an_installed_plugin_count(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    site = tmp_path / "site-packages"
    write(site / "entry_whole/__init__.py", "from entry_whole import one")
    write(site / "entry_whole/one.py", twin("m"))
    rest = write(site / "entry_whole/rest.py", "X = 1")
    monkeypatch.syspath_prepend(site)
    codes = []
    for version, text in (("1", "X = 1"), ("2", "X = 1"), ("2", "X = 2")):
        write(Path(rest), text)
        file_digest.cache_clear()
        installed_as(monkeypatch, "entry_whole", version)
        plugins.load_installed()
        codes.append(code_of("m"))
    assert len(set(codes)) == 3


def test_code_of_no_file_is_refused(mistake: Mistake) -> None:
    assert "its source is no file" in mistake(plugins.module_code, "sys")


# They change nothing else

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


@pytest.mark.parametrize("patch", PATCHES, ids=[each[-30:] for each in PATCHES.values()])
def test_a_plugin_that_changes_other_code_is_refused(
    patch: str, tmp_path: Path, mistake: Mistake, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept = restorable()
    try:
        path = write(
            tmp_path / "patching.py", f"from distillation_bench.methods.kd import KD\n{patch}\n"
        )
        message = mistake(load_plugins, [path])
    finally:
        restore(kept)
    assert message.startswith(f"{path}: changes ") and PATCHES[patch] in message
    assert "derive a class of your own instead" in message


def restorable() -> list[tuple[Any, dict[str, Any]]]:
    """All that the patches change, as it is."""
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
    registries = [(each, dict(each)) for each in (METHODS, TASKS, METRICS)]
    function = (loss, {"__code__": loss.__code__, "__defaults__": loss.__defaults__})
    return [*registries, *((owner, dict(vars(owner))) for owner in owners), function]


def restore(kept: list[tuple[Any, dict[str, Any]]]) -> None:
    for owner, before in kept:
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
        for name in [each for each in changed if not each.startswith("__")]:
            setattr(owner, name, before[name])
    for task in TASKS.values():
        vars(task).pop("losses", None)


def test_a_module_that_a_plugin_brings_and_changes_is_looked_at(
    tmp_path: Path, mistake: Mistake, monkeypatch: pytest.MonkeyPatch
) -> None:
    import distillation_bench.datasets.shifts

    monkeypatch.delitem(sys.modules, "distillation_bench.datasets.shifts")
    monkeypatch.setattr("distillation_bench.datasets.shifts", distillation_bench.datasets.shifts)
    text = "import distillation_bench.datasets.shifts as s\ns.shifted = lambda *a: None\n"
    message = mistake(load_plugins, [write(tmp_path / "bringing.py", text)])
    assert "changes distillation_bench.datasets.shifts.shifted, which is not its own" in message


def test_plugins_leave_one_another_alone(tmp_path: Path, mistake: Mistake) -> None:
    load_plugins([write(tmp_path / "first.py", twin("m") + "\nSCALE = 3\n")])
    for change in ("METHODS['m'].loss = print", "sys.modules[METHODS['m'].__module__].SCALE = 4"):
        text = f"import sys\nfrom distillation_bench.methods import METHODS\n{change}\n"
        assert "which is not its own" in mistake(
            load_plugins, [write(tmp_path / "second.py", text)]
        )
        fresh_module = [name for name in sys.modules if name.startswith("plugin_second")]
        for name in fresh_module:
            del sys.modules[name]


def test_what_a_method_may_be_made_of(tmp_path: Path) -> None:
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


def test_a_method_that_was_replaced_before_is_refused(
    monkeypatch: pytest.MonkeyPatch, mistake: Mistake, cells: Callable[..., Any]
) -> None:
    """As by a script that patches a class and then calls the program."""
    assert "distillation_bench.methods.kd.KD.loss" not in str(cells("kd"))
    monkeypatch.setattr(METHODS["kd"], "loss", lambda self, outputs, batch, now: {})
    class_code.cache_clear()
    cell_code.cache_clear()
    assert mistake(lambda: cells("kd")) == (
        "distillation_bench.methods.kd.KD.loss is not what its source says: something replaced it"
    )
    cell_code.cache_clear()


def test_all_built_in_code_is_that_of_its_source() -> None:
    for method in METHODS.values():
        integrity.require_source(method, Method, ())
    assert not list(integrity._foreign_functions(()))


def test_a_plugins_mistake_is_a_usage_error(tmp_path: Path) -> None:
    with pytest.raises(UsageError):
        load_plugins([write(tmp_path / "wrong.py", "raise ValueError")])
