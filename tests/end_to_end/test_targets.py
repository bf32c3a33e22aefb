"""Files that commands are told to write: only files, whole, and refused before anything is made."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from tests.bench.analysis.conftest import generate
from tests.end_to_end.program import Bench

COMMANDS: Mapping[str, tuple[str, ...]] = {
    "table --latex": ("table", "run", "--latex"),
    "table --markdown": ("table", "run", "--markdown"),
    "table --csv": ("table", "run", "--csv"),
    "table --macros": ("table", "run", "--macros"),
    "compare --csv": ("compare", "run", "--csv"),
    "compare --json": ("compare", "run", "--json"),
    "compare --latex": ("compare", "run", "--latex"),
    "report --out": ("report", "run", "--no-figures", "--out"),
    "export --out": ("export", "run", "--out"),
}
every_command = pytest.mark.parametrize("command", COMMANDS.values(), ids=COMMANDS)


@pytest.fixture
def write(here: Bench, tmp_path: Path) -> Callable[..., tuple[int, str, str]]:
    """write(*arguments): status, stdout and stderr, beside a run of two methods."""
    figures = {
        ("spiral", label, seed): {"accuracy": 0.9 + 0.01 * seed, "nll": 0.2 + i}
        for i, label in enumerate(("kd", "gauss"))
        for seed in range(3)
    }
    generate(tmp_path / "run", figures)

    def run(*arguments: str) -> tuple[int, str, str]:
        done = here(*arguments)
        return done.returncode, done.stdout, done.stderr

    return run


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


@every_command
def test_what_is_no_file_stays_as_it_is(
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
def test_a_link_stays_and_what_it_leads_to_is_written(
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
    made = target.read_bytes()
    assert len(made) > 20 and (tmp_path / "link.csv").is_symlink()
    assert (tmp_path / "there" / "new.csv").read_bytes() == made
    assert (tmp_path / "made" / "for" / "it.csv").read_bytes() == made
    assert names(tmp_path / "there") == {"file.csv", "new.csv"}


@every_command
def test_a_hyphen_is_stdout(
    write: Callable[..., tuple[int, str, str]], tmp_path: Path, command: tuple[str, ...]
) -> None:
    assert write(*command, "file.csv")[0] == 0
    code, out, _ = write(*command, "-")
    assert code == 0 and not (tmp_path / "-").exists()
    assert out == (tmp_path / "file.csv").read_text()


def test_all_or_none_are_written(
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
