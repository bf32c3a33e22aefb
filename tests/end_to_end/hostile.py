"""Hostile content for runs, caches and presets, and ways to see that it had no effect."""

from __future__ import annotations

import hashlib
import json
import os
import pickle
import shutil
import signal
import socket
import struct
import subprocess
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from distillation_bench.bench.common.hashing import canonical_json

SECRET = "a secret that no output may hold"
NAMES = (
    *("../../x", "..", ".", "/etc/passwd", "a/b\\c", "~root", "CON", "-rf", "--help"),
    *("nul\0nul", "new\nline", "carriage\rreturn", "\x1b]0;owned\x07\x1b[2J", "\u202etxt.exe"),
    *("\x85\u2028\u2029", "$(touch ran)", "`touch ran`", "%s%n{0.__class__}", "{{7*7}}"),
    *("<script>alert(1)</script>", '"><img src=x onerror=alert(1)>', "[x](javascript:alert(1))"),
    *(
        r"\input{/etc/passwd}",
        r"\write18{touch ran}",
        "^^5cinput{x}",
        "$\\frac{1}{0}$ % } \\end{x}",
    ),
    *('=cmd|"/C calc"!A0', "a,b\"c';d", "ünï\u0301 ± λ 中", "x" * 999, "\N{PILE OF POO}" * 99),
)
"""For datasets, labels, methods, sets, metrics, parameters and all else that has a name."""

Snapshot = dict[str, tuple[Any, ...]]


def snapshot(folder: Path, *left_out: Path) -> Snapshot:
    """Return the modes, times and contents of all files in a folder, and targets of links."""
    entries: Snapshot = {}
    for path in sorted(folder.rglob("*")):
        if any(path == excluded or excluded in path.parents for excluded in left_out):
            continue
        stat = path.lstat()
        content = b""
        if path.is_symlink():
            content = os.fsencode(path.readlink())
        elif path.is_file():
            content = path.read_bytes() if stat.st_size < 2**30 else b"large"
        # The time of a folder changes with its files, which may be left out.
        time = 0 if path.is_dir() else stat.st_mtime_ns
        entries[str(path.relative_to(folder))] = (stat.st_mode, time, content)
    return entries


@contextmanager
def in_time(seconds: int = 60) -> Iterator[None]:
    """Fail after some seconds, for example if the block waits for the writer of a pipe."""

    class Waits(BaseException):
        """Raised after the time limit; no program handles it."""

    def stop(number: int, frame: object) -> None:
        raise Waits

    before = signal.signal(signal.SIGALRM, stop)
    signal.alarm(seconds)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


def assert_orderly(done: subprocess.CompletedProcess[str], data: bool = False) -> None:
    """A status that is documented, a mistake in one line, and nothing that steers a terminal.

    `data` is on stdout: it is as it is.
    """
    description = f"{done.args}: {done.returncode}\n{done.stdout[:2000]}\n{done.stderr[:2000]}"
    assert done.returncode in (0, 1, 2), description
    assert "Traceback" not in done.stdout + done.stderr, description
    if done.returncode == 2:
        last = done.stderr.splitlines()[-1]
        assert last.startswith("error: ") and len(last) < 2100, description
    for text in (done.stderr, "" if data else done.stdout):
        assert all(sign.isprintable() for sign in text.replace("\n", "")), description


# In a file's place

Plant = Callable[[Path, Path], None]
"""plant(path, outside): puts something into the place of a file or folder."""


def _link(name: str) -> Plant:
    def plant(path: Path, outside: Path) -> None:
        path.symlink_to(outside / name)

    return plant


def _device(path: Path, outside: Path) -> None:
    try:
        # Of /dev/zero, which has no end.
        os.mknod(path, 0o20644, os.makedev(1, 5))
    except PermissionError:
        path.symlink_to("/dev/zero")


def _socket(path: Path, outside: Path) -> None:
    working_folder = Path.cwd()
    # The path of a socket is short.
    os.chdir(path.parent)
    try:
        socket.socket(socket.AF_UNIX).bind(path.name)
    finally:
        os.chdir(working_folder)


def _sparse(path: Path, outside: Path) -> None:
    with path.open("wb") as file:
        file.truncate(2**40)


