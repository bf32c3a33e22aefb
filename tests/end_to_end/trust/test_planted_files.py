"""Links, pipes, devices and folders planted instead of a run's files."""

from __future__ import annotations

import itertools

import pytest
from tests.end_to_end.hostile import (
    PLANTS,
)
from tests.end_to_end.trust.site import (
    READ,
    Site,
    every_plant,
    read_all,
    write_all,
)


def test_a_sound_run_is_read_by_every_command(site: Site) -> None:
    site.renew()
    assert read_all(site) == {0: len(READ)}
    write_all(site, lambda: None)


def test_planted_records_are_handled(site: Site) -> None:
    def attack() -> None:
        for kind, cell_id in zip(PLANTS, site.ids, strict=True):
            site.plant(kind, f"cells/{cell_id}.json")

    site.renew()
    attack()
    assert read_all(site)[1] == 1, "verify says so"
    write_all(site, attack)


@pytest.mark.parametrize("part", ["", "/history.csv", "/curves.safetensors"])
def test_planted_histories_and_curves_are_handled(site: Site, part: str) -> None:
    def attack() -> None:
        for kind, cell_id in zip(PLANTS, site.ids, strict=True):
            site.plant(kind, f"cells/{cell_id}{part}")

    site.renew()
    attack()
    statuses = read_all(site)
    # Values are in the records: only merge copies other files, and refuses; plot has no data.
    assert statuses[1] == 1 and statuses[2] <= 2
    write_all(site, attack)


@pytest.mark.parametrize("first", [0, 4])
def test_planted_tables_are_handled(site: Site, first: int) -> None:
    names = ("results.csv", "metrics.csv", "cells.csv", "derived.json", ".driver", "report.html")
    kinds = list(itertools.islice(itertools.cycle(PLANTS), first, first + len(names)))

    def attack() -> None:
        for kind, name in zip(kinds, names, strict=True):
            site.plant(kind, name)

    site.renew()
    attack()
    # Tables are then derived from the records.
    assert read_all(site) == {0: len(READ) - 1, 1: 1}
    write_all(site, attack)


@pytest.mark.parametrize("kind", ["link to a folder", "dangling link", "pipe", "terabyte"])
@pytest.mark.parametrize("name", ["run.json", "cells"])
def test_planted_descriptions_are_handled(site: Site, kind: str, name: str) -> None:
    def attack() -> None:
        site.plant(kind, name)

    site.renew()
    attack()
    statuses = read_all(site)
    assert name == "cells" or not statuses[0]
    write_all(site, attack)


@pytest.mark.parametrize("kind", ["link to a file", "pipe"])
def test_a_planted_lock_is_handled(site: Site, kind: str) -> None:
    def attack() -> None:
        site.plant(kind, ".lock")

    site.renew()
    attack()
    assert read_all(site) == {0: len(READ)}
    write_all(site, attack)


@every_plant
def test_planted_figures_are_handled(site: Site, kind: str) -> None:
    for name in ("figures", "figures/training-d.svg"):
        site.renew()
        (site.run / "figures").mkdir()
        site.plant(kind, name)
        done = site("plot", "run", "-f", "training", "--format", "svg")
        is_drawn = done.returncode == 0
        assert is_drawn == (kind == "folder" if name == "figures" else kind != "folder")
        assert not is_drawn or (site.run / "figures/training-d.svg").is_file()
