"""Output files of commands: regular files, written completely, checked before computing."""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest
from tests.bench.generated_runs import generate
from tests.end_to_end.bench_command import Bench
from tests.end_to_end.hostile import snapshot

COMMANDS: Mapping[str, tuple[str, ...]] = {
    "table --latex": ("table", "run", "--latex"),
    "table --markdown": ("table", "run", "--markdown"),
    "table --csv": ("table", "run", "--csv"),
    "table --macros": ("table", "run", "--macros"),
    "table --note": ("table", "run", "--note"),
    "compare --csv": ("compare", "run", "--csv"),
    "compare --json": ("compare", "run", "--json"),
    "compare --latex": ("compare", "run", "--latex"),
    "report --out": ("report", "run", "--no-figures", "--out"),
    "export --out": ("export", "run", "--out"),
}
"""Commands that write files; those that write into a folder follow below."""
every_command = pytest.mark.parametrize("command", COMMANDS.values(), ids=COMMANDS)


@pytest.fixture
def write(in_process: Bench, tmp_path: Path) -> Callable[..., tuple[int, str, str]]:
    """write(*arguments): run a command beside a run of two methods; return status and output."""
    figures = {
        ("spiral", label, seed): {"accuracy": 0.9 + 0.01 * seed, "nll": 0.2 + i}
        for i, label in enumerate(("kd", "gauss"))
        for seed in range(3)
    }
    generate(tmp_path / "run", figures)

    def run(*arguments: str) -> tuple[int, str, str]:
        done = in_process(*arguments)
        return done.returncode, done.stdout, done.stderr

    return run


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


@every_command
def test_a_target_that_is_no_regular_file_is_left_alone(
    write: Callable[..., tuple[int, str, str]], tmp_path: Path, command: tuple[str, ...]
) -> None:
    os.mkfifo(tmp_path / "pipe.csv")
    (tmp_path / "folder.csv").mkdir()
    (tmp_path / "to-pipe.csv").symlink_to("pipe.csv")
    (tmp_path / "loop.csv").symlink_to("loop.csv")
    (tmp_path / "plain").write_text("mine")
    before = names(tmp_path)
    reasons = {
        "pipe.csv": "not a regular file",
        "to-pipe.csv": "not a regular file",
        "folder.csv": "a folder, not a file",
        "loop.csv": "symbolic link",
        "plain/x.csv": "Not a directory",
        f"{'x' * 300}.csv": "name too long",
        "": "",
    }
    for path, reason in reasons.items():
        code, out, err = write(*command, path)
        assert (code, out, len(err.splitlines())) == (2, "", 1)
        assert err.startswith("error: ") and reason in err and "finished cells" not in err
    assert names(tmp_path) == before
    assert stat.S_ISFIFO((tmp_path / "pipe.csv").stat().st_mode)
    assert (tmp_path / "to-pipe.csv").is_symlink() and (tmp_path / "plain").read_text() == "mine"


@every_command
def test_the_target_of_a_link_is_written_and_the_link_stays(
    write: Callable[..., tuple[int, str, str]], tmp_path: Path, command: tuple[str, ...]
) -> None:
    (tmp_path / "there").mkdir()
    target = tmp_path / "there" / "file.csv"
    target.write_text("old")
    (tmp_path / "link.csv").symlink_to("there/file.csv")
    (tmp_path / "new.csv").symlink_to("there/new.csv")
    assert write(*command, "link.csv")[0] == 0
    assert write(*command, "new.csv")[0] == 0
    assert write(*command, "made/for/it.csv")[0] == 0
    content = target.read_bytes()
    assert len(content) > 20 and (tmp_path / "link.csv").is_symlink()
    assert (tmp_path / "there" / "new.csv").read_bytes() == content
    assert (tmp_path / "made" / "for" / "it.csv").read_bytes() == content
    assert names(tmp_path / "there") == {"file.csv", "new.csv"}


@every_command
def test_a_hyphen_means_stdout(
    write: Callable[..., tuple[int, str, str]], tmp_path: Path, command: tuple[str, ...]
) -> None:
    assert write(*command, "file.csv")[0] == 0
    code, out, _ = write(*command, "-")
    assert code == 0 and not (tmp_path / "-").exists()
    assert out == (tmp_path / "file.csv").read_text()


def test_all_files_are_written_or_none(
    write: Callable[..., tuple[int, str, str]], tmp_path: Path
) -> None:
    (tmp_path / "folder").mkdir()
    before = names(tmp_path)
    for second in ("folder", "first", "./first"):
        code, out, _ = write("table", "run", "--csv", "first", "--latex", second)
        assert (code, out) == (2, "")
    assert names(tmp_path) == before


def test_a_folder_that_can_not_be_written_is_refused(
    write: Callable[..., tuple[int, str, str]], tmp_path: Path
) -> None:
    if os.geteuid() == 0:
        pytest.skip("root may write everywhere")
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o500)
    code, _, err = write("table", "run", "--csv", "closed/x.csv")
    assert code == 2 and "nothing can be written in" in err


# What is a run's or a cache's stays as it is


def run_of(folder: Path) -> Path:
    """Write another run, of one cell."""
    return generate(folder, {("spiral", "kd", 0): {"nll": 0.5}}).folder


