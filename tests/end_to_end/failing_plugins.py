"""Plugins whose methods fail in each possible way."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

CELL = ("-m", "kd", "-d", "spiral", "-s", "0", "--set", "epochs=2", "--set", "members=2")
"""Options of `run` for one cell that is done in a second."""


FAILING = """
import torch
from distillation_bench.methods import Method, register
from distillation_bench.methods.networks.heads import core_and_heads

@register
class Failing(Method):
    name = "failing"
    summary = "{summary}"
    paper = "none"

    def build(self, generator):
        return core_and_heads(self.setting.networks, 1, generator)

    def loss(self, outputs, batch, now):
        {action}
        return {{"correctness": self.task.correctness(outputs, batch.y)}}
"""


def failing_plugin(folder: Path, action: str) -> tuple[str, ...]:
    path = folder / "failing.py"
    path.write_text(FAILING.format(action=action, summary=action.replace('"', "'")))
    return "--plugin", str(path), "-m", "failing", *CELL


TIMEOUT = ("--timeout", "5")
ENDS = {
    "exits": ("__import__('sys').exit(0)", "SystemExit: 0"),
    "dies": (
        "__import__('os').kill(__import__('os').getpid(), 9)",
        "the worker was killed by SIGKILL (out of memory?), 2 times",
    ),
    "hangs": ("__import__('time').sleep(600)", "took longer than 5 s"),
}


def ending_plugin(folder: Path, names: Iterable[str]) -> tuple[str, ...]:
    """Write a plugin with a method for each way to fail."""
    path = folder / "ends.py"
    parts = [
        FAILING.format(action=ENDS[name][0], summary=name)
        .replace('"failing"', f'"{name}"')
        .replace("class Failing", f"class {name.title()}")
        for name in names
    ]
    path.write_text("".join(parts))
    return "--plugin", str(path), *(text for name in names for text in ("-m", name))
