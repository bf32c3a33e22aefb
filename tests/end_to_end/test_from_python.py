"""Runs from Python, as users write them: without a main guard, in a thread, in an event loop."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from textwrap import dedent

import pytest
from tests.end_to_end.bench_command import ROOT, tables

SMALL = (
    'methods=["kd", "single"], datasets="spiral", seeds=range(2), jobs=2, '
    'recipe={"epochs": 2, "members": 2, "test_examples": 90}'
)
RUN = f"import distillation_bench as db\nresults = db.run({SMALL})\nprint(results)\n"
DONE = "Results of results/quick: 4 cells, 4 done\n"
METHOD = """
from distillation_bench.methods import Method, register, core_and_heads


@register
class Mine(Method):
    name = "NA"
    summary = "the labels alone"
    paper = "none"

    def build(self, generator):
        return core_and_heads(self.setting.networks, 1, generator)

    def loss(self, outputs, batch, now):
        return {"correctness": self.task.correctness(outputs, batch.y)}
"""

Python = Callable[..., subprocess.CompletedProcess[str]]


def environment() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(ROOT / "src")}


@pytest.fixture
def python(tmp_path: Path) -> Python:
    """python(code, *options): a script of this code, run in a fresh folder."""

    def run(
        code: str, *arguments: str, stdin: str | None = None
    ) -> subprocess.CompletedProcess[str]:
        (tmp_path / "script.py").write_text(dedent(code))
        return subprocess.run(
            [sys.executable, *(arguments or ["script.py"])],
            cwd=tmp_path,
            env=environment(),
            input=stdin,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )

    return run


@pytest.mark.parametrize("start", ["script", "-c", "stdin", "ipython"])
def test_no_main_guard_is_needed(python: Python, start: str) -> None:
    arguments = {
        "script": ["script.py"],
        "-c": ["-c", RUN],
        "stdin": ["-"],
        "ipython": ["-m", "IPython", "--quick", "script.py"],
    }[start]
    done = python(RUN, *arguments, stdin=RUN if start == "stdin" else None)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith(DONE)
    assert done.stderr.count("[4/4]") == 1


def test_values_are_those_of_the_command(python: Python, tmp_path: Path) -> None:
    """The run's description holds a command that does the same."""
    done = python(f'{RUN}db.run({SMALL}, results="again", cache="other", progress=False)')
    assert done.returncode == 0, done.stderr
    manifest = json.loads((tmp_path / "results/quick/run.json").read_text())
    assert manifest["command"].startswith("python -m distillation_bench run -m kd -m single ")
    command = [sys.executable, *manifest["command"].split()[1:]]
    subprocess.run(
        [*command, "--results", "third", "--cache", "third-cache"],
        cwd=tmp_path,
        env=environment(),
        check=True,
        capture_output=True,
    )
    assert tables(tmp_path / "again") == tables(tmp_path / "results/quick")
    assert tables(tmp_path / "third") == tables(tmp_path / "results/quick")


def test_progress_can_be_turned_off(python: Python) -> None:
    done = python(RUN.replace("jobs=2", "jobs=2, progress=False"))
    assert (done.returncode, done.stderr) == (0, "")


def test_it_runs_in_an_event_loop_and_in_another_thread(python: Python) -> None:
    done = python(f"""
        import asyncio
        import distillation_bench as db

        async def main():
            first = db.run({SMALL}, progress=False)
            second = await asyncio.to_thread(lambda: db.run({SMALL}, force=True, progress=False))
            print(len(first.metrics), len(second.metrics))

        asyncio.run(main())
    """)
    assert done.returncode == 0, done.stderr
    first, second = done.stdout.split()
    assert first == second


def test_dask_runs_in_an_event_loop(python: Python) -> None:
    done = python(f"""
        import asyncio
        import distillation_bench as db

        async def main():
            print(db.run({SMALL}, executor="dask", progress=False))

        asyncio.run(main())
    """)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith(DONE)


def test_failed_cells_are_warned_of_in_one_line(python: Python, tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text(METHOD.replace("return {", "return 1 / 0, {"))
    done = python("""
        import distillation_bench as db

        arguments = dict(datasets="spiral", seeds=0, recipe={"epochs": 2, "members": 2}, jobs=1)
        arguments |= dict(plugins="mine.py", progress=False)
        for methods in (["NA", "kd"], ["NA"]):
            results = db.run(methods=methods, results=f"results/{len(methods)}", **arguments)
            print(results.cells.set_index("label").loc["NA", "reason"])
            print(results.planned["status"].tolist())
    """)
    assert done.returncode == 0, done.stderr
    reason = "ZeroDivisionError: division by zero"
    assert [line for line in done.stdout.splitlines() if reason not in line] == [
        "['done', 'failed']",
        "['failed']",
    ]
    warnings = [line for line in done.stderr.splitlines() if "UserWarning" in line]
    assert ["1 of 2 cells failed" in warnings[0], "1 of 1 cells failed" in warnings[1]] == [
        True
    ] * 2
    assert "script.py:" in warnings[0]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ('methods="kdd"', "methods: unknown method 'kdd'; did you mean 'kd'?"),
        ('datasets="spirall"', "datasets: no dataset 'spirall'; did you mean 'spiral'?"),
        ('recipe={"epoch": 3}', "recipe: unknown name 'epoch'; did you mean 'epochs'?"),
        ('seeds="2-1"', "seeds: '2-1': the first seed is greater than the last"),
        ('plugins="mime.py"', "plugins=mime.py: no such file; did you mean 'mine.py'?"),
        ('"quik"', "no preset 'quik'; did you mean 'quick'?"),
        ('executor="dusk"', "executor=dusk: unknown; did you mean 'dask'?"),
        ("jobs=0", "jobs=0: not a whole number from 1 to 10,000"),
    ],
)
def test_a_mistake_is_one_line_in_the_words_of_python(
    arguments: str, message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import distillation_bench as db

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(
        "distillation_bench.bench.execution.executors.processes.forked_process.start_server",
        lambda: None,
    )
    Path("mine.py").write_text("")
    with pytest.raises(db.UsageError) as caught:
        eval(f"run({arguments})", {"run": db.run})
    assert str(caught.value).startswith(message)
    assert len(str(caught.value).splitlines()) == 1
    assert not Path("results").exists()


def test_a_method_of_the_program_itself_is_refused(python: Python) -> None:
    """Workers do not run the program, in which there may be anything."""
    done = python(f"""
        import distillation_bench as db
        {METHOD.replace(chr(10), chr(10) + " " * 8)}
        db.run(methods="NA", datasets="spiral", seeds=0)
    """)
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1].endswith(
        "UsageError: method 'NA' is defined in the program itself, which workers do not load; "
        'have it in a file, and give that with plugins=["FILE.py"]'
    )