PLANTS: dict[str, Plant] = {
    "link to a file": _link("secret"),
    "link to a folder": _link("folder"),
    "dangling link": _link("new"),
    "link to itself": lambda path, outside: path.symlink_to(path),
    "pipe": lambda path, outside: os.mkfifo(path),
    "device": _device,
    "socket": _socket,
    "folder": lambda path, outside: (path / "within").mkdir(parents=True),
    "terabyte": _sparse,
}


def plant(kind: str, path: Path, outside: Path) -> None:
    """Replace a file or folder by something else."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    path.unlink(missing_ok=True)
    PLANTS[kind](path, outside)


def outside_of(folder: Path) -> Path:
    """Return a folder with files that an attacker may want to be read, changed or removed."""
    outside = folder / "outside"
    (outside / "folder").mkdir(parents=True)
    names = ("secret", "folder/history.csv", "folder/curves.safetensors", "folder/x.json")
    for name in names:
        (outside / name).write_text(f"stage,epoch,loss\n{SECRET},0,1\n")
    return outside


# Contents


def resummed(record: Path, **changes: Any) -> None:
    """Change a record and make its checksum right."""
    value = {**json.loads(record.read_bytes()), **changes}
    value.pop("sum", None)
    record.write_bytes(sealed(canonical_json(value).encode()))


def sealed(body: bytes) -> bytes:
    """Return a record with its checksum."""
    digest = hashlib.sha256(body).hexdigest()[:16]
    return body[:-1] + f',"sum":"{digest}"}}'.encode()


class Payload:
    """Makes a file when it is unpickled."""

    def __init__(self, marker: Path) -> None:
        self.marker = marker

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (self.marker,)


def pickled(marker: Path) -> bytes:
    """A pickle that makes a file when it is read."""
    return pickle.dumps(Payload(marker))


def yaml_presets(marker: Path) -> Iterator[str]:
    """Return presets with tags for Python objects."""
    tags = ("python/object/apply:os.system", "python/object/new:os.system", "python/name:os.system")
    for tag in tags:
        for key in ("seeds", "datasets", "methods", "recipe"):
            yield f"{key}: !!{tag} ['touch {marker}']\n"
    yield f"--- !!python/object/apply:subprocess.Popen [['touch', '{marker}']]\n"
    # The same under another name.
    tag = "%TAG ! tag:yaml.org,2002:python/\n---\n"
    yield f"{tag}seeds: !object/apply:os.system ['touch {marker}']\n"


def safetensors(header: Any, content: bytes = b"", length: int | None = None) -> bytes:
    """Return a safetensors file with any header and any stated length of it."""
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(text) if length is None else length) + text + content


def _array(shape: Sequence[int], start: int, end: int, kind: str = "F32") -> dict[str, Any]:
    return {"dtype": kind, "shape": list(shape), "data_offsets": [start, end]}


HEADERS = {
    "no header": b"",
    "a header's length beyond the file": safetensors({}, length=2**63),
    "the largest length": safetensors({}, length=2**64 - 1),
    "a header that is none": safetensors(b"[1]"),
    "a header in a header": safetensors(b'{"a":' * 5000),
    "offsets beyond the file": safetensors({"x": _array([4], 0, 2**40)}),
    "offsets backwards": safetensors({"x": _array([4], 16, 0)}, bytes(16)),
    "negative offsets": safetensors({"x": _array([4], -16, 0)}, bytes(16)),
    "overlapping arrays": safetensors({n: _array([4], 0, 16) for n in "xy"}, bytes(16)),
    "a shape that overflows": safetensors({"x": _array([2**63, 2**63], 0, 0)}),
    "an endless shape of nothing": safetensors({"x": _array([0, 2**62, 2**62], 0, 0)}),
    "a shape of thousands of sides": safetensors({"x": _array([1] * 5000, 0, 4)}, bytes(4)),
    "a kind that numpy lacks": safetensors({"x": _array([2], 0, 2, "F8_E4M3")}, bytes(2)),
    "a kind that is none": safetensors({"x": _array([2], 0, 2, "OBJECT")}, bytes(2)),
    "names that lead elsewhere": safetensors(
        {n: _array([1], 4 * i, 4 * i + 4) for i, n in enumerate(("../../x", "/etc/x", "a\0b"))},
        bytes(12),
    ),
    "metadata that is none": safetensors({"__metadata__": [1, 2]}),
}
