"""Fixtures: a run to damage, and its true values."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.end_to_end.bench_command import commands, run_whole
from tests.end_to_end.fuzz.runs import (
    GRID,
    Site,
    Truth,
)

from distillation_bench.bench.cli import main as cli
from distillation_bench.bench.figures import rendering


@pytest.fixture(scope="module", autouse=True)
def quick_commands() -> Iterator[None]:
    """Build the command line once, and draw figures in this process."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(cli, "app", commands())
        patch.setattr(rendering, "cores", lambda: 1)
        yield


@pytest.fixture(scope="session")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A real run of twelve cells, and its cache beside it."""
    return run_whole(tmp_path_factory.mktemp("fuzz"), *GRID, "--jobs", "1")


@pytest.fixture(scope="session")
def site(sound: Path) -> Site:
    return Site(sound, sound.parent / "damaged", sound.parent / "out")


@pytest.fixture(scope="session")
def truth(site: Site) -> Truth:
    site.mend()
    return Truth(site.run, site.out)
