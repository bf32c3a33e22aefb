"""The package: built, installed and run outside a clone."""

from __future__ import annotations

import ast
import json
import os
import re
import shutil
import subprocess
import sys
import sysconfig
import tarfile
import tomllib
import venv
import zipfile
from collections.abc import Iterator
from importlib.metadata import packages_distributions
from pathlib import Path
from typing import NamedTuple

import pytest
from packaging.requirements import Requirement

import distillation_bench

CLONE = Path(__file__).parents[1]
FOLDERS = ("bench", "methods", "datasets")
RUN = ("run", "-d", "spiral", "-m", "kd", "-s", "0", "--jobs", "1")
RECIPE = ("--set", "epochs=2", "--set", "members=2")
PLUGIN = """
import datasets

from distillation_bench.bench.metrics import metric

assert datasets.LIBRARY == "stub", datasets.__file__


@metric("classification", "higher")
def share_of_first_class(outcome):
    "Share of examples whose class is the first."
    return float((outcome.targets == 0).mean())
"""
STUB = 'LIBRARY = "stub"\n'


class Environment(NamedTuple):
    """A virtual environment that also finds the libraries of the tests' environment."""

    folder: Path

    @property
    def python(self) -> str:
        return str(self.folder / "bin" / "python")

    @property
    def program(self) -> str:
        return str(self.folder / "bin" / "distillation-bench")

    @property
    def libraries(self) -> Path:
        variables = {"base": str(self.folder), "platbase": str(self.folder)}
        return Path(sysconfig.get_path("purelib", "venv", variables))

    def install(self, *requirements: str) -> None:
        pip = [sys.executable, "-m", "pip", "--python", self.python, "install", "--quiet"]
        options = ["--no-deps", "--no-index", "--no-build-isolation", "--ignore-installed"]
        run([*pip, *options, *requirements], self.folder)


