"""What a user types, and what is answered."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.end_to_end.program import ROOT, Bench, places, start

ONE = ("-m", "kd", "-d", "spiral", "-s", "0", "--set", "epochs=2", "--set", "members=2")

FAILING = """
import torch
from methods import Method, register
from methods.networks.heads import core_and_heads

@register
class Failing(Method):
    name = "failing"
    summary = "{summary}"
    paper = "none"

    def build(self, generator):
        return core_and_heads(self.setting.networks, 1, generator)

    def loss(self, outputs, batch, now):
        {action}
        return {{"correctness": self.task.correctness(outputs, batch.y)}}
"""


def failing(folder: Path, action: str) -> tuple[str, ...]:
    path = folder / "failing.py"
    path.write_text(FAILING.format(action=action, summary=action.replace('"', "'")))
    return "--plugin", str(path), "-m", "failing", *ONE


MISTAKES = [
    (("run", "-m", "kdd", "-d", "spiral"), "-m: unknown method 'kdd'; did you mean 'kd'?"),
    (("run", "-m", "kd", "-d", "spirl"), "-d: unknown dataset 'spirl'; did you mean 'spiral'?"),
    (("plan", "-m", "kd[temprature=3]"), "unknown name 'temprature'; did you mean 'temperature'?"),
    (("plan", "-m", "kd[temperature=hot]"), "temperature: 'hot' is not a number"),
    (("plan", "-m", "hydra[heads=2.5]"), "heads: input should be a valid integer, not 2.5"),
    (("plan", "-m", "hydra[heads=true]"), "heads: input should be a valid integer, not True"),
    (("plan", "-m", "kd[a=2]"), "a: must be at least 0 and at most 1, not 2"),
    (("plan", "--set", "epoch=2"), "--set: unknown name 'epoch'; did you mean 'epochs'?"),
    (("plan", "--set", "epochs"), "--set: 'epochs' is not name=value"),
    (("plan", "-s", "5-2"), "-s: '5-2' is not a seed or a range such as 0-2"),
    (("plan", "--preset", "quik"), "no preset 'quik'; did you mean 'quick'?"),
    (("plan", "-m", "endd", "-d", "sine"), "a Dirichlet is a distribution over class"),
    (("list", "method"), "list method: unknown; did you mean 'methods'?"),
    (("board", "nowhere"), "nowhere: no such folder"),
    (("status", "."), ".: not a run (it has no run.json)"),
    (("check", "nothing.py"), "--plugin nothing.py: no such file"),
]


@pytest.mark.parametrize(("arguments", "message"), MISTAKES, ids=[str(m[0]) for m in MISTAKES])
def test_a_mistake_is_one_line_and_status_2(
    bench: Bench, arguments: tuple[str, ...], message: str
) -> None:
    done = bench(*arguments)
    assert done.returncode == 2
    assert message in done.stderr
    assert done.stderr.startswith("error: ") and len(done.stderr.splitlines()) == 1


def test_help_and_tables_leave_torch_out() -> None:
    for command in ("['--help']", "['list', 'methods']", "['plan', '-s', '0']"):
        code = f"""
import sys
sys.argv[1:] = {command}
from bench.cli import main
try:
    main()
except SystemExit as end:
    assert not end.code, end.code
