"""The driver's side of the server that workers are forked from (`fork_server.py`)."""

from __future__ import annotations

import contextlib
import math
import os
import selectors
import signal
import socket
import subprocess
import sys
import threading
import time

from distillation_bench.bench.common.paths import IMPORT_FOLDER
from distillation_bench.bench.execution.executors.processes.wire_format import (
    ACCEPTED,
    BLOCKED_SIGNALS,
    FORK_REQUEST,
    LENGTH_BYTES,
    NUMBER,
    framed,
    is_whole_answer,
)

CHUNK_BYTES = 2**18
MAX_WAIT_SECONDS = 3600.0
"""The longest single wait; the system accepts no more than some weeks."""
SERVER_MODULE = f"{__package__}.fork_server"
"""The interpreter of the server imports it; this process does not."""


class ForkedProcess:
    """A process that the server has forked.

    Attributes:
        pid: its process id.
        status: how it ended, as in `Popen.returncode`; None while it runs, and if the server ended,
            since then the process ends without a known status.
        accepted: whether it has received the last message and begun to run the job.
    """

    def __init__(self, messages: socket.socket, control: socket.socket) -> None:
        self._messages = messages
        self._control = control
        self.pid = 0
        self.status: int | None = None
        self.accepted = False

    def has_started(self) -> bool:
        """Wait until the process runs; return False if the server was killed just now.

        Raises:
            OSError: the system has no room for another process.
        """
        pid = self._receive_number()
        if pid is not None and pid <= 0:
            raise OSError(-pid, os.strerror(-pid))
        self.pid = pid or 0
        return pid is not None

    def signal(self, *numbers: int) -> None:
        """Let the server send signals to the process, unless it has ended."""
        with contextlib.suppress(OSError):
            self._control.send(bytes(numbers))

    def exchange(self, message: bytes, timeout: float | None) -> bytes | None:
        """Send a message and wait for the answer; return None if the process ended without one.

        Children of the process may hold its end of the socket open, so this waits for the end of
        the process, too.

        Raises:
            TimeoutError: the answer took too long.
        """
        deadline = math.inf if timeout is None else time.monotonic() + timeout
        unsent, answer = memoryview(framed(message)), bytearray()
        self._messages.setblocking(False)
        self.accepted = False
        with selectors.PollSelector() as selector:
            selector.register(self._messages, selectors.EVENT_READ | selectors.EVENT_WRITE)
            selector.register(self._control, selectors.EVENT_READ)
            while not is_whole_answer(answer):
                events = _next_events(selector, deadline)
                message_event = events.get(self._messages, 0)
                if message_event & selectors.EVENT_READ:
                    if chunk := self._receive():
                        answer += chunk
                        self.accepted = True
                    else:
                        selector.unregister(self._messages)
                elif message_event:
                    unsent = self._send(unsent)
                    if not unsent:
                        selector.modify(self._messages, selectors.EVENT_READ)
                elif events:
                    self.status = self._receive_number()
                    return None
        return bytes(answer[len(ACCEPTED) + LENGTH_BYTES :])

    def _receive(self) -> bytes:
        """Return what the process has sent; nothing at the end."""
        try:
            return self._messages.recv(CHUNK_BYTES)
        except ConnectionResetError:
            return b""

    def _send(self, unsent: memoryview) -> memoryview:
        """Send what there is room for; return the rest."""
        try:
            return unsent[self._messages.send(unsent) :]
        except BlockingIOError:
            return unsent
        except OSError:
            # The process has ended; the next event is that its end of the socket is closed.
            return unsent[:0]

    def kill(self, seconds: float) -> None:
        """Kill the process and wait for its end, at most for this time."""
        self.signal(signal.SIGKILL)
        self._control.settimeout(seconds)
        with contextlib.suppress(TimeoutError):
            self.status = self._receive_number()

    def _receive_number(self) -> int | None:
        """Return the next number from the server; None if it is gone."""
        with contextlib.suppress(ConnectionResetError):
            if received := self._control.recv(NUMBER.size):
                number: int = NUMBER.unpack(received)[0]
                return number
        return None

    def close(self) -> None:
        """Let the server end the process if it still runs: first SIGTERM, then SIGKILL."""
        self._messages.close()
        self._control.close()


def _next_events(selector: selectors.BaseSelector, deadline: float) -> dict[object, int]:
    """Wait for events; return those of each socket, or nothing if it is time for another wait.

    Raises:
        TimeoutError: the deadline has passed.
    """
    seconds = max(0.0, deadline - time.monotonic())
    selected = selector.select(min(seconds, MAX_WAIT_SECONDS))
    if not selected and time.monotonic() >= deadline:
        raise TimeoutError
    return {key.fileobj: mask for key, mask in selected}


class _ServerProcess:
    """The server of this process, which is started again whenever it has ended."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._pid = 0
        self._socket: socket.socket | None = None

    def start(self) -> None:
        """Start the server, unless it runs."""
        with self._lock:
            self._running_socket()

    def fork(self) -> ForkedProcess:
        """Request a new process.

        Raises:
            OSError: the server cannot be started, or too many files are open.
        """
        messages, child_messages = socket.socketpair()
        control, server_control = socket.socketpair()
        handles = [child_messages.fileno(), server_control.fileno()]
        # If the server was killed just now, the process never starts.
        with self._lock, child_messages, server_control, contextlib.suppress(ConnectionError):
            socket.send_fds(self._running_socket(), [FORK_REQUEST], handles)
        return ForkedProcess(messages, control)

    def kill(self) -> None:
        """Kill the server, and with it all processes that it has forked."""
        with self._lock:
            if self._socket is not None and not _is_closed(self._socket):
                os.kill(self._pid, signal.SIGKILL)

    def _running_socket(self) -> socket.socket:
        """Return the socket of the server, which is started if it does not run."""
        if self._socket is not None and _is_closed(self._socket):
            self._socket.close()
            self._socket = None
            with contextlib.suppress(ChildProcessError):
                os.waitpid(self._pid, 0)
        if self._socket is None:
            self._socket = self._spawn()
        return self._socket

    def _spawn(self) -> socket.socket:
        driver_socket, server_socket = socket.socketpair()
        path = list(dict.fromkeys([*sys.path, str(IMPORT_FOLDER)]))
        program = f"import sys; sys.path[:] = {path!r}; from {SERVER_MODULE} import main; main()"
        flags = subprocess._args_from_interpreter_flags()  # type: ignore[attr-defined]
        with server_socket:
            self._pid = os.posix_spawn(
                sys.executable,
                [sys.executable, *flags, "-c", program],
                os.environ,
                file_actions=[(os.POSIX_SPAWN_DUP2, server_socket.fileno(), 0)],
                setsigmask=BLOCKED_SIGNALS,
            )
        return driver_socket


def _is_closed(server: socket.socket) -> bool:
    """Return whether the server's end is closed; the server never sends anything here."""
    try:
        return not server.recv(1, socket.MSG_DONTWAIT)
    except BlockingIOError:
        return False
    except ConnectionError:
        return True


SERVER = _ServerProcess()


def start_server() -> None:
    """Start the server; early, since it loads torch while the cells are planned."""
    SERVER.start()
