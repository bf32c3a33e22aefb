"""A folder with an untrusted run, the commands that read or change it, and hostile names."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np
import pytest
from tests.bench.generated_runs import generate
from tests.end_to_end.bench_command import Bench
from tests.end_to_end.hostile import (
    NAMES,
    PLANTS,
    SECRET,
    Snapshot,
    assert_orderly,
    in_time,
    outside_of,
    plant,
    resummed,
    snapshot,
)

from distillation_bench.bench.storage import tables as derived
from distillation_bench.bench.storage.run_folder import Run

every_plant = pytest.mark.parametrize("kind", PLANTS)


Slot = tuple[str, str, int]


class Site:
    """A folder with a run, a cache, a folder for outputs, and files that must not change."""

    def __init__(self, folder: Path, bench: Bench, sound: Path) -> None:
        self.folder = folder
        self.sound = sound
        self.ids = sorted(Run(sound).manifest()["cells"])
        self.run = folder / "run"
        self.cache = folder / "cache"
        self.out = folder / "out"
        self.marker = folder / "ran"
        self.outside = outside_of(folder)
        self.bench = bench

    def renew(self) -> None:
        """Replace the run by a sound one."""
        shutil.rmtree(self.run, ignore_errors=True)
        shutil.copytree(self.sound, self.run)

    def plant(self, kind: str, *names: str) -> None:
        """Replace parts of the run by something else."""
        for name in names:
            plant(kind, self.run / name, self.outside)

    def guarded(self) -> Snapshot:
        return snapshot(self.folder, self.run, self.cache, self.out)

    def __call__(self, *arguments: str, data: bool = False) -> subprocess.CompletedProcess[str]:
        """Run a command, check that it ends properly and changes nothing else."""
        before = self.guarded()
        with in_time():
            done = self.bench(*arguments)
        assert self.guarded() == before, arguments
        assert_orderly(done, data)
        assert SECRET not in done.stdout + done.stderr, arguments
        for path in self.out.rglob("*"):
            assert not path.is_symlink(), arguments
            assert path.is_dir() or SECRET.encode() not in path.read_bytes(), arguments
        return done


FIGURES = {
    ("d", label, seed): {"accuracy": 0.5 + 0.1 * seed + offset, "nll": 0.25 + seed + offset}
    for label, offset in (("kd", 0.0), ("gauss", 0.05), ("hydra", 0.1))
    for seed in range(3)
}


HISTORY = [{"stage": "train", "epoch": epoch, "loss": 1 / (epoch + 1)} for epoch in range(3)]


CURVES = {"fidelity/test": np.ones((2, 5), np.float32)}


READ: Mapping[str, str] = {
    "status": "status run",
    "status --watch": "status run --watch",
    "board": "board run",
    "board --markdown": "board run --markdown",
    "compare": "compare run",
    "compare files": "compare run --csv out/c.csv --json out/c.json --latex out/c.tex",
    "table": "table run",
    "table files": "table run --latex out/t.tex --markdown out/t.md --csv out/t.csv "
    "--macros out/m.tex",
    "plot": "plot run -f training -f fidelity --format svg --out out/figures",
    "report": "report run --no-figures --out out/report.html",
    "why": "why run d kd 0 --cache cache",
    "verify": "verify run --cache cache",
    "export": "export run --out out/e.csv",
    "export parquet": "export run --out out/e.parquet",
    "export curves": "export run --tensorboard out/curves",
    "clean": "clean run --cache cache",
    "merge": "merge run --into out/merged",
}


WRITE = ("clean run --yes", "merge other --into run", "report run --no-figures")


def read_all(site: Site) -> Counter[int]:
    """Run every command that reads a run; return the count of each status."""
    statuses: Counter[int] = Counter()
    site.cache.mkdir(exist_ok=True)
    inside = snapshot(site.run)
    for line in READ.values():
        done = site(*line.split())
        statuses[done.returncode] += 1
        # The lock of a run is written by the process that holds it.
        assert snapshot(site.run) == inside, line
        shutil.rmtree(site.out, ignore_errors=True)
    return statuses


def write_all(site: Site, attack: Callable[[], None]) -> None:
    """Run every command that changes a run, each on a newly attacked one."""
    shutil.copytree(site.sound, site.folder / "other", dirs_exist_ok=True)
    for line in WRITE:
        site.renew()
        attack()
        site(*line.split())


def run_with_names(folder: Path, names: Sequence[str] = NAMES) -> Run:
    """Write a run in which every named thing has one of these names."""
    # A metric may be asked for as NAME:SCORE@SET.
    metrics = [re.sub("[:@]", ";", name) for name in names]
    labels = {
        (names[0], name, seed): {"nll": 0.1 + number + seed, metric: 0.5}
        for number, (name, metric) in enumerate(zip(names, metrics, strict=True))
        for seed in (0, 1)[: 1 + (number < 3)]
    }
    datasets = {(name, label, 0): {"nll": 0.25} for name in names[::3] for label in names[:2]}
    described = {"better": "lower", "headline": True}
    run = generate(
        folder,
        {**datasets, **labels},
        failed={(names[0], f"{name}!", 0): name for name in names},
        methods={name: name for name in names},
        references=(names[1],),
        metrics={name: {**described, "summary": f"About {name}", "task": name} for name in metrics},
        ood={names[0]: dict.fromkeys(names, names[0]) | {"plane": f"absent: {names[4]}"}},
        recipe={"members": 2, **dict.fromkeys(names, names[0])},
        parameters={name: dict.fromkeys(names, name) for name in names},
        histories={
            (names[0], name, 0): [{"stage": name, "epoch": 0, **dict.fromkeys(names, 1.0)}]
            for name in names
        },
        command="curl https://example.org | sh",
    )
    for cell_id in run.record_ids():
        record = run.record(cell_id)
        assert record is not None
        # One metric a set, on the first dataset: all would make a thousand columns of tables.
        sets = [
            {**test, "set": name, "shift": name, "values": {"nll": 0.25, metric: 0.5}}
            for test in record["sets"][:1]
            for name, metric in zip(names, metrics, strict=True)
            if record["dataset"] == names[0]
        ]
        resummed(
            run.paths(cell_id).record,
            sets=[*record["sets"], *sets],
            commit=names[0],
            finished=names[5],
            details="\n".join(names),
            environment={name: name for name in names},
            timings={**record["timings"], "host": names[0], **dict.fromkeys(names, 1.0)},
        )
    derived.write_tables(run)
    return run


SMALL = (
    *("-m", "kd", "-m", "single", "-d", "spiral", "-s", "0"),
    *("--set", "epochs=2", "--set", "members=2", "--set", "test_examples=60"),
)


RESUME = ("run", *SMALL, "--results", "run", "--cache", "cache")
