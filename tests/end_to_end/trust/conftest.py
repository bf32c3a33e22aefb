"""Fixtures: sound, hostile and resumed runs, each in a folder of its own."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from tests.bench.generated_runs import generate
from tests.end_to_end.bench_command import Bench, start
from tests.end_to_end.hostile import (
    NAMES,
)
from tests.end_to_end.trust.site import (
    CURVES,
    FIGURES,
    HISTORY,
    RESUME,
    Site,
    run_with_names,
)

from distillation_bench.bench.storage.run_folder import Run


@pytest.fixture(scope="session")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of nine cells with every part."""
    return generate(
        tmp_path_factory.mktemp("sound") / "run",
        FIGURES,
        histories=dict.fromkeys(FIGURES, HISTORY),
        curves=dict.fromkeys(FIGURES, CURVES),
    ).folder


@pytest.fixture
def site(tmp_path: Path, in_process: Bench, sound: Path) -> Site:
    return Site(tmp_path, in_process, sound)


@pytest.fixture(scope="session")
def runs_named(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """The same run under hostile and under harmless names."""
    folder = tmp_path_factory.mktemp("named")
    harmless = [f"name{number}" for number in range(len(NAMES))]
    return run_with_names(folder / "hostile").folder, run_with_names(
        folder / "harmless", harmless
    ).folder


@pytest.fixture
def hostile(site: Site, runs_named: tuple[Path, Path]) -> Site:
    """The run with hostile names, beside the one with harmless names."""
    for name, folder in zip(("run", "harmless"), runs_named, strict=True):
        shutil.copytree(folder, site.folder / name)
    return site


@pytest.fixture(scope="session")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a real run of two cells, and its cache."""
    folder = tmp_path_factory.mktemp("trained")
    process = start(*RESUME, "--jobs", "1", folder=folder)
    _, err = process.communicate(timeout=300)
    assert process.returncode == 0, err
    return folder


@pytest.fixture
def resumed(site: Site, trained: Path) -> Site:
    """A copy of the real run and its cache, to be attacked."""
    for name in ("run", "cache"):
        shutil.copytree(trained / name, site.folder / name)
    site.ids = sorted(Run(site.run).manifest()["cells"])
    return site
