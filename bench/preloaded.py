"""Loaded by the server that workers are forked from, and by nothing else."""

from __future__ import annotations

import atexit
import os

import bench.worker  # noqa: F401

# Python would take half a second to free what torch holds, the system takes none; a pipe that the
# run's output goes to stays open until then.
atexit.register(os._exit, 0)
