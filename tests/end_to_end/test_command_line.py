"""What a user types, and what is answered."""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest
from tests.end_to_end.program import ROOT, Bench, places, start

from distillation_bench.bench.execution.executors import LocalExecutor

ONE = ("-m", "kd", "-d", "spiral", "-s", "0", "--set", "epochs=2", "--set", "members=2")

FAILING = """
import torch
from distillation_bench.methods import Method, register
from distillation_bench.methods.networks.heads import core_and_heads

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
    ((*KD, "--set", "network.family=lenet"), "network 'lenet' needs images, which spiral has not"),
    ((*KD, "--set", "network.family=lnet"), "unknown network family 'lnet'; did you mean 'lenet'?"),
    ((*KD, "--set", "augment=crop"), "augment: the inputs of spiral are no images"),
    ((*KD, "--set", "augment=rotate"), "'rotate' is not some of crop, flip, mixup joined by +"),
    ((*KD, "--set", "precision=float16"), "precision: input should be 'float32' or 'bfloat16'"),
    (("plan", "-s", "5-2"), "-s: '5-2': the first seed is greater than the last"),
    (("plan", "-s", "0-x"), "-s: '0-x' is not a seed or a range such as 0-2"),
    (("plan", "--preset", "quik"), "no preset 'quik'; did you mean 'quick'?"),
    (("plan", "-m", "endd", "-d", "sine"), "a Dirichlet is a distribution over class"),
    (("run", *ONE, "--device", "gpu"), "--device gpu: not auto, cpu, cuda or cuda:0,1"),
    (
        ("run", *ONE, "--timeout", "inf"),
        "Input should be less than or equal to 10000000",
    ),
    (("run", *ONE, "--timeout", "0"), "'--timeout': Input should be greater than or equal to 0.1"),
    (("run", *ONE, "--jobs", "0"), "'--jobs': Input should be greater than or equal to 1"),
    (("run", *ONE, "--jobs", "10001"), "'--jobs': Input should be less than or equal to 10000"),
    (("run", *ONE, "--jobs", "257"), "--jobs 257: 257 jobs at a time; a machine runs at most 256"),
    (("plan", *ONE, "--jobs", "999"), "--jobs 999: 999 jobs at a time; a machine runs at most"),
    (("run", *ONE, "--cells-per-gpu", "65"), "Input should be less than or equal to 64"),
    (("run", *ONE, "--checkpoint", "x"), "'--checkpoint': Input should be a valid number"),
    (("run", "--jbos", "1"), "No such option: --jbos"),
    (("plan", "--corruptions", "none", "-d", "spiral", "-m"), "requires an argument"),
    (("list", "method"), "list method: unknown; did you mean 'methods'?"),
    (("board", "nowhere"), "nowhere: no such folder"),
    (("status", "."), ".: not a run (it has no run.json)"),
    (("check", "nothing.py"), "check nothing.py: no such file"),
]


@pytest.mark.parametrize(("arguments", "message"), MISTAKES, ids=[str(m[0]) for m in MISTAKES])
def test_a_mistake_is_one_line_and_status_2(
    here: Bench, arguments: tuple[str, ...], message: str, tmp_path: Path
) -> None:
    done = here(*arguments)
    assert done.returncode == 2
    assert message in done.stderr
    assert done.stderr.startswith("error: ") and len(done.stderr.splitlines()) == 1
    assert not list(tmp_path.iterdir()), "something was written"


def test_a_mistake_of_a_process_too(bench: Bench) -> None:
    done = bench("run", "-m", "kdd", "-d", "spiral")
    assert done.returncode == 2
    assert done.stderr == "error: -m: unknown method 'kdd'; did you mean 'kd'?\n"


def test_help_and_tables_leave_torch_out() -> None:
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


def test_run_plan_status_board(here: Bench, tmp_path: Path) -> None:
    assert "1 cells: 1 missing" in here("plan", *ONE, *places("run")).stdout
    done = here("run", *ONE, *places("run"))
    assert done.returncode == 0
    assert "spiral kd seed 0" in done.stderr and "accuracy ↑" in done.stdout
    again = here("run", *ONE, *places("run"))
    assert again.returncode == 0 and again.stderr == ""
    plan = here("plan", *ONE, *places("run")).stdout
    assert "1 cells: 1 done" in plan and "cached" in plan
    longer = here("plan", *ONE, "-s", "0-4", *places("run")).stdout
    assert "1 done, 4 missing" in longer and "time: about" in longer
    assert "### spiral" in here("board", "run", "--markdown").stdout
    (tmp_path / "run" / ".driver").write_text("process 1 on nowhere\n")
    status = here("status", "run").stdout
    assert "1 cells: 1 done" in status and "running now" not in status


def test_tables_of_a_read_only_copy(
    here: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert here("run", *ONE, *places("run")).returncode == 0
    before = {command: here(command, "run").stdout for command in ("board", "status")}
    (tmp_path / "run" / "results.csv").write_text("")
    opened = os.open

    def read_only(path: Any, flags: int, *rest: Any, **more: Any) -> int:
        if flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT):
            raise PermissionError(13, "Permission denied", path)
        return opened(path, flags, *rest, **more)

    monkeypatch.setattr(os, "open", read_only)
    for command, text in before.items():
        done = here(command, "run")
        assert (done.returncode, done.stdout) == (0, text)


def test_failure_is_recorded_and_kept(here: Bench, tmp_path: Path) -> None:
    arguments = failing(tmp_path, "raise ValueError('no such thing')")
    done = here("run", *arguments, *places("run"))
    assert done.returncode == 1
    assert "FAILED spiral failing seed 0: ValueError: no such thing" in done.stderr
    assert "1 failed of 1: ValueError: no such thing" in done.stdout
    assert "kd" in done.stdout
    (record,) = [
        json.loads(path.read_text()) for path in (tmp_path / "run/cells").glob("*failing*.json")
    ]
    assert record["status"] == "failed" and "failing.py" in record["details"]
    again = here("run", *arguments, *places("run"))
    assert again.returncode == 1 and "FAILED" not in again.stderr
    retried = here("run", *arguments, "--retry-failed", *places("run"))
    assert retried.returncode == 1 and "FAILED" in retried.stderr


ENDS = {
    "exits": ("__import__('sys').exit(0)", "SystemExit: 0"),
    "dies": (
        "__import__('os').kill(__import__('os').getpid(), 9)",
        "the worker was killed by SIGKILL (out of memory?), 2 times",
    ),
    "hangs": ("__import__('time').sleep(600)", "took longer than 10 s"),
}


def ending(folder: Path, names: Iterable[str]) -> tuple[str, ...]:
    """A plugin with a method for each way to end."""
    path = folder / "ends.py"
    parts = [
        FAILING.format(action=ENDS[name][0], summary=name)
        .replace('"failing"', f'"{name}"')
        .replace("class Failing", f"class {name.title()}")
        for name in names
    ]
    path.write_text("".join(parts))
    return "--plugin", str(path), *(text for name in names for text in ("-m", name))


def test_each_bad_end_costs_its_own_cell(bench: Bench, tmp_path: Path) -> None:
    """A timeout is a kill; a worker that dies is tried once more."""
    arguments = (*ending(tmp_path, ENDS), *ONE, "--jobs", "2", "--timeout", "10")
    done = bench("run", *arguments, *places("run"))
    assert done.returncode == 1
    for name, (_, reason) in ENDS.items():
        assert f"FAILED spiral {name} seed 0: {reason}" in done.stderr
    assert "] spiral kd seed 0" in done.stderr


def test_exit_in_a_loss_fails_its_cell_here_too(here: Bench, tmp_path: Path) -> None:
    done = here("run", *ending(tmp_path, ["exits"]), *ONE, *places("run"))
    assert done.returncode == 1
    assert "FAILED spiral exits seed 0: SystemExit" in done.stderr
    assert "] spiral kd seed 0" in done.stderr


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("import sys\nsys.exit(0)\n", ":2: SystemExit: 0"),
        ("x = 1\nraise KeyError('a')\n", ":2: KeyError: 'a'"),
        ("def f(:\n", ":1: invalid syntax"),
    ],
)
def test_a_plugin_that_ends_at_its_import(
    here: Bench, tmp_path: Path, text: str, reason: str
) -> None:
    path = tmp_path / "plugin.py"
    path.write_text(text)
    for command in (("plan", *ONE, "--plugin"), ("list", "methods", "--plugin")):
        done = here(*command, str(path))
        assert done.returncode == 2
        assert done.stderr == f"error: {path}{reason}\n"


def test_a_metric_named_as_a_column_is_refused(here: Bench, tmp_path: Path) -> None:
    path = tmp_path / "plugin.py"
    path.write_text(
        "from distillation_bench.bench.metrics import metric\n@metric('classification', 'higher')\n"
        "def status(outcome):\n    'One.'\n    return 1.0\n"
    )
    done = here("list", "metrics", "--plugin", str(path))
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


def test_a_plugin_that_is_edited_during_the_run(bench: Bench, tmp_path: Path) -> None:
    """The cell that had begun is whole; no later one has another code's figures."""
    path = tmp_path / "edited.py"
    path.write_text(EDITED)
    arguments = ("-m", "edited", *ONE[2:4], "-s", "0-2", *ONE[6:], "--plugin", str(path))
    done = bench("run", *arguments, "--jobs", "2", *places("run"))
    assert done.returncode == 1, done.stderr
    failed = [line for line in done.stderr.splitlines() if "FAILED" in line]
    assert failed and all("was changed during the run" in line for line in failed)
    again = bench("run", *arguments, "--jobs", "2", *places("run"))
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


