"""The laws of imports in pyproject.toml: they see every module, and notice what breaks them."""

import ast
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
        "bench/training/optimization/loop.py",
        "import distillation_bench.bench.analysis.statistics",
    ),
    "methods-and-datasets": ("methods/kd.py", "import distillation_bench.bench.common.text"),
    "methods-without-datasets": ("methods/kd.py", "import distillation_bench.datasets"),
    "torch": ("bench/planning/cells.py", "import torch"),
    "tables-and-figures": ("bench/metrics/registry.py", "import pandas"),
    "own-names": ("bench/training/data.py", "import datasets.base"),
}
"""A line that breaks each contract, and the file that it is added to."""

BY_COMPUTED_NAME = {
    "bench/execution/executors/registry.py": "an executor whose library may not be installed",
    "bench/__init__.py": "delays the import of the public API",
    "bench/figures/registry.py": "each module of bench/figures/families registers its figures",
    "bench/planning/plugins/loading.py": "plugins",
    "src/distillation_bench/__init__.py": "delays the import of the public API",
    "datasets/image_files/torchvision_import.py": "delays the import of torchvision",
    "methods/__init__.py": "delays the import of modules that need torch",
    "methods/lazy.py": "delays the import of torch",
}
"""Files that import modules by computed names, which import-linter does not see, and why."""


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


@pytest.mark.parametrize("contract", ["run", "results"])
def test_a_new_room_has_to_be_in_the_contracts(copy: Path, contract: str) -> None:
    (copy / "bench/extra").mkdir()
    (copy / "bench/extra/__init__.py").write_text("import distillation_bench.bench.cli\n")
    status, output = _lint(copy, contract)
    assert status == 1, output
    assert "extra" in output


def test_modules_are_imported_by_computed_names_in_listed_files_alone() -> None:
    files = [file for name in FOLDERS for file in (CLONE / name).rglob("*.py")]
    files += [CLONE / "run_bench.py", *(CLONE / "src").rglob("*.py")]
    importing_files = {
        file.relative_to(CLONE).as_posix() for file in files if _imports_by_name(file)
    }
    assert importing_files == set(BY_COMPUTED_NAME)


@pytest.mark.parametrize(
    "line",
    [
        "importlib.import_module('torch')",
        "from importlib import import_module as load",
        "__import__('torch')",
        "importlib.__import__('torch')",
    ],
)
def test_imports_by_computed_names_are_noticed(tmp_path: Path, line: str) -> None:
    (tmp_path / "module.py").write_text(f"def f():\n    {line}\n")
    assert _imports_by_name(tmp_path / "module.py")


def test_every_contract_is_broken_once() -> None:
    settings = tomllib.loads((CLONE / "pyproject.toml").read_text())
    contracts = settings["tool"]["importlinter"]["contracts"]
    assert {contract["id"] for contract in contracts} == set(BREAKING_LINES)


def _imports_by_name(file: Path) -> bool:
    """Return whether a file uses `importlib.import_module` or `__import__`."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(file.read_bytes())):
        match node:
            case ast.Name(name) | ast.Attribute(_, name) | ast.alias(name):
                names.add(name)
    return bool(names & {"import_module", "__import__"})


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
