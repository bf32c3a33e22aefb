"""Where tasks run: in this process, each in one of its own, or on a cluster. One interface."""

from bench.executors.engine import (
    PLAIN,
    Engine,
    Parcel,
    TaskFailed,
    TimedOut,
    WorkerDied,
    describe_failure,
)
from bench.executors.here import InProcess
from bench.executors.processes import ProcessPerTask, start_server

__all__ = [
    "PLAIN",
    "Engine",
    "InProcess",
    "Parcel",
    "ProcessPerTask",
    "TaskFailed",
    "TimedOut",
    "WorkerDied",
    "describe_failure",
    "start_server",
]