def run(command: list[str], folder: Path, **environment: str) -> str:
    """Run a command in a folder without PYTHONPATH; return its output."""
    variables = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    done = subprocess.run(
        command,
        cwd=folder,
        env={**variables, **environment},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def make_environment(folder: Path) -> Environment:
    """A new environment with a stub of the library `datasets`."""
    venv.create(folder)
    environment = Environment(folder)
    inherited = [path for path in sys.path if Path(path).name == "site-packages"]
    lines = [f"import site; site.addsitedir({path!r})\n" for path in inherited]
    (environment.libraries / "inherited.pth").write_text("".join(lines))
    (environment.libraries / "datasets").mkdir()
    (environment.libraries / "datasets" / "__init__.py").write_text(STUB)
    return environment


@pytest.fixture(scope="module")
def clone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the clone, in which a build may leave files."""
    folder = tmp_path_factory.mktemp("clone")
    ignored = shutil.ignore_patterns("__pycache__", "*.egg-info")
    for name in (*FOLDERS, "src"):
        shutil.copytree(CLONE / name, folder / name, symlinks=True, ignore=ignored)
    for file in CLONE.iterdir():
        if file.is_file() and file.name != ".git":
            shutil.copy(file, folder)
    return folder


@pytest.fixture(scope="module")
def wheel(clone: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel that is built from the unpacked sdist."""
    folder = tmp_path_factory.mktemp("dist")
    sdist = folder / build("build_sdist", clone, folder)
    with tarfile.open(sdist) as archive:
        archive.extractall(folder, filter="data")
    source = folder / sdist.name.removesuffix(".tar.gz")
    return folder / build("build_wheel", source, folder)


def build(kind: str, source: Path, target: Path) -> str:
    """Call the build backend as pip does; return the name of the built file."""
    program = f"import hatchling.build; print(hatchling.build.{kind}({str(target)!r}))"
    return run([sys.executable, "-c", program], source).splitlines()[-1]


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Environment:
    """An environment in which the wheel is installed."""
    environment = make_environment(tmp_path_factory.mktemp("installed"))
    environment.install(str(wheel))
    return environment


@pytest.fixture(scope="module")
def plugin(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("plugin") / "first_class.py"
    file.write_text(PLUGIN)
    return file


@pytest.fixture(scope="module")
def installed_run(
    installed: Environment, plugin: Path, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """The folder in which the installed command was run."""
    folder = tmp_path_factory.mktemp("elsewhere")
    run([installed.program, *RUN, *RECIPE, "--plugin", str(plugin)], folder)
    return folder


def test_the_wheel_has_every_file_of_the_clone(clone: Path, wheel: Path) -> None:
    assert wheel.name.startswith(f"distillation_bench-{distillation_bench.__version__}-")
    source = clone / "src" / "distillation_bench"
    expected = {f"distillation_bench/{file}" for file in files_below(source)}
    with zipfile.ZipFile(wheel) as archive:
        names = {name for name in archive.namelist() if ".dist-info/" not in name}
    assert names == expected
    endings = {Path(name).suffix for name in names}
    assert endings >= {".py", ".pyi", ".yaml", ".j2", ".css", ".js", ".csv"}
    assert "distillation_bench/py.typed" in names


def files_below(folder: Path) -> Iterator[str]:
    """Paths of all files below a folder, links followed, without what Python caches."""
    for path, _, names in os.walk(folder, followlinks=True):
        if Path(path).name != "__pycache__":
            yield from (str((Path(path) / name).relative_to(folder)) for name in names)


def test_the_installed_command_writes_below_the_current_folder(
    installed: Environment, installed_run: Path, plugin: Path
) -> None:
    assert (installed_run / "results" / "quick" / "results.csv").is_file()
    assert (installed_run / "results" / "cache").is_dir()
    assert {path.name for path in installed_run.iterdir()} == {"results"}
    assert not (installed.libraries / "results").exists()
    manifest = json.loads((installed_run / "results" / "quick" / "run.json").read_text())
    assert manifest["command"].startswith("distillation-bench run -d spiral")


@pytest.mark.parametrize("start", ["clone", "archive", "module", "editable"])
def test_cells_are_those_of_the_installed_command(
    installed: Environment,
    installed_run: Path,
    clone: Path,
    plugin: Path,
    start: str,
    tmp_path: Path,
) -> None:
    """Identities, which hold the code's digests, and values do not depend on the program."""
    program = [installed.python, "-m", "distillation_bench"]
    if start == "clone":
        program = [installed.python, str(clone / "run_bench.py")]
    elif start == "archive":
        program = [installed.python, str(unpacked_without_links(clone, tmp_path) / "run_bench.py")]
    elif start == "editable":
        environment = make_environment(tmp_path / "environment")
        environment.install("--editable", str(clone))
        program = [environment.program]
    run([*program, *RUN, *RECIPE, "--plugin", str(plugin)], tmp_path)
    ours, theirs = tmp_path / "results" / "quick", installed_run / "results" / "quick"
    for table in ("results.csv", "metrics.csv"):
        assert (ours / table).read_bytes() == (theirs / table).read_bytes()
    assert cell_ids(ours) == cell_ids(theirs)
    assert "share_of_first_class" in (ours / "metrics.csv").read_text()


def unpacked_without_links(clone: Path, folder: Path) -> Path:
    """Copy a clone as some programs unpack an archive: each link is a file with its target."""
    copy = Path(shutil.copytree(clone, folder / "archive", symlinks=True))
    for name in FOLDERS:
        link = copy / "src" / "distillation_bench" / name
        target = link.readlink()
        link.unlink()
        link.write_text(str(target))
    return copy


def cell_ids(folder: Path) -> set[str]:
    return {file.stem for file in (folder / "cells").glob("*.json")}


def test_files_that_are_not_code_are_installed(
    installed: Environment, installed_run: Path, tmp_path: Path
) -> None:
    """Presets, the report's template and the published tables."""
    assert "original-spiral" in run([installed.program, "list", "presets"], tmp_path)
    folder = str(installed_run / "results" / "quick")
    page = tmp_path / "page.html"
    run([installed.program, "report", folder, "--no-figures", "--out", str(page)], tmp_path)
    assert "<style>" in page.read_text() and "<script" in page.read_text()


def test_check_finds_the_package(installed: Environment, plugin: Path, tmp_path: Path) -> None:
    run([installed.program, "check", str(plugin)], tmp_path)


def test_import_loads_neither_torch_nor_another_library(
    installed: Environment, tmp_path: Path
) -> None:
    program = (
        "import sys; before = set(sys.modules); import distillation_bench as package; "
        "print(package.__version__, sorted({'torch', 'numpy', 'pydantic'} & set(sys.modules)))"
    )
    printed = run([installed.python, "-c", program], tmp_path)
    assert printed == f"{distillation_bench.__version__} []\n"


def test_a_plugin_finds_the_library_datasets_from_within_a_clone(
    installed: Environment, clone: Path, plugin: Path
) -> None:
    """`python -m` would import the clone's folder of that name."""
    program = [installed.python, "-m", "distillation_bench"]
    assert "share_of_first_class" in run(
        [*program, "list", "metrics", "--plugin", str(plugin)], clone
    )


@pytest.mark.slow
@pytest.mark.parametrize("executor", ["dask", "ray"])
def test_workers_of_clusters_find_the_package(
    installed: Environment, installed_run: Path, plugin: Path, executor: str, tmp_path: Path
) -> None:
    pytest.importorskip("distributed" if executor == "dask" else executor)
    run(
        [installed.program, *RUN, *RECIPE, "--plugin", str(plugin), "--executor", executor],
        tmp_path,
    )
    for table in ("results.csv", "metrics.csv"):
        ours = tmp_path / "results" / "quick" / table
        assert ours.read_bytes() == (installed_run / "results" / "quick" / table).read_bytes()


def test_pinned_versions_are_those_that_the_package_asks_for() -> None:
    """requirements.txt has every dependency, and all pins are within their bounds."""
    project = tomllib.loads((CLONE / "pyproject.toml").read_text())["project"]
    needed = dict(map(parse, project["dependencies"]))
    pinned = pins("requirements.txt")
    assert pinned.keys() == needed.keys()
    optional = [
        parse(text) for extra in project["optional-dependencies"].values() for text in extra
    ]
    pinned |= pins("requirements-dev.txt") | pins("requirements-slow.txt")
    for name, bound in [*needed.items(), *optional]:
        assert bound.specifier.contains(pinned[name]), f"{name} {pinned[name]}"


def test_every_imported_library_is_a_dependency() -> None:
    """Each library that the code imports is declared, also if another library brings it."""
    project = tomllib.loads((CLONE / "pyproject.toml").read_text())["project"]
    groups = [project["dependencies"], *project["optional-dependencies"].values()]
    declared = {parse(text)[0] for group in groups for text in group}
    files = [path for name in FOLDERS for path in (CLONE / name).rglob("*.py")]
    imported = {name for path in files for name in libraries_of(path.read_text())}
    distributions = packages_distributions()
    missing = [
        name
        for name in imported - {*sys.stdlib_module_names, "distillation_bench"}
        if not declared.intersection(map(normal, distributions.get(name, [name])))
    ]
    # Each is one library with another, which asks for this very version of it.
    assert sorted(missing) == ["dask", "pydantic_core"]


def libraries_of(text: str) -> Iterator[str]:
    """Yield the first names of the modules that a file imports."""
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Import):
            yield from (alias.name.partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module.partition(".")[0]


def parse(text: str) -> tuple[str, Requirement]:
    requirement = Requirement(text)
    return normal(requirement.name), requirement


def normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def pins(file: str) -> dict[str, str]:
    """Versions by the names of libraries."""
    lines = (CLONE / file).read_text().splitlines()
    parts = [line.split("==") for line in lines if line and not line.startswith("#")]
    return {normal(name): version for name, version in parts}
