"""Any exception of a plugin becomes a message of one line; interruptions stay interruptions."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.bench.planning.plugins.plugin_files import (
    Mistake,
    installed_as,
    write,
)

from distillation_bench.bench.common import signals
from distillation_bench.bench.common.errors import UsageError
from distillation_bench.bench.execution.executors.local import LocalExecutor
from distillation_bench.bench.execution.workplace import Workplace
from distillation_bench.bench.planning.plugins import installed_plugins, loading
from distillation_bench.bench.planning.plugins.loading import load_planned, load_plugins
from distillation_bench.bench.planning.plugins.plugin_files import (
    Plugin,
    PluginFile,
    content_digest,
)

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
    "import os; os._exit(0)": "os._exit(0) during the import",
    "from os import _exit; _exit(3)": "os._exit(3) during the import",
    "import posix; posix._exit(0)": "os._exit(0) during the import",
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
def test_an_exception_of_a_plugin_is_reported_in_one_line(
    text: str, tmp_path: Path, mistake: Mistake
) -> None:
    real = os._exit
    path = write(tmp_path / "raising.py", text)
    message = mistake(load_plugins, [path])
    assert message.startswith(path) and RAISED[text] in message
    assert os._exit is real
    # Also in a worker, if the import succeeded when the cells were planned.
    with contextlib.suppress(UsageError):
        file = PluginFile("raising", path, content_digest(Path(path)))
        planned = Plugin(path, str(tmp_path), ("raising",), (file,))
        assert RAISED[text] in mistake(load_planned, [planned])


def test_the_innermost_line_of_the_plugin_is_named(tmp_path: Path, mistake: Mistake) -> None:
    path = write(tmp_path / "outer.py", "import inner_part\ninner_part.fail()\n")
    inner = write(tmp_path / "inner_part.py", "import json\ndef fail():\n    json.loads('{')\n")
    assert mistake(load_plugins, [path]).startswith(f"{inner}:3: JSONDecodeError: ")


def test_a_line_of_this_suite_is_not_named(tmp_path: Path, mistake: Mistake) -> None:
    """The mistake is not in the line of this suite that refuses a plugin."""
    text = (
        "from distillation_bench.datasets.base import Dataset\n\nclass Bare(Dataset):\n    pass\n"
    )
    path = write(tmp_path / "bare.py", text)
    assert mistake(load_plugins, [path]).startswith(f"{path}:3: TypeError: ")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_stays_an_interruption(number: int, tmp_path: Path) -> None:
    """Whatever exception the plugin turns it into."""
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


def test_ctrl_c_stays_an_interruption_in_a_users_own_program(tmp_path: Path) -> None:
    path = write(tmp_path / "slow.py", "import os, signal\nos.kill(os.getpid(), signal.SIGINT)\n")
    with pytest.raises(KeyboardInterrupt):
        load_plugins([path])
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_a_forked_child_may_exit(tmp_path: Path) -> None:
    text = (
        "import os\npid = os.fork()\nif not pid:\n    os._exit(7)\nSTATUS = os.waitpid(pid, 0)[1]\n"
    )
    load_plugins([write(tmp_path / "forking.py", text)])
    (module,) = (value for name, value in sys.modules.items() if name.startswith("plugin_forking_"))
    assert os.waitstatus_to_exitcode(module.STATUS) == 7


@pytest.mark.parametrize("raised", ["raise KeyboardInterrupt", "import os; os._exit(0)"])
def test_a_plugin_that_raises_only_in_workers_ends_the_run(
    raised: str, tmp_path: Path, mistake: Mistake, processes: Callable[..., LocalExecutor]
) -> None:
    """No cell is at fault, and every cell would fail."""
    text = f"import os\nif os.getpid() != {os.getpid()}:\n    {raised}\n"
    planned = load_plugins([write(tmp_path / "elsewhere.py", text)])
    workplace = Workplace(str(tmp_path / "cache"), planned)
    message = mistake(processes(1).submit(workplace.open).result)
    assert message.startswith(f"{tmp_path / 'elsewhere.py'}:3: ")


@pytest.mark.parametrize("text", ["raise KeyboardInterrupt", "import os; os._exit(0)", "f()"])
def test_an_exception_of_an_installed_plugin_is_reported_in_one_line(
    text: str, tmp_path: Path, mistake: Mistake, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(tmp_path / "entry_raising.py", text)
    monkeypatch.syspath_prepend(tmp_path)
    installed_as(monkeypatch, "entry_raising")
    # Other tests have loaded plugins.
    monkeypatch.setattr(loading, "_loaded", {})
    monkeypatch.setattr(installed_plugins, "_imported", set())
    assert not loading.in_use()
    # The fork server imports them and must survive the error; jobs then report it.
    assert installed_plugins.import_installed().startswith("plugin mine (entry_raising): ")
    assert mistake(installed_plugins.load_installed).startswith("plugin mine (entry_raising): ")
    assert loading.in_use()


def test_a_plugins_mistake_is_a_usage_error(tmp_path: Path) -> None:
    with pytest.raises(UsageError):
        load_plugins([write(tmp_path / "wrong.py", "raise ValueError")])
