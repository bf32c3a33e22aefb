"""Runs on a Dask cluster: the same values to the bit, whatever happens to its workers."""

from __future__ import annotations

import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.end_to_end.bench_command import ROOT, SHORT, Bench, folders, records, start
from tests.end_to_end.dask_cluster import Cluster, can_hide, cluster, kill_all
from tests.end_to_end.failing_plugins import CELL, ENDS, TIMEOUT, ending_plugin
from tests.end_to_end.test_same_bits import assert_part_of

pytestmark = pytest.mark.slow
FEW = ("-m", "kd", "-m", "ensemble", "-d", "spiral", "-s", "0-1", *SHORT)
MIXED = ("-m", "kd", "-m", "hydra", "-m", "ensemble", "-d", "spiral", "-d", "digits-0-7", *FEW[-8:])


@pytest.fixture
def dask(tmp_path: Path) -> Iterator[Cluster]:
    with cluster(tmp_path / "cluster") as started:
        yield started


def test_a_run_can_start_its_own_cluster(bench: Bench, reference: Path, tmp_path: Path) -> None:
    done = bench("run", *FEW, "--executor", "dask", "--jobs", "2", *folders("run"))
    assert done.returncode == 0, done.stderr
    assert assert_part_of(tmp_path / "run", reference) == 4


def test_workers_may_be_killed_and_join_later(
    dask: Cluster, reference: Path, tmp_path: Path
) -> None:
    first = dask.worker()
    process = begun(dask, tmp_path)
    dask.worker()
    wait_for(tmp_path / "run", 6)
    kill_all(first)
    _, err = process.communicate(timeout=300)
    assert process.returncode == 0, err
    assert assert_part_of(tmp_path / "run", reference) == 12


def test_a_killed_driver_can_resume(
    dask: Cluster, bench: Bench, reference: Path, tmp_path: Path
) -> None:
    dask.worker("--nthreads", "2")
    process = begun(dask, tmp_path)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    finished = records(tmp_path / "run")
    done = bench("run", *MIXED, *dask.options, *folders("run"))
    assert done.returncode == 0, done.stderr
    assert finished.items() <= records(tmp_path / "run").items()
    assert assert_part_of(tmp_path / "run", reference) == 12


def test_a_run_works_without_a_shared_folder(
    dask: Cluster, bench: Bench, reference: Path, tmp_path: Path
) -> None:
    if reason := can_hide():
        pytest.skip(f"a folder can't be hidden from a worker here: {reason}")
    (tmp_path / "run-cache").mkdir()
    dask.worker(hidden=tmp_path / "run-cache")
    done = bench("run", *FEW, *dask.options, *folders("run"))
    assert done.returncode == 0, done.stderr
    assert assert_part_of(tmp_path / "run", reference) == 4
    assert list((dask.folder / "worker-1").rglob("outputs-*.safetensors"))
    # A folder that only some workers see is a mistake.
    dask.worker()
    time.sleep(0.1)
    dask_has(dask, workers=2)
    mixed = bench("run", *FEW, *dask.options, "--results", "other", "--cache", "run-cache")
    assert mixed.returncode == 2 and "does not see" in mixed.stderr


def test_a_killed_worker_that_held_arrays_is_replaced(
    dask: Cluster, reference: Path, tmp_path: Path
) -> None:
    """Without a shared folder its arrays are sent again, and no cell is charged."""
    if reason := can_hide():
        pytest.skip(f"a folder can't be hidden from a worker here: {reason}")
    (tmp_path / "run-cache").mkdir()
    first = dask.worker(hidden=tmp_path / "run-cache")
    process = begun(dask, tmp_path)
    dask.worker(hidden=tmp_path / "run-cache")
    dask_has(dask, workers=2)
    kill_all(first)
    _, err = process.communicate(timeout=300)
    assert process.returncode == 0, err
    assert assert_part_of(tmp_path / "run", reference) == 12


def test_each_failure_costs_its_own_cell(dask: Cluster, bench: Bench, tmp_path: Path) -> None:
    """One that exits, one that kills its process, one that hangs until the timeout."""
    dask.worker("--nthreads", "2")
    arguments = (*ending_plugin(tmp_path, ENDS), *CELL, *dask.options, *TIMEOUT)
    done = bench("run", *arguments, *folders("run"))
    assert done.returncode == 1
    for name, (_, reason) in ENDS.items():
        assert f"FAILED spiral {name} seed 0: {reason}" in done.stderr
    assert "] spiral kd seed 0" in done.stderr


