"""Stdout and stderr that are closed, full, without a reader, or of a limited encoding."""

from __future__ import annotations

import contextlib
import io
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from tests.bench.generated_runs import generate
from tests.end_to_end.bench_command import ROOT, commands

from distillation_bench.bench.cli import main as cli

Program = Callable[..., int]


@pytest.fixture
def program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Program:
    """program(*arguments): run a command beside a run with a non-ASCII label; return the status."""
    generate(
        tmp_path / "run", {("d", "λ ½", seed): {"nll": 0.5, "accuracy": 0.5} for seed in (0, 1)}
    )
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(cli, "app", commands())

    def run(*arguments: str) -> int:
        monkeypatch.setattr(sys, "argv", ["run_bench.py", *arguments])
        with pytest.raises(SystemExit) as ended:
            cli.main()
        return int(ended.value.code or 0)

    return run


@contextlib.contextmanager
def streams(out: io.TextIOWrapper, err: io.TextIOWrapper) -> Iterator[None]:
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        yield


def text(encoding: str = "utf-8") -> io.TextIOWrapper:
    return io.TextIOWrapper(io.BytesIO(), encoding)


def full() -> io.TextIOWrapper:
    return io.TextIOWrapper(Path("/dev/full").open("wb"), "utf-8", line_buffering=True)


def content_of(stream: io.TextIOWrapper) -> str:
    stream.flush()
    assert isinstance(stream.buffer, io.BytesIO)
    return stream.buffer.getvalue().decode()


@pytest.mark.parametrize("encoding", ["ascii", "latin-1"])
def test_characters_that_the_encoding_lacks_are_written_in_ascii(
    program: Program, encoding: str
) -> None:
    out, err = text(encoding), text(encoding)
    with streams(out, err):
        assert program("board", "run") == 0
        assert program("status", "∑") == 2
    output = out.buffer.getvalue().decode(encoding)  # type: ignore[attr-defined]
    assert "lambda" in output and "Error [%] v" in output and "NLL [nats] v" in output
    assert ("+-" in output) == (encoding == "ascii")
    assert content_of(err) == "error: ?: no such folder\n"


def test_data_is_utf_8_whatever_the_encoding(program: Program) -> None:
    out = text("ascii")
    with streams(out, text()):
        assert program("export", "run", "--out", "-") == 0
    assert "λ ½" in content_of(out)


def test_a_full_disk_under_stdout_is_reported_in_one_line(program: Program) -> None:
    for line in ("board run", "list recipe", "table run --csv -", "export run --out -"):
        err = text()
        with streams(full(), err):
            assert program(*line.split()) == 2
        assert content_of(err) == "error: stdout: No space left on device\n", line


def test_an_unwritable_stderr_ends_no_command(program: Program) -> None:
    out = text()
    with streams(out, full()):
        assert program("plot", "run", "-f", "metrics", "--format", "svg", "--out", "out") == 0
        assert program("list", "nothing") == 2
        assert program("board", "run") == 0
    assert "NLL" in content_of(out)


def test_closed_streams_are_handled(tmp_path: Path) -> None:
    """In new processes: a stream that is closed when Python starts is None."""
    script = """
        for streams in '>&-' '2>&-' '>&- 2>&-' '<&- >&- 2>&-'; do
            for command in 'list recipe' 'list nothing'; do
                eval "$PYTHON $PROGRAM $command $streams" > out 2> err
                echo "$streams $command: $?, $(wc -l < out), $(wc -l < err)"
            done
        done
    """
    environment = {**os.environ, "PYTHON": sys.executable, "PROGRAM": str(ROOT / "run_bench.py")}
    done = subprocess.run(
        ["bash", "-c", script], cwd=tmp_path, env=environment, capture_output=True, text=True
    )
    assert done.stderr == ""
    answers = dict(line.split(": ") for line in done.stdout.splitlines())
    for streams, (out, err) in {">&-": (0, 1), "2>&-": (1, 0), ">&- 2>&-": (0, 0)}.items():
        code, lines, _ = answers[f"{streams} list recipe"].split(", ")
        assert (code, lines != "0") == ("0", bool(out)), streams
        assert answers[f"{streams} list nothing"] == f"2, 0, {err}", streams
