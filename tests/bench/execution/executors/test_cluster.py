"""Workers of clusters that lack the repository, or have other code."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from distillation_bench.bench.common.errors import UsageError
from distillation_bench.bench.common.paths import IMPORT_FOLDER
from distillation_bench.bench.execution.executors import remote_job
from distillation_bench.bench.execution.executors.dask import DaskCluster
from distillation_bench.bench.execution.workplace import Workplace


@pytest.fixture
def workplace(tmp_path: Path) -> Workplace:
    (tmp_path / "cache").mkdir()
    return Workplace(str(tmp_path / "cache"))


@pytest.fixture
def cluster(workplace: Workplace) -> Iterator[DaskCluster]:
    """A cluster with one worker in this process."""
    started = DaskCluster("", 1, workplace)
    yield started
    started.stop()


class WithoutRepository(DaskCluster):
    """A cluster whose worker cannot import the repository."""

    def _call_on_each(self, function: Callable[..., Any], *arguments: Any) -> Mapping[str, Any]:
        return {"tcp://worker": ModuleNotFoundError("No module named 'distillation_bench'")}


def test_a_worker_without_the_repository_is_told_the_folder_to_import_from(
    workplace: Workplace,
) -> None:
    with pytest.raises(UsageError, match=f"with {IMPORT_FOLDER} in PYTHONPATH"):
        WithoutRepository("", 1, workplace)


class OfOtherCode:
    """An argument that a worker with other code cannot unpickle."""

    def __reduce__(self) -> tuple[Any, ...]:
        return getattr, (Workplace, "a method that this code lacks")


def test_a_worker_with_other_code_does_not_unpickle_jobs(
    cluster: DaskCluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(remote_job, "identity", lambda: {"code": "other"})
    answer = cluster.submit(print, OfOtherCode())
    with pytest.raises(UsageError, match="a worker that came later: code is other there, "):
        answer.result(timeout=60)


def test_a_worker_whose_code_cannot_be_read_ends_the_run(
    cluster: DaskCluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unreadable() -> dict[str, str]:
        raise UsageError("scratch.py:2: invalid syntax")

    monkeypatch.setattr(remote_job, "identity", unreadable)
    answer = cluster.submit(print)
    with pytest.raises(UsageError, match=r"came later: scratch\.py:2: invalid syntax"):
        answer.result(timeout=60)