def test_a_program_may_edit_import_and_leave_out_plugins(python: Python, tmp_path: Path) -> None:
    """Each run has the plugins that it is given, as their files are then."""
    (tmp_path / "mine.py").write_text(METHOD)
    done = python("""
        from pathlib import Path
        import distillation_bench as db
        import mine

        def run(**arguments):
            try:
                results = db.run(
                    methods="NA", datasets="spiral", seeds=0, jobs=1, progress=False,
                    recipe={"epochs": 2, "members": 2}, **arguments,
                )
            except db.UsageError as error:
                print(str(error).partition(";")[0])
            else:
                print(results.planned["method"][0], results.planned["id"][0])

        file = Path("mine.py")
        run()
        run(plugins="mine.py")
        run(plugins=[file], results="results/again")
        file.write_text(file.read_text().replace("batch.y)", "batch.y) * 2"))
        run(plugins=file, results="results/edited")
        run()
    """)
    assert done.returncode == 0, done.stderr
    imported, first, again, edited, left_out = done.stdout.splitlines()
    assert imported == "method 'NA' is defined in mine, which workers do not load"
    assert first.startswith("NA spiral.NA.s0.") and again == first
    assert edited.startswith("NA spiral.NA.s0.") and edited != first
    assert left_out == "methods: unknown method 'NA'"


def test_a_plugin_that_runs_itself_is_refused(python: Python) -> None:
    """Without a main guard it would run itself when it is imported, again and again."""
    done = python('import distillation_bench as db\ndb.run(plugins=[__file__], methods="kd")\n')
    assert done.returncode == 1
    last = done.stderr.splitlines()[-1]
    assert "script.py:2: UsageError: a run is going on in this process" in last
    assert 'if __name__ == "__main__":' in last


def test_edited_code_of_the_suite_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """Cells would be identified by the new code and run by the old."""
    from distillation_bench.bench.api import run
    from distillation_bench.bench.common.errors import UsageError

    monkeypatch.setattr(run, "code_times", dict)
    with pytest.raises(UsageError, match="has changed on disk since it was imported; start"):
        run.run(methods="kd")


def test_an_interrupt_keeps_finished_cells(tmp_path: Path) -> None:
    code = f"""
        import distillation_bench as db

        try:
            db.run({SMALL.replace("range(2)", "range(15)")})
        except KeyboardInterrupt:
            print("interrupted")
        print(len(db.run({SMALL}, progress=False).planned))
    """
    (tmp_path / "script.py").write_text(dedent(code))
    process = subprocess.Popen(
        [sys.executable, "script.py"],
        cwd=tmp_path,
        env=environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )
    cells = tmp_path / "results/quick/cells"
    deadline = time.monotonic() + 60
    while len(list(cells.glob("*.json"))) < 1 and time.monotonic() < deadline:
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 0, err
    assert out.splitlines() == ["interrupted", "30"]
    assert "interrupted; finished cells are kept, and the same call resumes the run" in err
    assert "Traceback" not in err


def test_the_import_is_fast_and_the_names_are_there(python: Python) -> None:
    done = python("""
        import sys
        before = set(sys.modules)
        import distillation_bench as db
        libraries = {"numpy", "pandas", "torch", "pydantic", "typer", "matplotlib"}
        print(sorted(libraries & (set(sys.modules) - before)))
        print(set(db.__all__) <= set(dir(db)), all(hasattr(db, name) for name in db.__all__))
        print("torch" in sys.modules)
        try:
            db.nothing
        except AttributeError as error:
            print(error)
    """)
    assert done.stdout.splitlines() == [
        *("[]", "True True", "False"),
        "module 'distillation_bench' has no attribute 'nothing'",
    ], done.stderr


def test_an_unknown_argument_is_refused() -> None:
    """Also by mypy, to which the names are known though they are imported late."""
    import distillation_bench as db

    with pytest.raises(TypeError, match="unexpected keyword argument 'method'"):
        db.run(method="kd")  # type: ignore[call-arg]
