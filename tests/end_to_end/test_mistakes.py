"""A hundred mistakes at the command line: each is one line, status 2, and nothing is written."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
from tests.bench.generated_runs import generate
from tests.end_to_end.bench_command import Bench
from tests.end_to_end.hostile import assert_orderly, in_time, snapshot

HUGE = ("9" * 5000, f"0x{'f' * 5000}", f"1{'0' * 400}", "0b" + "1" * 99, str(2**63), "-" + "9" * 99)
"""Whole numbers that Python won't print, that are no float, or that JSON's readers differ about."""
BYTE = os.fsdecode(b"\xff")
"""What Python makes of a byte that is no UTF-8."""
GRID = ("-m", "kd", "-d", "spiral", "-s", "0")
EMPTY = (
    *("run --results", "run --cache", "run --preset", "run -m", "run -d", "run -s", "run --set"),
    *("run --data-root", "run --plugin", "run --ood", "run --corruptions", "run --device"),
    *("run --executor", "run --scheduler", "plan --results", "plan --cache", "list", "check"),
    *("list methods --plugin", "status", "board", "why", "why run d kd 0 --cache", "compare"),
    *("compare run --csv", "compare run --baseline", "compare run --metric", "table run --csv"),
    *(
        "table run --macros",
        "table run --sort",
        "plot run --out",
        "plot run -f",
        "report run --out",
    ),
    *("verify --cache", "merge run --into", "merge run --into new --prefer", "clean --cache"),
    *("clean run --only", "export run --out", "export run --tensorboard"),
)
PRESETS = {
    "network: {3: 4}": "no name of an option",
    "network: {[1, 2]: 4}": "",
    "network: {family: [mlp]}": "unknown network family",
    "network: {core: [0xffffffffffffffffffffffff]}": "too large",
    "network: 3": "options such as",
    "epochs: 3, epochs: 4": "duplicate key",
    "3: 4": "",
    "data_seed: 4294967296": "data_seed",
    "learning_rate: .nan": "learning_rate",
    "weight_decay: 1e999": "weight_decay",
}


def mistakes() -> Iterator[tuple[str, ...]]:
    """Return command lines with one mistake each."""
    for line in EMPTY:
        yield *line.split(), ""
        if (last := line.split()[-1]).startswith("--"):
            yield *line.split()[:-1], f"{last}="
    for number in HUGE:
        yield "plan", *GRID, "--set", f"epochs={number}"
        yield "plan", *GRID, "--set", f"learning_rate={number}"
        yield "plan", *GRID, "--set", f"network.core=[{number}]"
        yield "plan", *GRID, "--set", f"network.width={number}"
        yield "plan", "-m", f"kd[temperature={number}]", *GRID[2:]
        yield "plan", "-m", f"hydra[heads=2,{number}]", *GRID[2:]
        yield "plan", *GRID[:4], "-s", number
        yield "plan", *GRID, "--device", f"cuda:{number}"
        yield "plan", "-d", f"folder:images[size={number}]", *GRID[:2]
        yield "clean", "run", "--cache", "images", "--older", number
        yield "table", "run", "--digits", number
        yield "run", *GRID, "--timeout", number
    for text in (
        f"linear(0, 1, 0, {'9' * 5000})x",
        "linear(0x1, 1, 0, 1)",
        "cosine(1e999, 0, 0, 1)",
    ):
        yield "plan", "-m", f"hydra+[lam={text}]", *GRID[2:]
    for option in ("--set", "-m", "-d", "-s", "--preset", "--results", "--plugin", "--ood"):
        yield "plan", option, f"a{BYTE}"
        yield "run", option, f"a{BYTE}"
    yield "status", f"run{BYTE}"
    yield "table", "run", "--csv", f"{BYTE}.csv"
    for path in ("~nobody-of-this-name", "~nobody-of-this-name/x"):
        yield "plan", "-d", f"folder:{path}", *GRID[:2]
        yield "plan", "-d", "digits", *GRID[:2], "--ood", f"folder:{path}"
        yield "plan", *GRID, "--plugin", f"{path}.py"
    for value in ("nan", "inf", "-1", "1e999"):
        yield "run", *GRID, "--timeout", value
        yield "status", "run", "--watch", "--every", value
    for name in ("nan", "-1"):
        yield "run", *GRID, "--checkpoint", name
    for circle in ("circle", "circle/x"):
        yield "plan", *GRID, "--results", circle
        yield "plan", *GRID, "--plugin", f"{circle}.py"
        yield "plan", "-d", f"folder:{circle}", *GRID[:2]
        yield "merge", "run", circle, "--into", "new"
        yield "merge", "run", "--into", circle
        yield "status", circle
        yield "plan", "--preset", f"{circle}.yaml"
    for settings in (
        ("epochs=2", "epochs=2"),
        ("epochs=2", " epochs =3"),
        ("network.width=1", "network.width=2"),
    ):
        yield "plan", *GRID, *(word for setting in settings for word in ("--set", setting))
    for seeds in ("4294967296", "0-4294967296", "4294967290-4294967299"):
        yield "plan", *GRID[:4], "-s", seeds
    for preset in range(len(PRESETS)):
        yield "plan", "--preset", f"{preset}.yaml", *GRID[2:]


@pytest.fixture
def site(in_process: Bench, tmp_path: Path) -> Path:
    """A folder with a run, presets and a link to itself."""
    generate(tmp_path / "run", {("d", "kd", seed): {"nll": 0.5} for seed in range(2)})
    (tmp_path / "images").mkdir()
    for name in ("circle", "circle.py", "circle.yaml"):
        (tmp_path / name).symlink_to(name)
    for number, text in enumerate(PRESETS):
        (tmp_path / f"{number}.yaml").write_text(f"recipe: {{{text}}}\n")
    return tmp_path


def test_a_mistake_is_one_line_and_writes_nothing(in_process: Bench, site: Path) -> None:
    before = snapshot(site)
    lines = list(mistakes())
    assert len(lines) > 200
    faults = [fault for line in lines if (fault := fault_of(in_process, line))]
    assert not faults, "\n".join(faults)
    assert snapshot(site) == before


def fault_of(in_process: Bench, line: Sequence[str]) -> str:
    """Return what is wrong with the answer to a mistake, or an empty string."""
    command_line = " ".join(word[:40] or "''" for word in line)
    try:
        with in_time():
            done = in_process(*line)
        assert_orderly(done)
    except Exception as error:
        return f"{command_line}: {error!r:.300}"
    orderly = done.returncode == 2 and not done.stdout and done.stderr.count("\n") == 1
    return (
        ""
        if orderly
        else f"{command_line}: {done.returncode} {done.stdout[:200]} {done.stderr[:300]}"
    )
