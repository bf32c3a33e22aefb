"""What a worker does instead of a job; apart, since each job's process imports it."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path
from typing import Any


def stand_in(fate: str, seconds: float, mark: str) -> Any:
    """Sleep, fail or die; of a cell returns body, history and curves."""
    time.sleep(seconds)
    if fate == "fails":
        raise ValueError("simulated")
    if fate == "dies" or (fate == "unlucky" and not Path(mark).exists()):
        Path(mark).touch()
        os.kill(os.getpid(), signal.SIGKILL)
    timings = {"seconds": seconds, "host": "simulated"}
    if fate == "teacher":
        return timings
    figures = {"accuracy": 0.5, "nll": 1.0}
    entry = {"set": "test", "shift": "", "severity": 0, "values": figures}
    return {"headline": figures, "sets": [entry] * 18, "timings": timings}, [], {}