def test_workers_removed_many_times_cost_no_cell(
    dask: Cluster, reference: Path, tmp_path: Path
) -> None:
    """More often than a cell may die, also by the cluster's own count."""
    process = start("run", *MIXED, *dask.options, *folders("run"), folder=tmp_path)
    for cells in (0, 2, 4, 5, 6, 7):
        workers = [dask.worker() for _ in range(2)]
        wait_for(tmp_path / "run", cells + 1)
        for worker in workers:
            kill_all(worker)
    dask.worker()
    _, err = process.communicate(timeout=300)
    assert process.returncode == 0, err
    assert assert_part_of(tmp_path / "run", reference) == 12


def test_a_lost_scheduler_ends_the_run_and_fails_no_cell(
    dask: Cluster, bench: Bench, reference: Path, tmp_path: Path
) -> None:
    dask.worker("--nthreads", "2")
    process = begun(dask, tmp_path)
    kill_all(dask.processes[0])
    _, err = process.communicate(timeout=120)
    assert process.returncode == 2 and "the Dask scheduler is gone" in err.splitlines()[-1], err
    assert "FAILED" not in err and "Traceback" not in err
    assert bench("run", *MIXED, *folders("run")).returncode == 0
    assert assert_part_of(tmp_path / "run", reference) == 12


OTHER_CODE = """
from distillation_bench.bench.execution.executors import remote_job
remote_job.identity = lambda real=remote_job.identity: {**real(), "torch": "1.0"}
"""


def test_a_late_worker_with_other_code_ends_the_run(
    dask: Cluster, bench: Bench, tmp_path: Path
) -> None:
    """No finished cell is lost, and no value of that worker is used."""
    first = dask.worker()
    process = begun(dask, tmp_path)
    (tmp_path / "other.py").write_text(OTHER_CODE)
    dask.worker("--preload", str(tmp_path / "other.py"), PYTHONPATH=str(ROOT / "src"))
    _, err = process.communicate(timeout=300)
    assert process.returncode == 2, err
    assert "came later: torch is 1.0 there" in err.splitlines()[-1]
    finished = records(tmp_path / "run")
    assert len(finished) >= 3 and first.poll() is None


PLUGIN = '''
from distillation_bench.methods import register
from distillation_bench.methods.kd import KD

@register
class Twin(KD):
    """KD under another name."""

    name = "twin"
'''


def test_a_plugin_reaches_the_worker(dask: Cluster, bench: Bench, tmp_path: Path) -> None:
    (tmp_path / "twin.py").write_text(PLUGIN)
    dask.worker()
    selection = ("-m", "twin", "-m", "kd", "-d", "spiral", "-s", "0", *SHORT, "--plugin", "twin.py")
    done = bench("run", *selection, *dask.options, *folders("run"))
    assert done.returncode == 0, done.stderr
    results = (tmp_path / "run/results.csv").read_text().splitlines()[1:]
    kd, twin = (row.split(",", 5)[5] for row in results)
    assert kd.partition(",")[2] and len(results) == 2 and "done" in results[1] and twin


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--device", "cuda"), "no worker has a GPU"),
        (("--executor", "dusk"), "did you mean 'dask'"),
        (("--executor", "local"), "--scheduler"),
        (("--scheduler", "tcp://127.0.0.1:9"), "no Dask scheduler answers"),
        (("--scheduler", "nonsense::"), "not an address like"),
    ],
)
def test_impossible_options_are_reported_at_once_in_one_line(
    dask: Cluster, bench: Bench, options: tuple[str, ...], message: str
) -> None:
    dask.worker()
    dask_has(dask, workers=1)
    done = bench("run", *FEW, *dask.options, *options, *folders("run"))
    line = done.stderr.splitlines()[-1]
    assert done.returncode == 2 and message in line and line.startswith("error: "), done.stderr
    assert "Traceback" not in done.stderr


def begun(dask: Cluster, folder: Path) -> subprocess.Popen[str]:
    """Start a run and wait until three cells are finished."""
    process = start("run", *MIXED, *dask.options, *folders("run"), folder=folder)
    wait_for(folder / "run", 3)
    return process


def wait_for(run: Path, cells: int) -> None:
    deadline = time.monotonic() + 120
    while len(records(run)) < cells:
        assert time.monotonic() < deadline
        time.sleep(0.01)


def dask_has(dask: Cluster, workers: int) -> None:
    from distributed import Client

    with Client(dask.address, set_as_default=False) as client:
        client.wait_for_workers(workers, timeout=60)
