"""What the driver, the server and the forked processes send to each other."""

from __future__ import annotations

import signal
import struct

BLOCKED_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
"""Blocked in the server, since they reach all processes of a terminal or a group. The driver
decides what they mean."""
FORK_REQUEST = b"f"
"""What the driver sends to the server, with two sockets for the child."""
NUMBER = struct.Struct("i")
"""What the server sends to the driver: a child's process id, or -errno if none was forked; then
how the child ended, as in `Popen.returncode`."""
ACCEPTED = b"a"
"""What a process sends before it runs a job."""
LENGTH_BYTES = 8
"""The bytes in front of a message that hold its length."""


def framed(message: bytes) -> bytes:
    """Return a message as it is sent, with its length in front."""
    return len(message).to_bytes(LENGTH_BYTES) + message


def is_whole_answer(received: bytearray) -> bool:
    """Return whether all of an answer has been received: `ACCEPTED` and a framed message."""
    header = len(ACCEPTED) + LENGTH_BYTES
    return len(received) >= header + int.from_bytes(received[len(ACCEPTED) : header])
