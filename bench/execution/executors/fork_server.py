"""The process that workers are forked from: it has torch loaded, and lets none outlive the driver.

For each request it forks a child and is sent two sockets: over one the child talks to the driver,
over the other it tells the driver the child's number and how it ended, and passes on the signals
that the driver sends to the child. When the driver closes that one, it wants the child no longer.
The system closes it for a driver that was killed, so that the child ends in the same way. A child
that is stopped is killed like any other.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import selectors
import signal
import socket
import struct
import time
from pathlib import Path

from distillation_bench.bench.common.signals import GRACE_SECONDS

HELD = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
"""Blocked here for good, since they reach all of a terminal's or a group's processes: the driver
decides what they mean."""
NUMBER = struct.Struct("i")
"""What the driver is told: a child's number, or -errno if there is none; then how it ended, as
`Popen.returncode` says it."""
_PARENT_DEATH_SIGNAL, _CHILD_SUBREAPER = 1, 36


def main() -> None:
    """Serve the driver at the other end of file descriptor 0 until it is gone."""
    driver = socket.socket(fileno=os.dup(0))
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    # As long as nothing is forked, it dies with the driver at once.
    _control(_PARENT_DEATH_SIGNAL, signal.SIGKILL)
    # What can't be loaded here can't be loaded by a job either, which then says so.
    with contextlib.suppress(BaseException):
        import distillation_bench.bench.execution.executors.preloaded  # noqa: F401
    # From now on the driver's death only wakes it, if it is stopped: its children have time to
    # write a checkpoint.
    _control(_PARENT_DEATH_SIGNAL, signal.SIGCONT)
    _control(_CHILD_SUBREAPER, 1)
    _ForkServer(driver).run()
    # Python would take half a second to free what torch holds, the system takes none.
    os._exit(0)


def die_with(parent: int) -> None:
    """Have the system kill this process when its parent dies."""
    _control(_PARENT_DEATH_SIGNAL, signal.SIGKILL)
    if os.getppid() != parent:
        os._exit(1)


def _control(option: int, value: int) -> None:
    """Linux alone has it; elsewhere a server that is killed leaves its children to themselves."""
    libc = ctypes.CDLL(None)
    if hasattr(libc, "prctl"):
        libc.prctl(option, ctypes.c_ulong(value))


class _Child:
    """A process that was forked: the driver's socket for it, and when it is to be killed."""

    def __init__(self, pid: int, socket: socket.socket) -> None:
        self.pid = pid
        self.socket = socket
        self.deadline = float("inf")


class _ForkServer:
    def __init__(self, driver: socket.socket) -> None:
        self._driver = driver
        self._driven = True
        self._children: dict[int, _Child] = {}
        self._events = selectors.DefaultSelector()
        self._events.register(driver, selectors.EVENT_READ, self._request)
        self._died, waker = socket.socketpair()
        for each in (self._died, waker):
            each.setblocking(False)
        self._events.register(self._died, selectors.EVENT_READ, self._reap)
        self._waker = waker
        signal.signal(signal.SIGCHLD, lambda number, frame: None)
        signal.set_wakeup_fd(waker.fileno(), warn_on_full_buffer=False)

    def run(self) -> None:
        while self._driven or self._children:
            for key, _ in self._events.select(self._patience()):
                key.data(key.fileobj)
            for child in self._children.values():
                if child.deadline <= time.monotonic():
                    os.kill(child.pid, signal.SIGKILL)
                    child.deadline = float("inf")

    def _patience(self) -> float | None:
        deadline = min((each.deadline for each in self._children.values()), default=float("inf"))
        return None if deadline == float("inf") else max(0.0, deadline - time.monotonic())

    def _request(self, driver: socket.socket) -> None:
        """Fork a child, or note that the driver is gone."""
        message, handles, _, _ = socket.recv_fds(driver, 1, 2)
        if not message:
            self._events.unregister(driver)
            self._driven = False
            return
        for handle in handles:
            os.set_inheritable(handle, False)
        talk, status = (socket.socket(fileno=handle) for handle in handles)
        server = os.getpid()
        try:
            pid = os.fork()
        except OSError as error:
            _tell(status, -(error.errno or 0))
            status.close()
        else:
            if not pid:
                self._become_worker(server, talk, status)
            self._children[pid] = child = _Child(pid, status)
            _tell(status, pid)
            self._events.register(status, selectors.EVENT_READ, lambda _: self._signal(child))
        talk.close()

    def _become_worker(self, server: int, talk: socket.socket, status: socket.socket) -> None:
        """Close what is the server's, and never return into its loop."""
        try:
            die_with(server)
            signal.set_wakeup_fd(-1)
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            self._events.close()
            siblings = [child.socket for child in self._children.values()]
            for each in (self._driver, self._died, self._waker, status, *siblings):
                each.close()
            from distillation_bench.bench.execution.executors.local import serve

            serve(talk)
        finally:
            os._exit(1)

    def _signal(self, child: _Child) -> None:
        """Pass the driver's signals on; a child that it wants no longer has a while to end."""
        if child.pid not in self._children:
            return
        try:
            numbers = child.socket.recv(16)
        except OSError:
            numbers = b""
        if not numbers:
            self._events.unregister(child.socket)
            child.deadline = time.monotonic() + GRACE_SECONDS
        # It may be stopped.
        for number in numbers or (signal.SIGTERM, signal.SIGCONT):
            os.kill(child.pid, number)

    def _reap(self, died: socket.socket) -> None:
        with contextlib.suppress(BlockingIOError):
            died.recv(4096)
        with contextlib.suppress(ChildProcessError):
            while (ended := os.waitpid(-1, os.WNOHANG))[0]:
                child = self._children.pop(ended[0], None)
                if child is not None:
                    _tell(child.socket, os.waitstatus_to_exitcode(ended[1]))
                    with contextlib.suppress(KeyError):
                        self._events.unregister(child.socket)
                    child.socket.close()
        self._kill_strays()

    def _kill_strays(self) -> None:
        """Kill what children that have ended had started: it is this process's now."""
        with contextlib.suppress(OSError):
            here = Path(f"/proc/self/task/{os.getpid()}/children").read_text().split()
            for pid in {int(each) for each in here} - self._children.keys():
                os.kill(pid, signal.SIGKILL)


def _tell(driver: socket.socket, number: int) -> None:
    with contextlib.suppress(OSError):
        driver.send(NUMBER.pack(number))
