"""Runs with plugins: failures cost their own cell, and plugins reach workers and tables."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from tests.end_to_end.bench_command import Bench, folders
from tests.end_to_end.failing_plugins import (
    CELL,
    ENDS,
    FAILING,
    TIMEOUT,
    ending_plugin,
    failing_plugin,
)

from distillation_bench.bench.execution.executors.local import LocalExecutor


def test_a_failure_is_recorded_with_its_reason(in_process: Bench, tmp_path: Path) -> None:
    arguments = failing_plugin(tmp_path, "raise ValueError('no such thing')")
    done = in_process("run", *arguments, *folders("run"))
    assert done.returncode == 1
    assert "FAILED spiral failing seed 0: ValueError: no such thing" in done.stderr
    assert "1 failed of 1: ValueError: no such thing" in done.stdout
    assert "kd" in done.stdout
    (record,) = [
        json.loads(path.read_text()) for path in (tmp_path / "run/cells").glob("*failing*.json")
    ]
    assert record["status"] == "failed" and "failing.py" in record["details"]
    again = in_process("run", *arguments, *folders("run"))
    assert again.returncode == 1 and "FAILED" not in again.stderr
    retried = in_process("run", *arguments, "--retry-failed", *folders("run"))
    assert retried.returncode == 1 and "FAILED" in retried.stderr


def test_each_failure_costs_its_own_cell(bench: Bench, tmp_path: Path) -> None:
    """A job over its timeout is killed; the job of a dead worker is retried once."""
    arguments = (*ending_plugin(tmp_path, ENDS), *CELL, "--jobs", "2", *TIMEOUT)
    done = bench("run", *arguments, *folders("run"))
    assert done.returncode == 1
    for name, (_, reason) in ENDS.items():
        assert f"FAILED spiral {name} seed 0: {reason}" in done.stderr
    assert "] spiral kd seed 0" in done.stderr


def test_exit_in_a_loss_fails_its_cell_without_processes_too(
    in_process: Bench, tmp_path: Path
) -> None:
    done = in_process("run", *ending_plugin(tmp_path, ["exits"]), *CELL, *folders("run"))
    assert done.returncode == 1
    assert "FAILED spiral exits seed 0: SystemExit" in done.stderr
    assert "] spiral kd seed 0" in done.stderr


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("import sys\nsys.exit(0)\n", ":2: SystemExit: 0"),
        ("x = 1\nraise KeyError('a')\n", ":2: KeyError: 'a'"),
        ("def f(:\n", ":1: invalid syntax"),
        ("import methods", ": imports methods, which is now distillation_bench.methods"),
    ],
)
def test_a_plugin_that_exits_at_import_is_reported(
    in_process: Bench, tmp_path: Path, text: str, reason: str
) -> None:
    path = tmp_path / "plugin.py"
    path.write_text(text)
    for command in (("plan", *CELL, "--plugin"), ("list", "methods", "--plugin")):
        done = in_process(*command, str(path))
        assert done.returncode == 2
        assert done.stderr == f"error: {path}{reason}\n"


def test_a_metric_named_as_a_column_is_refused(in_process: Bench, tmp_path: Path) -> None:
    path = tmp_path / "plugin.py"
    path.write_text(
        "from distillation_bench.bench.metrics import metric\n@metric('classification', 'higher')\n"
        "def status(outcome):\n    'One.'\n    return 1.0\n"
    )
    done = in_process("list", "metrics", "--plugin", str(path))
    assert done.returncode == 2
    assert "metric 'status': not a name that a column can have" in done.stderr
    assert len(done.stderr.splitlines()) == 1


EDITED = """
import pathlib
from distillation_bench.methods import register
from distillation_bench.methods.kd import KD

@register
class Edited(KD):
    name = "edited"

    def loss(self, outputs, batch, now):
        path = pathlib.Path(__file__)
        if not path.read_text().endswith("# later\\nlater = 1\\n"):
            path.write_text(path.read_text() + "# later\\nlater = 1\\n")
        return super().loss(outputs, batch, now)
"""


def test_a_plugin_edited_during_the_run_fails_the_later_cells(bench: Bench, tmp_path: Path) -> None:
    """The cell in progress is completed; no later cell has values of other code."""
    path = tmp_path / "edited.py"
    path.write_text(EDITED)
    arguments = ("-m", "edited", *CELL[2:4], "-s", "0-2", *CELL[6:], "--plugin", str(path))
    done = bench("run", *arguments, "--jobs", "2", *folders("run"))
    assert done.returncode == 1, done.stderr
    failed = [line for line in done.stderr.splitlines() if "FAILED" in line]
    assert failed and all("was changed during the run" in line for line in failed)
    again = bench("run", *arguments, "--jobs", "2", *folders("run"))
    assert again.returncode == 0, again.stderr
    records = (tmp_path / "run/cells").glob("*.json")
    statuses = [json.loads(record.read_bytes())["status"] for record in records]
    assert statuses.count("done") >= 3


TUPLES = """
from distillation_bench.datasets import register
from distillation_bench.datasets.spiral import Spiral

@register
class Tuples(Spiral):
    name = "tuples"
    network = {"family": "mlp", "member": (8, 8), "core": (8,), "head": (8,)}
