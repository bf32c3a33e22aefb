"""Commands as a user types them, and their answers."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from tests.end_to_end.bench_command import ROOT, Bench, folders
from tests.end_to_end.failing_plugins import CELL

KD = ("plan", "-m", "kd", "-d", "spiral")


MISTAKES = [
    (("run", "-m", "kdd", "-d", "spiral"), "-m: unknown method 'kdd'; did you mean 'kd'?"),
    (("run", "-m", "KD", "-d", "spiral"), "-m: unknown method 'KD'; did you mean 'kd'?"),
    (("run", "-m", "kd", "-d", "spirl"), "-d: no dataset 'spirl'; did you mean 'spiral'?"),
    (("run", "-m", "kd", "-d", "folder:none"), "-d: 'folder:none': no folder none"),
    (("plan", "-m", "kd[temprature=3]"), "unknown name 'temprature'; did you mean 'temperature'?"),
    (("plan", "-m", "kd[temperature=hot]"), "temperature: 'hot' is not a number"),
    (("plan", "-m", "hydra[heads=2.5]"), "heads: input should be a valid integer, not 2.5"),
    (("plan", "-m", "hydra[heads=true]"), "heads: input should be a valid integer, not True"),
    (("plan", "-m", "kd[a=2]"), "a: must be at least 0 and at most 1, not 2"),
    (("plan", "--set", "epoch=2"), "--set: unknown name 'epoch'; did you mean 'epochs'?"),
    (("plan", "--set", "epochs"), "--set: 'epochs' is not name=value"),
    ((*KD, "--set", "network.wdith=2"), "--set: network: unknown name 'wdith'"),
    ((*KD, "--set", "network=2"), "--set: 'network=2' is not network.OPTION=VALUE"),
    ((*KD, "--set", "network.family=lenet"), "network 'lenet' needs images, but spiral has none"),
    ((*KD, "--set", "network.family=lnet"), "unknown network family 'lnet'; did you mean 'lenet'?"),
    ((*KD, "--set", "augment=crop"), "augment: the inputs of spiral are not images"),
    ((*KD, "--set", "augment=rotate"), "'rotate' is not made of crop, flip, mixup, joined by +"),
    ((*KD, "--set", "precision=float16"), "precision: input should be 'float32' or 'bfloat16'"),
    (("plan", "-s", "5-2"), "-s: '5-2': the first seed is greater than the last"),
    (("plan", "-s", "0-x"), "-s: '0-x' is not a seed or a range such as 0-2"),
    (("plan", "--preset", "quik"), "no preset 'quik'; did you mean 'quick'?"),
    (
        ("plan", "--preset", "seed-spiral"),
        "no preset 'seed-spiral'; did you mean 'original-spiral'?",
    ),
    (("plan", "-m", "endd", "-d", "sine"), "a Dirichlet is a distribution over class"),
    (
        ("run", *CELL, "--device", "gpu"),
        "--device gpu: unknown device; give auto, cpu, cuda or cuda:0,1",
    ),
    (
        ("run", *CELL, "--timeout", "inf"),
        "error: --timeout inf: must be at most 10000000\n",
    ),
    (
        ("run", *CELL, "--timeout", "0"),
        "error: --timeout 0: must be at least 0.1\n",
    ),
    (("run", *CELL, "--jobs", "0"), "error: --jobs 0: must be at least 1\n"),
    (("run", *CELL, "--jobs", "two"), "error: --jobs two: not a whole number\n"),
    (
        ("run", *CELL, "--jobs", "10001"),
        "error: --jobs 10001: must be at most 10000\n",
    ),
    (
        ("run", *CELL, "--jobs", "257"),
        "--jobs 257: 257 jobs at a time; a machine runs at most 256",
    ),
    (
        ("plan", *CELL, "--jobs", "999"),
        "--jobs 999: 999 jobs at a time; a machine runs at most",
    ),
    (("run", *CELL, "--cells-per-gpu", "65"), "error: --cells-per-gpu 65: must be at most 64\n"),
    (("run", *CELL, "--checkpoint", "x"), "error: --checkpoint x: not a number\n"),
    (("run", "--jbos", "1"), "No such option: --jbos"),
    (("plan", "--corruptions", "none", "-d", "spiral", "-m"), "requires an argument"),
    (("list", "method"), "list method: unknown; did you mean 'methods'?"),
    (("board", "nowhere"), "nowhere: no such folder"),
    (("status", "."), ".: not a run (it has no run.json)"),
    (("check", "nothing.py"), "check nothing.py: no such file"),
]


@pytest.mark.parametrize(("arguments", "message"), MISTAKES, ids=[str(m[0]) for m in MISTAKES])
def test_a_mistake_is_one_line_and_status_2(
    in_process: Bench, arguments: tuple[str, ...], message: str, tmp_path: Path
) -> None:
    done = in_process(*arguments)
    assert done.returncode == 2
    assert message in done.stderr
    assert done.stderr.startswith("error: ") and len(done.stderr.splitlines()) == 1
    assert not list(tmp_path.iterdir()), "something was written"


def test_a_mistake_is_one_line_in_a_process_of_its_own(bench: Bench) -> None:
    done = bench("run", "-m", "kdd", "-d", "spiral")
    assert done.returncode == 2
    assert done.stderr == "error: -m: unknown method 'kdd'; did you mean 'kd'?\n"


def test_help_and_tables_do_not_import_torch() -> None:
    for command in ("['--help']", "['list', 'methods']", "['plan', '-s', '0']"):
        code = f"""
