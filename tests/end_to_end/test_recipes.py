"""The recipes for clusters of docs/clusters.md, run on one machine."""

from __future__ import annotations

import contextlib
import itertools
import os
import re
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NamedTuple

import psutil
import pytest
from tests.end_to_end import slurm as slurms
from tests.end_to_end.bench_command import ROOT, Bench, folders, start
from tests.end_to_end.slurm import QUEUE, Slurm
from tests.end_to_end.test_dask import FEW, MIXED, wait_for
from tests.end_to_end.test_same_bits import assert_part_of

pytestmark = pytest.mark.slow
CLUSTERS = (ROOT / "docs" / "clusters.md").read_text(encoding="utf-8")
GPU = (
    ("# job_extra_directives", "job_extra_directives"),
    ('worker_extra_args=["', 'worker_extra_args=["--resources GPU=1", "'),
)
"""What the recipe's comments say of a GPU."""


def recipe(name: str, *site: tuple[str, str]) -> str:
    """Return the code block below a heading, with site-specific values replaced."""
    block = CLUSTERS.partition(f"**{name}**")[2].partition("```")[2].partition("```")[0]
    text = block.partition("\n")[2]
    for theirs, ours in site:
        assert text.count(theirs) == 1, theirs
        text = text.replace(theirs, ours)
    return text


def slurm_recipe(repository: Path, jobs: int, *more: tuple[str, str]) -> str:
    return recipe(
        "Slurm",
        ("/home/me/distillation-bench", str(repository)),
        ("minimum_jobs=64, maximum_jobs=64", f"minimum_jobs={jobs}, maximum_jobs={jobs}"),
        ('queue="normal"', f'queue="{QUEUE}"'),
        *more,
    )


@pytest.fixture(params=["stand-in", "real"])
def slurm(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Slurm]:
    if request.param == "real" and (reason := slurms.why_none()):
        pytest.skip(reason)
    started = slurms.real if request.param == "real" else slurms.stand_in
    with started(tmp_path / "slurm") as slurm:
        yield slurm


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """A copy of the code that can be imported through PYTHONPATH alone."""
    copy = tmp_path / "distillation-bench"
    ignored = shutil.ignore_patterns("__pycache__")
    for name in ("bench", "methods", "datasets", "src"):
        shutil.copytree(ROOT / name, copy / name, symlinks=True, ignore=ignored)
    return copy


@pytest.mark.parametrize("gpu", [False, True])
def test_a_slurm_job_requests_the_right_resources(repository: Path, gpu: bool) -> None:
    code = slurm_recipe(repository, 2, *(GPU if gpu else ()))
    program = code.partition("cluster.adapt")[0] + "print(cluster.job_script())"
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=False, timeout=60
    )
    assert done.returncode == 0, done.stderr
    first, *lines = done.stdout.strip().splitlines()
    assert first.startswith("#!")
    directives = {line.removeprefix("#SBATCH ") for line in lines if line.startswith("#SBATCH")}
    need = {f"-p {QUEUE}", "-n 1", "--cpus-per-task=1", "--mem=4G", "-t 08:00:00"}
    assert need <= directives and ("--gres=gpu:1" in directives) == gpu
    *_, prologue, command = lines
    assert prologue == f"export PYTHONPATH={repository}/src"
    arguments = shlex.split(command)
    assert arguments[:3] == [sys.executable, "-m", "distributed.cli.dask_worker"]
    options = dict(itertools.pairwise(arguments))
    assert options["--nthreads"] == "1" and "--nworkers" not in options
    # As many bytes as Slurm is asked for are Dask's 4e9.
    assert options["--memory-limit"] == "3.73GiB"
    assert options.get("--resources") == ("GPU=1" if gpu else None)
    assert _minutes(options["--lifetime"]) + _minutes(options["--lifetime-stagger"]) < 8 * 60