assert 'torch' not in sys.modules and 'sklearn' not in sys.modules
"""
        subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True, capture_output=True)


def test_run_plan_status_board(bench: Bench) -> None:
    assert "1 cells: 1 to run" in bench("plan", *ONE, *places("run")).stdout
    done = bench("run", *ONE, *places("run"))
    assert done.returncode == 0
    assert "spiral kd seed 0" in done.stderr and "accuracy ↑" in done.stdout
    again = bench("run", *ONE, *places("run"))
    assert again.returncode == 0 and again.stderr == ""
    plan = bench("plan", *ONE, *places("run")).stdout
    assert "1 cells: 1 done" in plan and "cached" in plan
    longer = bench("plan", *ONE, "-s", "0-4", *places("run")).stdout
    assert "1 done, 4 to run" in longer and "time: about" in longer
    assert "1 cells: 1 done" in bench("status", "run").stdout
    assert "### spiral" in bench("board", "run", "--markdown").stdout


def test_failure_is_recorded_and_kept(bench: Bench, tmp_path: Path) -> None:
    arguments = failing(tmp_path, "raise ValueError('no such thing')")
    done = bench("run", *arguments, *places("run"))
    assert done.returncode == 1
    assert "FAILED spiral failing seed 0: ValueError: no such thing" in done.stderr
    assert "1 failed of 1: ValueError: no such thing" in done.stdout
    assert "kd" in done.stdout
    (record,) = [
        json.loads(path.read_text()) for path in (tmp_path / "run/cells").glob("*failing*.json")
    ]
    assert record["status"] == "failed" and "failing.py" in record["details"]
    again = bench("run", *arguments, *places("run"))
    assert again.returncode == 1 and "FAILED" not in again.stderr
    retried = bench("run", *arguments, "--retry-failed", *places("run"))
    assert retried.returncode == 1 and "FAILED" in retried.stderr


def test_worker_that_dies_costs_one_retry(bench: Bench, tmp_path: Path) -> None:
    arguments = failing(tmp_path, "__import__('os').kill(__import__('os').getpid(), 9)")
    done = bench("run", *arguments, "--jobs", "2", *places("run"))
    assert done.returncode == 1
    assert "killed by SIGKILL (out of memory?), 2 times" in done.stderr
    assert "spiral kd seed 0" in done.stderr


def test_timeout_is_a_kill(bench: Bench, tmp_path: Path) -> None:
    arguments = failing(tmp_path, "__import__('time').sleep(600)")
    done = bench("run", *arguments, "--timeout", "8", *places("run"))
    assert done.returncode == 1
    assert "failing seed 0: took longer than 8 s" in done.stderr
    assert "1/2] spiral kd seed 0" in done.stderr or "2/2] spiral kd seed 0" in done.stderr


def test_non_finite_loss_names_epoch_and_term(bench: Bench, tmp_path: Path) -> None:
    arguments = failing(tmp_path, "outputs = outputs / 0")
    done = bench("run", *arguments, *places("run"))
    assert "NonFinite: term 'correctness' is nan in epoch 0" in done.stderr


def test_one_folder_one_recipe(bench: Bench) -> None:
    assert bench("run", *ONE, *places("run")).returncode == 0
    other = bench("run", *ONE, "--set", "epochs=3", *places("run"))
    assert other.returncode == 2
    assert "spiral was run with epochs=2, now 3" in other.stderr


def test_two_drivers_on_one_folder(bench: Bench, tmp_path: Path) -> None:
    arguments = failing(tmp_path, "__import__('time').sleep(600)")
    first = start("run", *arguments, "--jobs", "2", *places("run"), folder=tmp_path)
    assert first.stderr is not None
    first.stderr.readline()
    second = bench("run", *ONE, *places("run"))
    first.terminate()
    first.communicate(timeout=60)
    assert second.returncode == 2
    assert f"in use by process {first.pid}" in second.stderr
    assert first.returncode == 130


def test_unwritable_folder(bench: Bench, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    done = bench("run", *ONE, "--results", "file/run")
    assert done.returncode == 2 and "file/run: can't be written" in done.stderr


def test_plugin_reaches_workers_and_tables(bench: Bench, tmp_path: Path) -> None:
    arguments = failing(tmp_path, "pass")
    done = bench("run", *arguments, "--jobs", "2", *places("run"))
    assert done.returncode == 0 and "failing" in done.stdout
    before = set((tmp_path / "run/cells").glob("*failing*.json"))
    changed = failing(tmp_path, "outputs = outputs * 1.5")
    assert bench("run", *changed, *places("run")).returncode == 0
    assert len(set((tmp_path / "run/cells").glob("*failing*.json")) - before) == 1