def test_a_plugins_dataset_with_tuples_can_be_resumed(here: Bench, tmp_path: Path) -> None:
    path = tmp_path / "tuples.py"
    path.write_text(TUPLES)
    arguments = ("-m", "kd", "-d", "tuples", "-s", "0", *ONE[6:], "--plugin", str(path))
    for seeds in ("0", "0-1"):
        done = here("run", *arguments, "-s", seeds, *places("run"))
        assert done.returncode == 0, done.stderr


def test_non_finite_loss_names_epoch_and_term(here: Bench, tmp_path: Path) -> None:
    arguments = failing(tmp_path, "outputs = outputs / 0")
    done = here("run", *arguments, *places("run"))
    assert "NonFinite: term 'correctness' is nan in epoch 0" in done.stderr


def test_one_folder_one_recipe(here: Bench) -> None:
    assert here("run", *ONE, *places("run")).returncode == 0
    other = here("run", *ONE[:6], "--set", "epochs=3", "--set", "members=2", *places("run"))
    assert other.returncode == 2
    assert "spiral was run with epochs=2, now 3" in other.stderr


def wait_for(path: Path, process: subprocess.Popen[str]) -> None:
    """Until a running process has made a file."""
    while not path.exists():
        assert process.poll() is None, "it ended"
        time.sleep(0.01)