def test_a_run_on_slurm_has_the_same_bits(
    slurm: Slurm, repository: Path, bench: Bench, reference: Path, tmp_path: Path
) -> None:
    with cluster_of(slurm_recipe(repository, 2), tmp_path, slurm) as address:
        workers = workers_of(address, 2)
        assert [worker["nthreads"] for worker in workers] == [1, 1]
        assert len(slurm.jobs()) == 2
        imported = {worker["bench"] for worker in workers}
        assert imported == {str(repository / "src/distillation_bench/bench/__init__.py")}
        done = bench("run", *FEW, *on(address), *folders("run"))
        assert done.returncode == 0, done.stderr
    assert assert_part_of(tmp_path / "run", reference) == 4
    # Enter has ended its jobs too.
    slurm.wait_for_end()


def test_a_job_that_slurm_cancels_is_replaced(
    slurm: Slurm, repository: Path, reference: Path, tmp_path: Path
) -> None:
    with cluster_of(slurm_recipe(repository, 1), tmp_path, slurm) as address:
        workers_of(address, 1)
        (job,) = slurm.jobs()
        with running("run", *MIXED, *on(address), *folders("run"), folder=tmp_path) as process:
            wait_for(tmp_path / "run", 1)
            # As at the walltime: SIGTERM to all its processes, soon followed by SIGKILL.
            slurm("scancel", job)
            assert process.poll() is None, "it had ended before its job did"
            _, err = process.communicate(timeout=300)
        assert process.returncode == 0, err
        (replacement,) = slurm.jobs()
        assert replacement != job
    assert assert_part_of(tmp_path / "run", reference) == 12


def test_a_slurm_job_gets_a_gpu(slurm: Slurm, repository: Path, tmp_path: Path) -> None:
    with cluster_of(slurm_recipe(repository, 2, *GPU), tmp_path, slurm) as address:
        worker, *_ = workers_of(address, 1)
        assert worker["resources"] == {"GPU": 1.0}
        if "SLURM_CONF" in slurm.environment:
            # Its only one: the other job waits.
            assert worker["gpus"] == "0" and len(slurm.jobs()) == 2
            assert slurm("squeue", "--noheader", "--format=%t").split().count("R") == 1


class Server(NamedTuple):
    """A running sshd and its port."""

    process: psutil.Process
    port: int


@pytest.fixture
def sshd(tmp_path: Path) -> Iterator[Server]:
    """Start an sshd for this user, whose key is the file `key`."""
    server, keygen = shutil.which("sshd", path="/usr/sbin:/usr/local/sbin"), "ssh-keygen"
    if server is None or shutil.which(keygen) is None:
        pytest.skip("there is no sshd or ssh-keygen")
    if os.geteuid():
        pytest.skip("only root's sshd gives terminals, which `dask ssh` asks for")
    for name in ("key", "host"):
        command = [keygen, "-q", "-t", "ed25519", "-N", "", "-f", str(tmp_path / name)]
        subprocess.run(command, check=True)
    # Which its service makes.
    Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)
    port = free_port()
    options = {
        "ListenAddress": "127.0.0.1",
        "HostKey": tmp_path / "host",
        "AuthorizedKeysFile": tmp_path / "key.pub",
        "PidFile": "none",
        "StrictModes": "no",
        "UsePAM": "no",
        "Port": port,
    }
    arguments = [text for name, value in options.items() for text in ("-o", f"{name}={value}")]
    with (tmp_path / "sshd.log").open("wb") as log:
        process = subprocess.Popen([server, "-D", "-e", "-f", "/dev/null", *arguments], stderr=log)
    try:
        wait_for_port(port, tmp_path / "sshd.log")
        yield Server(psutil.Process(process.pid), port)
    finally:
        below = psutil.Process(process.pid).children(recursive=True)
        process.kill()
        process.wait()
        for child in below:
            with contextlib.suppress(psutil.NoSuchProcess):
                child.kill()


