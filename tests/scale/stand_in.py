"""The stand-in for a job; a module of its own, since each job's process imports it."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path
from typing import Any

from distillation_bench.bench.training.cell_result import CellResult


def stand_in(fate: str, seconds: float, mark: str) -> Any:
    """Sleep, fail or die; return the result of a cell."""
    time.sleep(seconds)
    if fate == "fails":
        raise ValueError("simulated")
    if fate == "dies" or (fate == "unlucky" and not Path(mark).exists()):
        Path(mark).touch()
        os.kill(os.getpid(), signal.SIGKILL)
    timings = {"seconds": seconds, "host": "simulated"}
    if fate == "teacher":
        return None
    figures = {"accuracy": 0.5, "nll": 1.0}
    entry = {"set": "test", "shift": "", "severity": 0, "values": figures}
    return CellResult(figures, [entry] * 18, timings, {}, [], {})