MANNERS = {
    "double": "torch.set_default_dtype(torch.float64)",
    "threaded": "torch.set_num_threads(4)",
    "cancelled": "raise __import__('asyncio').CancelledError('no')",
    "leaves": "__import__('os')._exit(0)",
    "lingers": "import threading, time; threading.Thread(target=time.sleep, args=(600,)).start()",
}


def test_one_worker_is_like_two_for_plugins(
    here: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What a method does to its process stays with its cell."""
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
        done = here(
            *("run", "--plugin", str(path), *names, *ONE[2:], "--jobs", jobs),
            *("--results", jobs, "--cache", "cache"),
        )
        assert done.returncode == 1, done.stderr
        results.append((tmp_path / jobs / "results.csv").read_text())
    assert results[0] == results[1]
    statuses = dict(row.split(",")[1:5:3] for row in results[0].splitlines()[1:])
    failed = [name for name, state in statuses.items() if state == "failed"]
    assert set(statuses) == {*MANNERS, "kd"} and failed == ["cancelled", "leaves"]


@pytest.mark.parametrize(
    "moments",
    [
        (0.2, 0.9, 1.8),
        pytest.param([number / 20 for number in range(2, 70)], marks=pytest.mark.slow),
    ],
    ids=["some", "many"],
)
def test_ctrl_c_at_any_moment(tmp_path: Path, moments: Iterable[float]) -> None:
    """It says how to go on or nothing, and leaves no process and no temporary file."""
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    for moment in moments:
        process = start(
            *("run", *ONE[:6], "--set", "epochs=100000", "--jobs", "2", *places("run")),
            folder=tmp_path,
            session=True,
            TMPDIR=str(temporary),
        )
        time.sleep(moment)
        os.killpg(process.pid, signal.SIGINT)
        _, err = process.communicate(timeout=60)
        assert process.returncode == 130, err
        assert not {"Traceback", "Error", "Exception"} & set(re.findall(r"\w+", err)), err
        # What was told to end holds its streams no longer, and is gone within moments.
        with pytest.raises(ProcessLookupError):
            for _ in range(500):
                os.killpg(process.pid, 0)
                time.sleep(0.02)
        assert not list(temporary.iterdir())


def test_two_drivers(bench: Bench, tmp_path: Path) -> None:
    """One folder has one; two folders may share a cache, and a teacher being made."""
    arguments = ending(tmp_path, ["hangs"])
    shared = ("--cache", "cache", "--set", "members=3", "--set", "piece=1", "--jobs", "2")
    first = start("run", *arguments, *ONE[:8], *shared, "--results", "run", folder=tmp_path)
    other = start("run", *ONE[:8], *shared, "--results", "other", folder=tmp_path)
    # Not a line of its output: the other may have prepared the data, and the line be another.
    wait_for(tmp_path / "run" / ".driver", first)
    second = bench("run", *ONE[:8], *shared, "--results", "run")
    _, err = other.communicate(timeout=120)
    assert other.returncode == 0, err
    assert first.stderr is not None
    while "] spiral kd seed 0" not in (line := first.stderr.readline()):
        assert line, "the first run ended"
    status = bench("status", "run").stdout
    first.terminate()
    first.communicate(timeout=60)
    assert second.returncode == 2
    assert f"in use by process {first.pid}" in second.stderr
    assert f"running now: process {first.pid}" in status
    assert first.returncode == 130


def test_a_killed_fork_server_does_not_end_the_run(tmp_path: Path) -> None:
    arguments = ("-m", "kd", "-m", "hydra", "-m", "single", *ONE[2:], "-s", "0-1")
    process = start("run", *arguments, "--jobs", "2", *places("run"), folder=tmp_path)
    assert process.stderr is not None
    lines = [process.stderr.readline() for _ in range(3)]
    servers = [pid for pid in children(process.pid) if "fork_server" in command_of(pid)]
    assert len(servers) == 1
    os.kill(servers[0], signal.SIGKILL)
    _, err = process.communicate(timeout=120)
    assert process.returncode == 0, [*lines, err]
    assert "Traceback" not in err
    statuses = (tmp_path / "run/results.csv").read_text().splitlines()[1:]
    assert len(statuses) == 6 and all(",done," in row for row in statuses)


def children(pid: int) -> list[int]:
    """Of a process, by the kernel's list of all."""
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            if int(stat.read_text().rpartition(")")[2].split()[1]) == pid:
                found.append(int(stat.parent.name))
    return found


def command_of(pid: int) -> str:
    return Path(f"/proc/{pid}/cmdline").read_text()


@pytest.mark.parametrize("places", [("file/run", "cache"), ("run", "file/cache")])
def test_unwritable_folder(here: Bench, tmp_path: Path, places: tuple[str, str]) -> None:
    (tmp_path / "file").write_text("")
    results, cache = places
    done = here("run", *ONE, "--results", results, "--cache", cache)
    assert done.returncode == 2
    assert "can't be written" in done.stderr and "file/" in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert not list(tmp_path.rglob("cells/*"))


def test_a_plugin_reaches_workers_and_tables(bench: Bench, here: Bench, tmp_path: Path) -> None:
    arguments = failing(tmp_path, "pass")
    done = bench("run", *arguments, "--jobs", "2", *places("run"))
    assert done.returncode == 0 and "failing" in done.stdout
    before = set((tmp_path / "run/cells").glob("*failing*.json"))
    changed = failing(tmp_path, "outputs = outputs * 1.5")
    assert here("run", *changed, *places("run")).returncode == 0
    assert len(set((tmp_path / "run/cells").glob("*failing*.json")) - before) == 1


def test_a_forecast_for_every_teacher_and_cell(here: Bench) -> None:
    two = ("-m", "kd", "-m", "ensemble", "-d", "spiral", "-s", "0-1", *ONE[6:])
    done = here("plan", *two, "--estimate", "--device", "cpu", "--jobs", "1", *places("run"))
    assert done.returncode == 0
    lines = done.stdout.splitlines()
    for what in ("2 teachers", "2 x kd", "2 x ensemble"):
        assert any(line.split("  ")[0] == "spiral" and what in line for line in lines), what
    assert re.search(r"from nothing: about .* with 1 at a time on cpu", lines[-1])


@pytest.mark.parametrize(
    ("action", "reason"),
    [
        ("while True: pass", "took longer than 8 s"),
        ("__import__('os')._exit(0)", "the worker ended with status 0"),
    ],
)
def test_a_check_ends_in_a_verdict_whatever_the_plugin_does(
    here: Bench, tmp_path: Path, action: str, reason: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("distillation_bench.bench.check.CHECKING_SECONDS", 8)
    failing(tmp_path, action)
    done = here("check", str(tmp_path / "failing.py"))
    assert done.returncode == 1
    assert f"verdict: does not fit: after the last line above, {reason}" in done.stdout


@pytest.mark.parametrize("address", ["nowhere", "tcp://127.0.0.1:1"])
def test_a_cluster_that_is_not_there_leaves_no_folder(
    here: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, address: str
) -> None:
    from distillation_bench.bench.execution.executors import dask

    def refused(address: str, **options: object) -> None:
        raise OSError("refused")

    monkeypatch.setattr(dask, "Client", refused)
    before = sorted(tmp_path.rglob("*"))
    where = ("--results", "new/run", "--cache", "new/cache")
    done = here("run", *ONE, *where, "--executor", "dask", "--scheduler", address)
    assert done.returncode == 2 and f"--scheduler {address}" in done.stderr
    assert sorted(tmp_path.rglob("*")) == before


def test_options_without_a_default_of_their_own_say_whose_they_have(here: Bench) -> None:
    text = here("list", "networks").stdout
    assert "Undefined" not in text
    assert "    member  the dataset's  hidden widths of a member" in text


def test_a_plugin_s_words_steer_no_terminal(here: Bench, tmp_path: Path) -> None:
    (tmp_path / "odd.py").write_text(ODD)
    for what in ("methods", "datasets", "metrics"):
        done = here("list", what, "--plugin", "odd.py")
        assert done.returncode == 0, done.stderr
        assert "odd" in done.stdout and "fake" in done.stdout
        assert all(sign.isprintable() for sign in done.stdout.replace("\n", ""))
        assert not [line for line in done.stdout.splitlines() if line.startswith("fake")]


@pytest.mark.parametrize("number", [signal.SIGHUP, signal.SIGTERM, signal.SIGINT])
def test_a_closed_terminal_ends_a_plan_as_ctrl_c_does(
    here: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: signal.Signals
) -> None:
    def closed(*arguments: object) -> None:
        os.kill(os.getpid(), number)
        time.sleep(10)

    monkeypatch.setattr("distillation_bench.bench.planning.cells.make_cells", closed)
    for command in ("plan", "run"):
        done = here(command, *ONE, *places("run"))
        assert done.returncode == 130 and "Traceback" not in done.stderr
    assert not list(tmp_path.iterdir())


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
