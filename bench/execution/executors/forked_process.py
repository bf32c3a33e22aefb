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
from distillation_bench.bench.execution.executors import fork_server
from distillation_bench.bench.execution.executors.fork_server import HELD, NUMBER

CHUNK = 2**18
LONGEST = 3600.0
"""Seconds that the system is told to wait at a time: it takes no more than some weeks."""
ACCEPTED = b"a"
"""What a child sends before it runs a job."""
_LENGTH = 8
_REQUEST = b"f"


class ForkedProcess:
    """A child of the server's.

    Attributes:
        pid: its number.
        status: how it ended, as `Popen.returncode` says it; none while it runs, or if that can't be
            known since the server ended, with which it did too.
        accepted: whether it has received what it was sent last and begun to run it.
    """

    def __init__(self, talk: socket.socket, control: socket.socket) -> None:
        self._talk = talk
        self._control = control
        self.pid = 0
        self.status: int | None = None
        self.accepted = False

    def has_begun(self) -> bool:
        """Wait until it is there; it never is if the server was killed just now.

        Raises:
            OSError: the system has no room for another process.
        """
        pid = self._told()
        if pid is not None and pid <= 0:
            raise OSError(-pid, os.strerror(-pid))
        self.pid = pid or 0
        return pid is not None

    def signal(self, *numbers: int) -> None:
        """Have the server send it signals; one that has ended gets none."""
        with contextlib.suppress(OSError):
            self._control.send(bytes(numbers))

    def exchange(self, message: bytes, timeout: float | None) -> bytes | None:
        """Send it a message and wait for its answer; none if it ended without a whole one.

        Others may hold its end of the socket open, so that its own end is waited for, too.

        Raises:
            TimeoutError: it took too long.
        """
        deadline = math.inf if timeout is None else time.monotonic() + timeout
        unsent, answer = memoryview(framed(message)), bytearray()
        self._talk.setblocking(False)
        self.accepted = False
        with selectors.PollSelector() as events:
            events.register(self._talk, selectors.EVENT_READ | selectors.EVENT_WRITE)
            events.register(self._control, selectors.EVENT_READ)
            while not _is_whole(answer):
                left = max(0.0, deadline - time.monotonic())
                happened = {k.fileobj: event for k, event in events.select(min(left, LONGEST))}
                of_talk = happened.get(self._talk, 0)
                if not happened:
                    if time.monotonic() >= deadline:
                        raise TimeoutError
                elif of_talk & selectors.EVENT_READ:
                    if chunk := self._received():
                        answer += chunk
                        self.accepted = True
                    else:
                        events.unregister(self._talk)
                elif of_talk:
                    unsent = self._send(unsent)
                    if not unsent:
                        events.modify(self._talk, selectors.EVENT_READ)
                else:
                    self.status = self._told()
                    return None
        return bytes(answer[len(ACCEPTED) + _LENGTH :])

    def _received(self) -> bytes:
        """What it has sent; nothing at the end."""
        try:
            return self._talk.recv(CHUNK)
        except ConnectionResetError:
            return b""

    def _send(self, unsent: memoryview) -> memoryview:
        try:
            return unsent[self._talk.send(unsent) :]
        except BlockingIOError:
            # There is less room than it takes; it is asked for again.
            return unsent
        except OSError:
            # It has ended; what is next is that its end of the socket is closed.
            return unsent[:0]

    def kill(self, patience: float) -> None:
        """Kill it, and wait until it is gone, unless the server does not answer."""
        self.signal(signal.SIGKILL)
        self._control.settimeout(patience)
        with contextlib.suppress(TimeoutError):
            self.status = self._told()

    def _told(self) -> int | None:
        """What the server has to say next; none if it is gone."""
        with contextlib.suppress(ConnectionResetError):
            if told := self._control.recv(NUMBER.size):
                number: int = NUMBER.unpack(told)[0]
                return number
        return None

    def close(self) -> None:
        """It is wanted no longer: if it has not ended, it is told to and then killed."""
        self._talk.close()
        self._control.close()


def framed(message: bytes) -> bytes:
    """A message as it is sent: its length comes first."""
    return len(message).to_bytes(_LENGTH) + message


def _is_whole(received: bytearray) -> bool:
    head = len(ACCEPTED) + _LENGTH
    return len(received) >= head + int.from_bytes(received[len(ACCEPTED) : head])


class _ServerProcess:
    """The one of this process, started anew whenever it has ended."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._pid = 0
        self._socket: socket.socket | None = None

    def start(self) -> None:
        """Start it, unless it runs."""
        with self._lock:
            self._started()

    def fork(self) -> ForkedProcess:
        """A child that is asked for.

        Raises:
            OSError: no server can be started, or too many files are open.
        """
        talk, its_talk = socket.socketpair()
        control, its_control = socket.socketpair()
        handles = [its_talk.fileno(), its_control.fileno()]
        # Of a server that was killed just now: the child never begins.
        with self._lock, its_talk, its_control, contextlib.suppress(ConnectionError):
            socket.send_fds(self._started(), [_REQUEST], handles)
        return ForkedProcess(talk, control)

    def kill(self) -> None:
        """Kill it and with it all that it forked."""
        with self._lock:
            if self._socket is not None and not _is_closed(self._socket):
                os.kill(self._pid, signal.SIGKILL)

    def _started(self) -> socket.socket:
        if self._socket is not None and _is_closed(self._socket):
            self._socket.close()
            self._socket = None
            with contextlib.suppress(ChildProcessError):
                os.waitpid(self._pid, 0)
        if self._socket is None:
            self._socket = self._spawn()
        return self._socket

    def _spawn(self) -> socket.socket:
        here, there = socket.socketpair()
        path = list(dict.fromkeys([*sys.path, str(IMPORT_FOLDER)]))
        program = (
            f"import sys; sys.path[:] = {path!r}; from {fork_server.__name__} import main; main()"
        )
        flags = subprocess._args_from_interpreter_flags()  # type: ignore[attr-defined]
        with there:
            self._pid = os.posix_spawn(
                sys.executable,
                [sys.executable, *flags, "-c", program],
                os.environ,
                file_actions=[(os.POSIX_SPAWN_DUP2, there.fileno(), 0)],
                setsigmask=HELD,
            )
        return here


def _is_closed(server: socket.socket) -> bool:
    """Whether the server's end is closed, from which nothing is ever sent."""
    try:
        return not server.recv(1, socket.MSG_DONTWAIT)
    except BlockingIOError:
        return False
    except ConnectionError:
        return True


SERVER = _ServerProcess()


def start_server() -> None:
    """Start it; early, as it loads torch while the plan is made."""
    SERVER.start()
