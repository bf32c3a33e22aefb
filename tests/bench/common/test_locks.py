"""A cache shared by several users: locks that all can take, files that follow the umask."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch  # noqa: F401 - other users may not be able to read it
from filelock import Timeout
from tests.users import ANNA, BERT, GROUP, as_user, shared_folder

from distillation_bench.bench.common.errors import CacheFault
from distillation_bench.bench.common.files import make_folder, write_atomically
from distillation_bench.bench.common.locks import acquire
from distillation_bench.bench.execution.executors.base import JobFailed
from distillation_bench.bench.execution.executors.local import LocalExecutor
from distillation_bench.bench.execution.jobs import CheckPrecision, Job
from distillation_bench.bench.execution.scheduler import Scheduler
from distillation_bench.bench.storage.cache import Cache
from distillation_bench.bench.storage.run_folder import Run

OURS, STICKY = 0o2775, 0o1777


def make(folder: Path, content: int) -> None:
    """Make an entry of the cache, as a job does."""
    cache = Cache(folder)
    with cache.lock("k"):
        cache.save("k", {"x": np.array([content])}, {})


@pytest.mark.parametrize("umask", [0o022, 0o002, 0o007])
def test_every_user_can_make_and_remove_an_entry(umask: int) -> None:
    with shared_folder(OURS) as folder:
        for user, content in ((ANNA, 1), (BERT, 2), (ANNA, 3)):
            as_user(user, make, folder, content, umask=umask)
            assert as_user(BERT, cached, folder) == content
        (entry,) = folder.glob("*.safetensors")
        assert entry.stat().st_mode & 0o777 == 0o666 & ~umask and entry.stat().st_gid == GROUP
        as_user(BERT, remove, folder)
        assert [path.suffix for path in folder.iterdir()] == [".lock"]


def cached(folder: Path) -> int:
    return int(Cache(folder).load("k")["x"].item())


def remove(folder: Path) -> None:
    Cache(folder).remove("k")


def test_a_sticky_folder_where_users_remove_only_their_own_files() -> None:
    with shared_folder(STICKY) as folder:
        as_user(ANNA, make, folder, 1)
        as_user(BERT, remove, folder)
        assert as_user(BERT, cached, folder) == 1
        as_user(BERT, take, folder / "k.lock")


def take(path: Path) -> None:
    acquire(path, timeout=0)()


def test_a_lock_file_that_is_readable_only_can_be_locked() -> None:
    with shared_folder(OURS) as folder:
        lock = folder / "k.lock"
        lock.touch(0o644)
        as_user(BERT, take, lock)
        release = acquire(lock)
        with pytest.raises(Timeout):
            as_user(BERT, take, lock)
        release()
        as_user(BERT, take, lock)


def test_drivers_of_two_users_exclude_each_other() -> None:
    with shared_folder(OURS) as folder:
        run = Run(folder)
        as_user(ANNA, hold, folder)
        as_user(BERT, hold, folder)
        with run.locked():
            assert as_user(BERT, run.driver) == f"process {os.getpid()} on {os.uname().nodename}"


def hold(folder: Path) -> None:
    with Run(folder).locked():
        pass


def test_an_inaccessible_entry_raises_cache_fault() -> None:
    with shared_folder(OURS) as folder:
        as_user(ANNA, make, folder, 1, umask=0o077)
        for ask in (
            Cache(folder).is_sound,
            Cache(folder).has,
            Cache(folder).load,
            Cache(folder).note,
        ):
            with pytest.raises(CacheFault) as caught:
                as_user(BERT, ask, "k")
            assert caught.value.strerror == "Permission denied" and caught.value.filename
        folder.chmod(0o755)
        with pytest.raises(CacheFault):
            as_user(BERT, make, folder, 2)


def fail_for_the_cache() -> None:
    """Run by a worker."""
    raise CacheFault(13, "Permission denied", "/cache/entry")


def test_a_cache_fault_ends_the_run(processes: Callable[..., LocalExecutor]) -> None:
    ended: list[Any] = []

    class Notes:
        def job_started(self, job: Job) -> None: ...

        def job_finished(self, finished: Any) -> None:
            ended.append(finished)

    executor = processes(1)
    with pytest.raises(JobFailed):
        executor.submit(fail_for_the_cache).result(60)
    with pytest.raises(PermissionError) as caught:
        job = Job("cell", CheckPrecision())
        Scheduler([job], executor, lambda job: executor.submit(fail_for_the_cache), Notes()).run()
    assert caught.value.filename == "/cache/entry" and not ended


@pytest.mark.parametrize("umask", [0o022, 0o027, 0o002, 0o077])
def test_files_and_folders_follow_the_umask(tmp_path: Path, umask: int) -> None:
    before = os.umask(umask)
    try:
        make_folder(tmp_path / "a/b", tmp_path)
        write_atomically(tmp_path / "a/b/file", b"1")
        acquire(tmp_path / "a/lock")()
    finally:
        os.umask(before)
    for path, mode in (("a", 0o777), ("a/b", 0o777), ("a/b/file", 0o666), ("a/lock", 0o666)):
        extra = 0o066 & ((0o777 & ~umask) & 0o022) * 3 if path == "a/lock" else 0
        assert (tmp_path / path).stat().st_mode & 0o777 == (mode & ~umask) | extra, path
