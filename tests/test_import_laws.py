"""The laws of imports in pyproject.toml: they see every module, and notice what breaks them."""

import shutil
import subprocess
import sys
import tomllib
from graphlib import TopologicalSorter
from pathlib import Path

import grimp
import pytest

CLONE = Path(__file__).parents[1]
FOLDERS = ("bench", "methods", "datasets")

BREAKING_LINES = {
    "run": ("bench/storage/protocol.py", "import distillation_bench.bench.planning.cells"),
    "results": ("bench/analysis/values_at_bounds.py", "import distillation_bench.bench.report"),
    "results-without-run": (
        "bench/figures/registry.py",
        "def f():\n    from distillation_bench.bench.execution import worker",
    ),
    "run-without-results": (
        "bench/training/loop.py",
        "import distillation_bench.bench.analysis.statistics",
    ),
    "methods-and-datasets": ("methods/kd.py", "import distillation_bench.bench.common.text"),
    "methods-without-datasets": ("methods/kd.py", "import distillation_bench.datasets"),
    "torch": ("bench/planning/cells.py", "import torch"),
    "tables-and-figures": ("bench/metrics/registry.py", "import pandas"),
    "own-names": ("bench/training/data.py", "import datasets.base"),
}
"""A line that breaks each contract, and the file that it is added to."""


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """The clone's code, with its links."""
    for name in (*FOLDERS, "src"):
        ignored = shutil.ignore_patterns("__pycache__", "*.egg-info")
        shutil.copytree(CLONE / name, tmp_path / name, symlinks=True, ignore=ignored)
    shutil.copy(CLONE / "pyproject.toml", tmp_path)
    return tmp_path


def test_laws_hold(copy: Path) -> None:
    status, output = _lint(copy)
    assert status == 0, output


def test_every_file_is_checked() -> None:
    """import-linter's graph follows the links to the folders at the top."""
    graph = grimp.build_graph("distillation_bench", cache_dir=None)
    files = [file for name in FOLDERS for file in (CLONE / name).rglob("*.py")]
    files += (CLONE / "src").rglob("*.py")
    assert len(graph.modules) == len(files)


@pytest.mark.parametrize("contract", BREAKING_LINES)
def test_a_broken_law_is_noticed(copy: Path, contract: str) -> None:
    file, line = BREAKING_LINES[contract]
    with (copy / file).open("a") as text:
        text.write(f"\n{line}\n")
    status, output = _lint(copy, contract)
    assert status == 1, output
    assert "BROKEN" in output


def test_there_are_no_circular_imports() -> None:
    """Imports within functions count."""
    graph = grimp.build_graph(
        "distillation_bench", cache_dir=None, exclude_type_checking_imports=True
    )
    imports = {module: graph.find_modules_directly_imported_by(module) for module in graph.modules}
    TopologicalSorter(imports).prepare()


def test_every_contract_is_broken_once() -> None:
    settings = tomllib.loads((CLONE / "pyproject.toml").read_text())
    contracts = settings["tool"]["importlinter"]["contracts"]
    assert {contract["id"] for contract in contracts} == set(BREAKING_LINES)


def _lint(folder: Path, *contracts: str) -> tuple[int, str]:
    """Run import-linter in a folder; return its exit status and output."""
    program = [str(Path(sys.executable).with_name("lint-imports")), "--no-cache"]
    chosen = [argument for name in contracts for argument in ("--contract", name)]
    done = subprocess.run(
        [*program, *chosen],
        cwd=folder,
        env={"PYTHONPATH": "src"},
        capture_output=True,
        text=True,
        check=False,
    )
    return done.returncode, done.stdout + done.stderr
