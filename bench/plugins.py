"""Code from outside the repository: files named by `--plugin`, and installed entry points.

A plugin is a Python file (or an entry point of the group `distillation_bench`) that, when it is
imported, registers methods, datasets or metrics. It is code and is run as such: trust it.
"""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Iterable
from importlib.metadata import entry_points
from pathlib import Path

from bench.errors import UsageError, nearest
from bench.fingerprint import file_digest

GROUP = "distillation_bench"


def plugin_path(text: str, place: str = "--plugin") -> str:
    """The plugin's absolute path.

    Raises:
        UsageError: no such Python file.
    """
    try:
        path = Path(text).expanduser().resolve()
    except RuntimeError:
        # Links in a circle, or ~NAME of nobody.
        raise UsageError(f"{place} {text}: no such file") from None
    if path.is_dir():
        raise UsageError(f"{place} {text}: a folder, not a Python file")
    if not path.is_file():
        near = nearest(path.name, [each.name for each in path.parent.glob("*.py")])
        raise UsageError(f"{place} {text}: no such file{near}")
    if path.suffix != ".py":
        raise UsageError(f"{place} {text}: not a Python file")
    return str(path)


def load_plugins(paths: Iterable[str]) -> None:
    """Import each file once.

    Raises:
        UsageError: it can't be imported; with its line and reason.
    """
    for path in paths:
        _load_file(Path(path))


def load_planned(plugins: Iterable[tuple[str, str]]) -> None:
    """Import files whose digests were taken when the cells were planned.

    Raises:
        UsageError: one has changed since: its figures would stand under another code's name.
    """
    for path, digest in plugins:
        if file_digest(Path(path)) != digest:
            raise UsageError(f"{path} was changed during the run; run the same command again")
        _load_file(Path(path))


def load_installed() -> None:
    """Import the plugins of installed packages.

    Raises:
        UsageError: one can't be imported.
    """
    for entry in entry_points(group=GROUP):
        try:
            entry.load()
        except (Exception, SystemExit) as error:
            raise UsageError(f"plugin {entry.name} ({entry.value}): {_reason(error)}") from None


def _load_file(path: Path) -> None:
    # The name holds the content, so that an edited file is a new module.
    try:
        name = f"plugin_{path.stem}_{file_digest(path)[:8]}"
    except SyntaxError as error:
        raise UsageError(f"{path}:{error.lineno}: {error.msg}") from None
    except (OSError, ValueError) as error:
        raise UsageError(f"{path}: {error}") from None
    if name in sys.modules:
        return
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except (Exception, SystemExit) as error:
        del sys.modules[name]
        raise UsageError(f"{path}{_line_in(error, path)}: {_reason(error)}") from None


def _reason(error: BaseException) -> str:
    return f"{type(error).__name__}: {' '.join(str(error).split())}"


def _line_in(error: BaseException, path: Path) -> str:
    line = ""
    trace = error.__traceback__
    while trace is not None:
        if trace.tb_frame.f_code.co_filename == str(path):
            line = f":{trace.tb_lineno}"
        trace = trace.tb_next
    return line