def test_a_run_over_ssh_has_the_same_bits(
    sshd: Server, bench: Bench, reference: Path, tmp_path: Path
) -> None:
    address, port = scheduler_of_ssh("127.0.0.1")
    if not socket.socket().connect_ex(("127.0.0.1", port)):
        pytest.skip(f"port {port} is taken")
    (tmp_path / "hosts.txt").write_text("127.0.0.1\nlocalhost\n")
    command = recipe(
        "SSH",
        ("dask ssh", f"dask ssh --ssh-private-key key --ssh-port {sshd.port}"),
        ("--nworkers 8", "--nworkers 2"),
        ("$PWD/.venv/bin/python", sys.executable),
    )
    process = dask_ssh(command, tmp_path)
    try:
        wait_for_port(port, tmp_path / "log")
        workers = workers_of(address, 4)
        assert [worker["nthreads"] for worker in workers] == [1] * 4
        assert {worker["folder"] for worker in workers} == {str(Path.home())}
        done = bench("run", *FEW, *on(address), *folders("run"))
        assert done.returncode == 0, done.stderr
        below = sshd.process.children(recursive=True)
        process.send_signal(signal.SIGINT)
        process.wait(60)
        assert below and not psutil.wait_procs(below, timeout=30)[1]
    finally:
        process.kill()
        process.wait()
    assert assert_part_of(tmp_path / "run", reference) == 4


def scheduler_of_ssh(head: str) -> tuple[str, int]:
    """The address that the document gives, and its port."""
    (address,) = set(re.findall(r"tcp://HEAD:\d+", CLUSTERS))
    return address.replace("HEAD", head), int(address.rpartition(":")[2])


def dask_ssh(command: str, folder: Path) -> subprocess.Popen[bytes]:
    binaries = Path(sys.executable).parent
    with (folder / "log").open("wb") as log:
        return subprocess.Popen(
            ["bash", "-c", f"exec {command}"],
            cwd=folder,
            env={**os.environ, "PATH": f"{binaries}{os.pathsep}{os.environ['PATH']}"},
            stdout=log,
            stderr=log,
            # In the background of a script Ctrl-C is ignored, and that is inherited.
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
        )


@contextlib.contextmanager
def cluster_of(code: str, folder: Path, slurm: Slurm) -> Iterator[str]:
    """The recipe `cluster.py` as a process: it prints the scheduler's address, Enter ends it."""
    (folder / "cluster.py").write_text(code)
    # A worker that is gone is given up at once, not after 15 seconds.
    patience = {"DASK_DISTRIBUTED__DEPLOY__LOST_WORKER_TIMEOUT": "1s"}
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "cluster.py"],
            cwd=folder,
            env={**os.environ, **slurm.environment, **patience},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
        )
    try:
        assert process.stdout is not None
        address = process.stdout.readline().strip()
        assert address.startswith("tcp://"), (folder / "log").read_text()
        yield address
        process.communicate("\n", timeout=60)
        assert process.returncode == 0, (folder / "log").read_text()
    finally:
        process.kill()
        process.communicate()


@contextlib.contextmanager
def running(*arguments: str, folder: Path) -> Iterator[subprocess.Popen[str]]:
    """The program, which ends with the block."""
    process = start(*arguments, folder=folder)
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def on(address: str) -> tuple[str, ...]:
    return "--executor", "dask", "--scheduler", address


def workers_of(address: str, number: int) -> list[dict[str, Any]]:
    """Return the state of each worker, once there are as many as expected."""
    from distributed import Client

    # A function within another is sent by value: there are no tests where the workers are.
    def state_of_worker() -> dict[str, Any]:
        bench = find_spec("distillation_bench.bench")
        return {
            "bench": bench.origin if bench else "",
            "folder": str(Path.cwd()),
            "gpus": os.environ.get("CUDA_VISIBLE_DEVICES"),
        }

    with Client(address, set_as_default=False) as client:
        client.wait_for_workers(number, timeout=120)
        workers = client.scheduler_info(n_workers=-1)["workers"]
        return [
            {**workers[worker], **answer} for worker, answer in client.run(state_of_worker).items()
        ]


def _minutes(text: str) -> float:
    from dask.utils import parse_timedelta

    return float(parse_timedelta(text)) / 60


def free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


def wait_for_port(port: int, log: Path) -> None:
    deadline = time.monotonic() + 60
    while socket.socket().connect_ex(("127.0.0.1", port)):
        assert time.monotonic() < deadline, log.read_text()
        time.sleep(0.05)
