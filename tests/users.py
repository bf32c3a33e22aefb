"""Other users of this machine, who share a folder."""

from __future__ import annotations

import os
import pickle
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

GROUP = 61_000
ANNA, BERT = 61_001, 61_002


def as_user(user: int, function: Callable[..., Any], *arguments: Any, umask: int = 0o022) -> Any:
    """Call a function in a process of another user of the group; return or raise its outcome."""
    reader, writer = os.pipe()
    pid = os.fork()
    if not pid:
        try:
            os.umask(umask)
            os.setgroups([])
            os.setgid(GROUP)
            os.setuid(user)
            answer = _outcome(function, *arguments)
            with os.fdopen(writer, "wb") as pipe:
                pickle.dump(answer, pipe)
        finally:
            os._exit(0)
    os.close(writer)
    with os.fdopen(reader, "rb") as pipe:
        succeeded, value = pickle.load(pipe)
    os.waitpid(pid, 0)
    if not succeeded:
        raise value
    return value


def _outcome(function: Callable[..., Any], *arguments: Any) -> tuple[bool, Any]:
    try:
        return True, function(*arguments)
    except Exception as error:
        return False, error


@contextmanager
def shared_folder(mode: int) -> Iterator[Path]:
    """Yield a folder of the group; skip the test if this user cannot become another."""
    if os.getuid():
        pytest.skip("only root can be other users: what they share is not tested")
    folder = Path(tempfile.mkdtemp())
    try:
        os.chown(folder, ANNA, GROUP)
        folder.chmod(mode)
        yield folder
    finally:
        shutil.rmtree(folder)