"""


def test_a_plugins_dataset_with_tuples_can_be_resumed(in_process: Bench, tmp_path: Path) -> None:
    path = tmp_path / "tuples.py"
    path.write_text(TUPLES)
    arguments = ("-m", "kd", "-d", "tuples", "-s", "0", *CELL[6:], "--plugin", str(path))
    for seeds in ("0", "0-1"):
        done = in_process("run", *arguments, "-s", seeds, *folders("run"))
        assert done.returncode == 0, done.stderr


def test_a_non_finite_loss_is_reported_with_epoch_and_term(
    in_process: Bench, tmp_path: Path
) -> None:
    arguments = failing_plugin(tmp_path, "outputs = outputs / 0")
    done = in_process("run", *arguments, *folders("run"))
    assert "NonFinite: term 'correctness' is nan in epoch 0" in done.stderr


MANNERS = {
    "double": "torch.set_default_dtype(torch.float64)",
    "threaded": "torch.set_num_threads(4)",
    "cancelled": "raise __import__('asyncio').CancelledError('no')",
    "leaves": "__import__('os')._exit(0)",
    "lingers": "import threading, time; threading.Thread(target=time.sleep, args=(600,)).start()",
}


def test_plugins_give_the_same_values_with_one_worker_and_two(
    in_process: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Changes that a method makes to its process do not reach other cells."""
    monkeypatch.setattr("distillation_bench.bench.execution.runner.LocalExecutor", LocalExecutor)
    path = tmp_path / "manners.py"
    methods = [
        FAILING.format(action=action, summary=name)
        .replace('"failing"', f'"{name}"')
        .replace("class Failing", f"class {name.title()}")
        for name, action in MANNERS.items()
    ]
    path.write_text("".join(methods))
    names = [text for name in [*MANNERS, "kd"] for text in ("-m", name)]
    results = []
    for jobs in ("1", "2"):
        done = in_process(
            *("run", "--plugin", str(path), *names, *CELL[2:], "--jobs", jobs),
            *("--results", jobs, "--cache", "cache"),
        )
        assert done.returncode == 1, done.stderr
        results.append((tmp_path / jobs / "results.csv").read_text())
    assert results[0] == results[1]
    statuses = dict(row.split(",")[1:5:3] for row in results[0].splitlines()[1:])
    failed = [name for name, state in statuses.items() if state == "failed"]
    assert set(statuses) == {*MANNERS, "kd"} and failed == ["cancelled", "leaves"]


def test_a_plugin_reaches_workers_and_tables(
    bench: Bench, in_process: Bench, tmp_path: Path
) -> None:
    arguments = failing_plugin(tmp_path, "pass")
    done = bench("run", *arguments, "--jobs", "2", *folders("run"))
    assert done.returncode == 0 and "failing" in done.stdout
    before = set((tmp_path / "run/cells").glob("*failing*.json"))
    changed = failing_plugin(tmp_path, "outputs = outputs * 1.5")
    assert in_process("run", *changed, *folders("run")).returncode == 0
    assert len(set((tmp_path / "run/cells").glob("*failing*.json")) - before) == 1


@pytest.mark.parametrize(
    ("action", "reason"),
    [
        ("while True: pass", "the worker used more processor time than it may"),
        ("__import__('os')._exit(0)", "the worker ended with status 0"),
    ],
)
def test_a_check_ends_in_a_verdict_whatever_the_plugin_does(
    in_process: Bench, tmp_path: Path, action: str, reason: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("distillation_bench.bench.check.plugin_check.TOTAL_SECONDS", 4)
    failing_plugin(tmp_path, action)
    done = in_process("check", str(tmp_path / "failing.py"))
    assert done.returncode == 1
    assert f"verdict: does not fit: after the last line above, {reason}" in done.stdout


def test_texts_of_a_plugin_send_no_control_characters(in_process: Bench, tmp_path: Path) -> None:
    (tmp_path / "odd.py").write_text(ODD)
    for kind in ("methods", "datasets", "metrics"):
        done = in_process("list", kind, "--plugin", "odd.py")
        assert done.returncode == 0, done.stderr
        assert "odd" in done.stdout and "fake" in done.stdout
        assert all(sign.isprintable() for sign in done.stdout.replace("\n", ""))
        assert not [line for line in done.stdout.splitlines() if line.startswith("fake")]


ODD = r"""
from distillation_bench.bench.metrics.registry import Metric, register as register_metric
from distillation_bench.datasets import register as register_dataset
from distillation_bench.datasets.spiral import Spiral
from distillation_bench.methods import Parameters, parameter, register
from distillation_bench.methods.kd import KD

WORDS = "odd\x1b[2J\nfake line\x1b]0;owned\x07"

class Values(Parameters):
    value: float = parameter(1.0, WORDS)

@register
class Odd(KD):
    name, summary, paper, refuses, Parameters = "odd", WORDS, WORDS, {"regression": WORDS}, Values

@register_dataset
class OddSpiral(Spiral):
    name, summary, source = "odd", WORDS, WORDS

def odd(outcome):
    return 0.0

register_metric(Metric("odd", "any", "labelled", "", odd, False, WORDS))
"""