import sys
sys.argv[1:] = {command}
from distillation_bench.bench.cli.main import main
try:
    main()
except SystemExit as end:
    assert not end.code, end.code
assert 'torch' not in sys.modules and 'sklearn' not in sys.modules
"""
        subprocess.run(
            [sys.executable, "-c", code], cwd=ROOT / "src", check=True, capture_output=True
        )


def test_run_plan_status_and_board_work_together(in_process: Bench, tmp_path: Path) -> None:
    assert "1 cell: 1 missing" in in_process("plan", *CELL, *folders("run")).stdout
    done = in_process("run", *CELL, *folders("run"))
    assert done.returncode == 0
    assert "spiral kd seed 0" in done.stderr and "Error [%] ↓" in done.stdout
    again = in_process("run", *CELL, *folders("run"))
    assert again.returncode == 0 and again.stderr == ""
    plan = in_process("plan", *CELL, *folders("run")).stdout
    assert "1 cell: 1 done" in plan and "cached" in plan
    longer = in_process("plan", *CELL, "-s", "0-4", *folders("run")).stdout
    assert "1 done, 4 missing" in longer and "time: about" in longer
    assert "### spiral" in in_process("board", "run", "--markdown").stdout
    assert "\nkd " in in_process("board", "run", "-d", "spiral", "-m", "kd").stdout
    (tmp_path / "run" / ".driver").write_text("process 1 on nowhere\n")
    status = in_process("status", "run").stdout
    assert "1 cell: 1 done" in status and "driven by" not in status


def test_tables_of_a_read_only_copy_are_shown(
    in_process: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert in_process("run", *CELL, *folders("run")).returncode == 0
    before = {command: in_process(command, "run").stdout for command in ("board", "status")}
    (tmp_path / "run" / "results.csv").write_text("")
    opened = os.open

    def read_only(path: Any, flags: int, *arguments: Any, **more: Any) -> int:
        if flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT):
            raise PermissionError(13, "Permission denied", path)
        return opened(path, flags, *arguments, **more)

    monkeypatch.setattr(os, "open", read_only)
    for command, text in before.items():
        done = in_process(command, "run")
        assert (done.returncode, done.stdout) == (0, text)


def test_another_recipe_in_the_same_folder_is_refused(in_process: Bench) -> None:
    assert in_process("run", *CELL, *folders("run")).returncode == 0
    refused = in_process(
        "run", *CELL[:6], "--set", "epochs=3", "--set", "members=2", *folders("run")
    )
    assert refused.returncode == 2
    assert "spiral was run with epochs=2, now 3" in refused.stderr


@pytest.mark.parametrize("paths", [("file/run", "cache"), ("run", "file/cache")])
def test_an_unwritable_folder_is_reported(
    in_process: Bench, tmp_path: Path, paths: tuple[str, str]
) -> None:
    (tmp_path / "file").write_text("")
    results, cache = paths
    done = in_process("run", *CELL, "--results", results, "--cache", cache)
    assert done.returncode == 2
    assert "can't be written" in done.stderr and "file/" in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert not list(tmp_path.rglob("cells/*"))


def test_plan_counts_every_teacher_and_cell(in_process: Bench) -> None:
    two = ("-m", "kd", "-m", "ensemble", "-d", "spiral", "-s", "0-1", *CELL[6:])
    done = in_process("plan", *two, "--estimate", "--device", "cpu", "--jobs", "1", *folders("run"))
    assert done.returncode == 0
    lines = done.stdout.splitlines()
    for jobs in ("2 teachers", "2 x kd", "2 x ensemble"):
        assert any(line.split("  ")[0] == "spiral" and jobs in line for line in lines), jobs
    assert re.search(r"from nothing: about .* with 1 at a time on cpu", lines[-1])
    assert not any("time: " in line for line in lines)


@pytest.mark.parametrize("address", ["nowhere", "tcp://127.0.0.1:1"])
def test_a_missing_cluster_leaves_no_folder(
    in_process: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, address: str
) -> None:
    from distillation_bench.bench.execution.executors import dask

    def refused(address: str, **options: object) -> None:
        raise OSError("refused")

    monkeypatch.setattr(dask, "Client", refused)
    before = sorted(tmp_path.rglob("*"))
    where = ("--results", "new/run", "--cache", "new/cache")
    done = in_process("run", *CELL, *where, "--executor", "dask", "--scheduler", address)
    assert done.returncode == 2 and f"--scheduler {address}" in done.stderr
    assert sorted(tmp_path.rglob("*")) == before


def test_options_without_a_default_of_their_own_say_whose_they_have(in_process: Bench) -> None:
    text = in_process("list", "networks").stdout
    assert "Undefined" not in text
    assert "    member  the dataset's  hidden widths of a member" in text
