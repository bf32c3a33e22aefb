"""The server process that workers are forked from. No worker outlives the driver.

The server loads torch once. For each request it receives two sockets and forks a child. Over the
first socket the child talks to the driver. Over the second one the server tells the driver the
child's process id and later its exit status, and receives the signals that the driver sends to the
child. When the driver closes the second socket, the server ends the child. The system closes the
socket when the driver is killed, so the child ends in that case, too, even if it is stopped.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import selectors
import signal
import socket
import time
from pathlib import Path
from typing import NoReturn

from distillation_bench.bench.common.signals import GRACE_SECONDS
from distillation_bench.bench.execution.executors.processes.wire_format import NUMBER

_PARENT_DEATH_SIGNAL, _CHILD_SUBREAPER = 1, 36
_MAX_SIGNALS = 16
"""Signals that are received at a time."""
_NEVER = float("inf")


def main() -> None:
    """Serve the driver at the other end of file descriptor 0 until it is gone."""
    driver = socket.socket(fileno=os.dup(0))
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    # As long as nothing is forked, the server dies with the driver at once.
    _set_process_option(_PARENT_DEATH_SIGNAL, signal.SIGKILL)
    # If this cannot be imported, jobs cannot import it either, and report it.
    with contextlib.suppress(BaseException):
        import distillation_bench.bench.execution.executors.processes.preloaded  # noqa: F401
    # From now on the driver's death only continues a stopped server, so that the children have
    # time to write a checkpoint.
    _set_process_option(_PARENT_DEATH_SIGNAL, signal.SIGCONT)
    _set_process_option(_CHILD_SUBREAPER, 1)
    _ForkServer(driver).run()
    # Python would take half a second to free what torch holds; the system does so at once.
    os._exit(0)


def die_with(parent: int) -> None:
    """Let the system kill this process when its parent dies."""
    _set_process_option(_PARENT_DEATH_SIGNAL, signal.SIGKILL)
    if os.getppid() != parent:
        os._exit(1)


def _set_process_option(option: int, value: int) -> None:
    """Call prctl, which only Linux has; elsewhere a killed server leaves its children running."""
    libc = ctypes.CDLL(None)
    if hasattr(libc, "prctl"):
        libc.prctl(option, ctypes.c_ulong(value))


class _Child:
    """A forked process: its pid, the driver's socket for it, and when it is killed."""

    def __init__(self, pid: int, socket: socket.socket) -> None:
        self.pid = pid
        self.socket = socket
        self.deadline = _NEVER


class _ForkServer:
    """Forks children on request, forwards signals to them, and reports how they end."""

    def __init__(self, driver: socket.socket) -> None:
        self._driver = driver
        self._driver_is_alive = True
        self._children: dict[int, _Child] = {}
        self._selector = selectors.DefaultSelector()
        self._selector.register(driver, selectors.EVENT_READ, self._handle_request)
        # SIGCHLD writes into one end of this pair, which wakes the selector at the other.
        self._child_ended, self._wakeup = socket.socketpair()
        self._child_ended.setblocking(False)
        self._wakeup.setblocking(False)
        self._selector.register(self._child_ended, selectors.EVENT_READ, self._reap)
        signal.signal(signal.SIGCHLD, lambda number, frame: None)
        signal.set_wakeup_fd(self._wakeup.fileno(), warn_on_full_buffer=False)

    def run(self) -> None:
        """Serve until the driver and all children are gone."""
        while self._driver_is_alive or self._children:
            for key, _ in self._selector.select(self._seconds_to_deadline()):
                key.data(key.fileobj)
            for child in self._children.values():
                if child.deadline <= time.monotonic():
                    os.kill(child.pid, signal.SIGKILL)
                    child.deadline = _NEVER

    def _seconds_to_deadline(self) -> float | None:
        deadline = min((child.deadline for child in self._children.values()), default=_NEVER)
        return None if deadline == _NEVER else max(0.0, deadline - time.monotonic())

    def _handle_request(self, driver: socket.socket) -> None:
        """Fork a child, or note that the driver is gone."""
        message, handles, _, _ = socket.recv_fds(driver, 1, 2)
        if not message:
            self._selector.unregister(driver)
            self._driver_is_alive = False
            return
        for handle in handles:
            os.set_inheritable(handle, False)
        messages, control = (socket.socket(fileno=handle) for handle in handles)
        server = os.getpid()
        try:
            pid = os.fork()
        except OSError as error:
            _send_number(control, -(error.errno or 0))
            control.close()
        else:
            if not pid:
                self._become_worker(server, messages, control)
            self._children[pid] = child = _Child(pid, control)
            _send_number(control, pid)
            self._selector.register(
                control, selectors.EVENT_READ, lambda _: self._forward_signals(child)
            )
        messages.close()

    def _become_worker(
        self, server: int, messages: socket.socket, control: socket.socket
    ) -> NoReturn:
        """Close what belongs to the server and serve as a worker; never return to its loop."""
        try:
            die_with(server)
            signal.set_wakeup_fd(-1)
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            self._selector.close()
            siblings = [child.socket for child in self._children.values()]
            own = (self._driver, self._child_ended, self._wakeup, control)
            for server_socket in (*own, *siblings):
                server_socket.close()
            from distillation_bench.bench.execution.executors.processes.worker_process import serve

            serve(messages)
        finally:
            os._exit(1)

    def _forward_signals(self, child: _Child) -> None:
        """Forward the driver's signals; if it has closed the socket, end the child."""
        if child.pid not in self._children:
            return
        try:
            numbers = child.socket.recv(_MAX_SIGNALS)
        except OSError:
            numbers = b""
        if not numbers:
            self._selector.unregister(child.socket)
            child.deadline = time.monotonic() + GRACE_SECONDS
        # A stopped process receives SIGTERM only when it continues.
        for number in numbers or (signal.SIGTERM, signal.SIGCONT):
            os.kill(child.pid, number)

    def _reap(self, child_ended: socket.socket) -> None:
        """Report the children that have ended."""
        with contextlib.suppress(BlockingIOError):
            child_ended.recv(4096)
        with contextlib.suppress(ChildProcessError):
            while (ended := os.waitpid(-1, os.WNOHANG))[0]:
                child = self._children.pop(ended[0], None)
                if child is not None:
                    _send_number(child.socket, os.waitstatus_to_exitcode(ended[1]))
                    with contextlib.suppress(KeyError):
                        self._selector.unregister(child.socket)
                    child.socket.close()
        self._kill_orphans()

    def _kill_orphans(self) -> None:
        """Kill the processes that ended children had started; they are this server's now."""
        with contextlib.suppress(OSError):
            children = Path(f"/proc/self/task/{os.getpid()}/children").read_text().split()
            for pid in {int(pid) for pid in children} - self._children.keys():
                os.kill(pid, signal.SIGKILL)


def _send_number(driver: socket.socket, number: int) -> None:
    with contextlib.suppress(OSError):
        driver.send(NUMBER.pack(number))
