"""Slurm on this machine: a real one for a test, or a stand-in of three scripts."""

from __future__ import annotations

import contextlib
import getpass
import os
import platform
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

QUEUE = "normal"
STAND_IN = {
    # A job is a process group in a folder of its own, which bears its number.
    "sbatch": """#!/bin/sh
jobs=$(dirname "$0")/jobs
number=1
while ! mkdir "$jobs/$number" 2>/dev/null; do number=$((number + 1)); done
cp "$1" "$jobs/$number/script"
cd "$jobs/$number" || exit 1
SLURM_JOB_ID=$number setsid bash ./script >out 2>&1 </dev/null &
echo $! >pid
echo "Submitted batch job $number"
""",
    "squeue": """#!/bin/sh
for job in "$(dirname "$0")"/jobs/*; do
    pid=$(cat "$job/pid" 2>/dev/null) || continue
    # Not those of which nothing is left but a process that nobody has waited for.
    ps -o stat= -g "$pid" | grep -qv '^Z' && basename "$job"
done
exit 0
""",
    # As at the walltime: all are asked to end, then made to.
    "scancel": """#!/bin/sh
group=-$(cat "$(dirname "$0")/jobs/$1/pid") || exit 1
kill -s TERM -- "$group" || exit 1
(sleep 2; kill -s KILL -- "$group") >/dev/null 2>&1 &
""",
}
# It trusts its messages, follows no cgroups, and has a device that is called a GPU.
CONFIGURATION = """
ClusterName=one
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={port}
SlurmdPort={other_port}
SlurmUser={user}
SlurmdUser={user}
AuthType=auth/none
CredType=cred/none
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.pid
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core_Memory
SlurmdParameters=config_overrides
KillWait=2
GresTypes=gpu
NodeName={host} NodeAddr=127.0.0.1 CPUs=2 RealMemory=16000 Gres=gpu:1
PartitionName={queue} Nodes={host} Default=YES
"""


@dataclass(frozen=True)
class Slurm:
    """The commands of Slurm and its jobs; `environment` lets other programs find them."""

    environment: Mapping[str, str]

    def __call__(self, command: str, *arguments: str) -> str:
        environment = {**os.environ, **self.environment}
        return subprocess.run(
            [command, *arguments], env=environment, capture_output=True, text=True, check=True
        ).stdout

    def jobs(self) -> list[str]:
        """Return the numbers of jobs that wait, run or end."""
        return self("squeue", "--noheader", "--format=%i").split()

    def wait_for_end(self) -> None:
        """Wait until there is no job."""
        deadline = time.monotonic() + 30
        while jobs := self.jobs():
            assert time.monotonic() < deadline, jobs
            time.sleep(0.1)


@contextlib.contextmanager
def stand_in(folder: Path) -> Iterator[Slurm]:
    """Provide commands of the same names; at the end stop their jobs."""
    (folder / "jobs").mkdir(parents=True)
    for name, script in STAND_IN.items():
        (folder / name).write_text(script)
        (folder / name).chmod(0o755)
    slurm = Slurm({"PATH": f"{folder}{os.pathsep}{os.environ['PATH']}"})
    try:
        yield slurm
    finally:
        for number in slurm.jobs():
            with contextlib.suppress(ProcessLookupError):
                os.killpg(int((folder / "jobs" / number / "pid").read_text()), signal.SIGKILL)
        slurm.wait_for_end()


def why_none() -> str:
    """Return why there is no real Slurm here, or an empty string."""
    missing = [name for name in ("slurmctld", "slurmd", "sbatch") if _executable(name) is None]
    return f"there is no {' or '.join(missing)}" if missing else ""


@contextlib.contextmanager
def real(folder: Path) -> Iterator[Slurm]:
    """Start the daemons of Slurm for one node; at the end stop them and their jobs."""
    host = platform.node().partition(".")[0]
    (folder / "state").mkdir(parents=True)
    (folder / "spool").mkdir()
    port, other_port = _free_ports()
    (folder / "slurm.conf").write_text(
        CONFIGURATION.format(
            host=host,
            port=port,
            other_port=other_port,
            user=getpass.getuser(),
            folder=folder,
            queue=QUEUE,
        )
    )
    (folder / "gres.conf").write_text(f"NodeName={host} Name=gpu File=/dev/zero\n")
    slurm = Slurm({"SLURM_CONF": str(folder / "slurm.conf")})
    with _daemon(folder, slurm, "slurmctld"), _daemon(folder, slurm, "slurmd", "-N", host):
        deadline = time.monotonic() + 30
        while not _is_idle(slurm):
            if time.monotonic() > deadline:
                logs = "".join(path.read_text() for path in folder.glob("*.log"))
                pytest.skip(f"Slurm does not start here: {logs}")
            time.sleep(0.1)
        try:
            yield slurm
        finally:
            for number in slurm.jobs():
                # It may end by itself meanwhile.
                with contextlib.suppress(subprocess.CalledProcessError):
                    slurm("scancel", number)
            slurm.wait_for_end()


def _executable(name: str) -> str | None:
    return shutil.which(name, path=f"{os.environ['PATH']}{os.pathsep}/usr/sbin")


@contextlib.contextmanager
def _daemon(folder: Path, slurm: Slurm, name: str, *options: str) -> Iterator[None]:
    command = [_executable(name) or name, "-D", *options]
    with (folder / f"{name}.log").open("wb") as log:
        process = subprocess.Popen(
            command, env={**os.environ, **slurm.environment}, stdout=log, stderr=log
        )
    try:
        yield
    finally:
        process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _is_idle(slurm: Slurm) -> bool:
    """Return whether its node is free for a job."""
    try:
        return slurm("sinfo", "--noheader", "--format=%t").strip() == "idle"
    except subprocess.CalledProcessError:
        return False


def _free_ports() -> tuple[int, int]:
    with socket.socket() as first, socket.socket() as second:
        first.bind(("127.0.0.1", 0))
        second.bind(("127.0.0.1", 0))
        return first.getsockname()[1], second.getsockname()[1]