def owned(tmp_path: Path) -> list[str]:
    """Return paths of existing or possible files of runs and of a cache."""
    run_of(tmp_path / "other")
    (tmp_path / "run" / ".lock").touch()
    (tmp_path / "cache").mkdir()
    for name in ("outputs-a.json", "outputs-a.safetensors", "weights-b.0.lock"):
        (tmp_path / "cache" / name).write_text("{}")
    (tmp_path / "to-run").symlink_to("run")
    (tmp_path / "to-cells").symlink_to("other/cells")
    (tmp_path / "to-file.csv").symlink_to("run/metrics.csv")
    cell = next((tmp_path / "other" / "cells").glob("*.json")).name
    return [
        *(f"run/{name}" for name in ("run.json", "results.csv", "metrics.csv", "cells.csv")),
        *("run/derived.json", "run/.lock", "run/.driver", "run/Results.CSV", "other/results.csv"),
        *(f"other/cells/{cell}", "other/cells/new.csv", "run/cells/new/history.csv"),
        *("run/../run/run.json", "to-run/results.csv", f"to-cells/{cell}", "to-cells/new.csv"),
        *("to-file.csv", "cache/outputs-a.json", "cache/outputs-b.json", "cache/weights-b.0.lock"),
    ]


@every_command
def test_no_output_replaces_a_file_of_a_run_or_a_cache(
    write: Callable[..., tuple[int, str, str]], tmp_path: Path, command: tuple[str, ...]
) -> None:
    paths = owned(tmp_path)
    before = snapshot(tmp_path)
    for path in paths:
        code, out, err = write(*command, path)
        assert (code, out, len(err.splitlines())) == (2, "", 1), path
        assert re.match(rf"error: {re.escape(path)}: a file of the (run|cache) /", err), err
    assert snapshot(tmp_path) == before


@pytest.mark.parametrize(
    "command",
    [
        ("plot", "run", "-f", "metrics", "--format", "svg", "--out"),
        ("export", "run", "--tensorboard"),
    ],
)
def test_the_folder_of_cells_is_refused_for_outputs(
    write: Callable[..., tuple[int, str, str]], tmp_path: Path, command: tuple[str, ...]
) -> None:
    owned(tmp_path)
    before = snapshot(tmp_path)
    for path in ("run/cells", "other/cells/new", "to-cells", "to-run/cells/x/y"):
        code, out, err = write(*command, path)
        assert (code, out) == (2, "") and f"{path}: within the run /" in err
    assert snapshot(tmp_path) == before


def test_a_file_named_like_one_of_a_run_is_written_elsewhere(
    write: Callable[..., tuple[int, str, str]], tmp_path: Path
) -> None:
    (tmp_path / "results.csv").write_text("mine, and to be replaced")
    for path in (
        "results.csv",
        "run/table.csv",
        "run/sub/results.csv",
        "cells/x.csv",
        "data-1.json",
    ):
        assert write("table", "run", "--csv", path)[0] == 0, path
        assert (tmp_path / path).read_text().startswith("dataset,label")


# A folder for a run


GRID = ("-m", "kd", "-d", "spiral", "-s", "0", "--set", "epochs=1", "--set", "members=2")
MINE = ("results.csv", "metrics.csv", "cells/mine.txt", "thesis.tex", ".lock", ".driver")


@pytest.mark.parametrize("name", MINE)
def test_a_folder_with_other_files_is_refused_for_a_run(
    write: Callable[..., tuple[int, str, str]], tmp_path: Path, name: str
) -> None:
    path = tmp_path / "mine" / name
    path.parent.mkdir(parents=True)
    path.write_text("years of work")
    before = snapshot(tmp_path)
    where = ("--results", "mine", "--cache", "cache")
    for command in (
        ("run", *GRID, *where),
        ("plan", *GRID, *where),
        ("merge", "run", "--into", "mine"),
    ):
        code, out, err = write(*command)
        assert (code, out) == (2, "") and "mine: neither a run nor empty" in err
        assert path.relative_to(tmp_path / "mine").parts[0] in err
    assert snapshot(tmp_path) == before


def test_a_run_within_the_cells_of_another_is_refused(
    write: Callable[..., tuple[int, str, str]], tmp_path: Path
) -> None:
    before = snapshot(tmp_path)
    for command in (("plan", *GRID, "--results"), ("merge", "run", "--into")):
        code, _, err = write(*command, "run/cells/new")
        assert code == 2 and "inside the run" in err
    assert snapshot(tmp_path) == before


def test_leftovers_of_a_run_killed_at_its_start_do_no_harm(
    write: Callable[..., tuple[int, str, str]], tmp_path: Path
) -> None:
    folder = tmp_path / "new"
    folder.mkdir()
    (folder / ".lock").touch()
    (folder / ".driver").write_text("process 12 on somewhere\n")
    (folder / ".x1y2.part").write_text("half of it")
    (folder / ".DS_Store").write_text("whatever")
    assert write("plan", *GRID, "--results", "new")[0] == 0
    assert write("merge", "run", "--into", "new")[0] == 0
    assert (folder / "results.csv").read_bytes() == (tmp_path / "run/results.csv").read_bytes()
