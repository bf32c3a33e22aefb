"""Files of plugins that tests write, and a way to forget their modules."""

from __future__ import annotations

import importlib.metadata
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest

from distillation_bench.bench.common.hashing import file_digest
from distillation_bench.bench.planning.code_digests import class_code
from distillation_bench.bench.planning.plugins import installed_plugins, loading
from distillation_bench.methods import METHODS
from distillation_bench.methods.base import Method

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


def write(path: Path, text: str) -> str:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return str(path)


def twin(name: str, imports: str = "", within: str = "pass") -> str:
    return TWIN.format(name=name, imports=imports, within=within)


def as_in_another_process(folder: Path) -> None:
    """Forget the modules of a folder and what was cached about them."""
    for name, module in list(sys.modules.items()):
        if str(getattr(module, "__file__", "")).startswith(str(folder)) or name == "space_g":
            del sys.modules[name]
    sys.path[:] = [path for path in sys.path if not path.startswith(str(folder))]
    for name in ("m", "n"):
        METHODS.pop(name, None)
    loading._loaded.clear()
    loading._module_files.clear()
    file_digest.cache_clear()
    class_code.cache_clear()


def code_of(name: str) -> str:
    return class_code(METHODS[name], Method)


def installed_as(monkeypatch: pytest.MonkeyPatch, module: str, version: str = "1") -> None:
    """Make a module the entry point of a distribution of this version."""
    entry = importlib.metadata.EntryPoint("mine", module, installed_plugins.GROUP)
    entry = entry._for(SimpleNamespace(name="mine", version=version))  # type: ignore[attr-defined]
    monkeypatch.setattr(installed_plugins, "entry_points", lambda group: [entry])
    installed_plugins.import_installed.cache_clear()
    installed_plugins.installed_digest.cache_clear()
    class_code.cache_clear()
