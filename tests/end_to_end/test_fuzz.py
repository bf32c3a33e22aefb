"""Damage of any kind: never a traceback, never a wrong figure.

`pytest tests/end_to_end/test_fuzz.py --hypothesis-profile=long` draws others, and far more.
"""

from __future__ import annotations

import contextlib
import copy
import csv
import hashlib
import io
import itertools
import json
import math
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, event, given, settings
from hypothesis import strategies as st
from safetensors.numpy import save
from tests.end_to_end.hostile import NAMES, assert_orderly, in_time, sealed
from tests.end_to_end.program import commands, run_whole

from distillation_bench.bench.cli import main as cli
from distillation_bench.bench.common.errors import UsageError
from distillation_bench.bench.common.hashing import canonical_json
from distillation_bench.bench.planning.configuration.preset_files import PRESETS, preset_names
from distillation_bench.bench.storage import tables as derived
from distillation_bench.bench.storage.cache import Cache, Damaged
from distillation_bench.bench.storage.run_folder import DamagedFile, Run
from distillation_bench.bench.training.checkpoints import Checkpoint

LENGTH = settings.default.max_examples / 100 if settings.default else 1


def examples(count: int) -> settings:
    """So many examples; a profile may say how many times as many."""
    return settings(
        max_examples=round(count * LENGTH),
        suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
    )


# The run, and what is true of it

GRID = (
    *("-m", "kd", "-m", "hydra[heads=2]", "-m", "ensemble", "-d", "spiral", "-d", "sine"),
    *("-s", "0-1", "--set", "epochs=2", "--set", "members=2", "--set", "test_examples=40"),
)
COMMANDS: Mapping[str, str] = {
    "status": "status RUN",
    "status --watch": "status RUN --watch",
    "board": "board RUN",
    "board --markdown": "board RUN --markdown",
    "compare": "compare RUN --json OUT/compare.json",
    "table": "table RUN --csv OUT/table.csv --latex OUT/t.tex --markdown OUT/t.md --macros OUT/m",
    "table --by metric": "table RUN --by metric --metric nll --metric ece@rotation/3",
    "report": "report RUN --no-figures --out OUT/report.html",
    "why": "why RUN CELL",
    "verify": "verify RUN",
    "export": "export RUN --out OUT/export.csv",
    "export parquet": "export RUN --out OUT/export.parquet",
    "export curves": "export RUN --tensorboard OUT/curves",
    "clean": "clean RUN",
    "merge": "merge RUN --into OUT/merged",
    "training": "plot RUN -f training -d sine --format png --out OUT",
    "fidelity": "plot RUN -f fidelity -m kd -d sine --format png --out OUT",
    "bands": "plot RUN -f bands -m kd -d sine --format png --out OUT",
    "maps": "plot RUN -f maps -m kd -d spiral --format png --out OUT",
    "metrics": "plot RUN -f metrics -d sine --metric nll --format png --out OUT",
}
DRAWING = ("training", "fidelity", "bands", "maps", "metrics", "report", "export curves")
QUICK = [name for name in COMMANDS if name not in DRAWING]
Rows = list[dict[str, str]]


class Site:
    """A run that can be damaged and is whole again for the next example."""

    def __init__(self, sound: Path, run: Path, out: Path) -> None:
        self.run, self.out = run, out
        # Files with their times, by which tables are known to be newer than records.
        self.files: dict[str, tuple[bytes, int]] = {}
        for path in sorted(sound.rglob("*")):
            if path.is_file() and not path.name.startswith("."):
                name = str(path.relative_to(sound))
                self.files[name] = path.read_bytes(), path.stat().st_mtime_ns
        shutil.copytree(sound, run)

    def mend(self) -> None:
        """Put back what was damaged."""
        shutil.rmtree(self.out, ignore_errors=True)
        self.out.mkdir()
        for name, (content, time) in self.files.items():
            path = self.run / name
            if not path.is_file() or path.read_bytes() != content:
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(content)
            os.utime(path, ns=(time, time))

    def __call__(self, name: str, cell: str) -> int:
        """A command, orderly; returns its status."""
        words = {"RUN": str(self.run), "OUT": str(self.out), "CELL": cell}
        line = [words.get(w, w.replace("OUT/", f"{self.out}/")) for w in COMMANDS[name].split()]
        done = program(*line)
        assert_orderly(done)
        assert done.returncode != 1 or name == "verify", name
        return done.returncode


def program(*arguments: str) -> subprocess.CompletedProcess[str]:
    """The program, in this process."""
    out, err, argv = io.StringIO(), io.StringIO(), sys.argv
    status: Any = 0
    sys.argv = ["run_bench.py", *arguments]
    try:
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err), in_time():
            cli.main()
    except SystemExit as ended:
        status = ended.code
    finally:
        sys.argv = argv
    return subprocess.CompletedProcess(arguments, status or 0, out.getvalue(), err.getvalue())


@pytest.fixture(scope="module", autouse=True)
def quick_commands() -> Iterator[None]:
    """Commands are made once."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(cli, "app", commands())
        yield


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A real run of twelve cells, and its cache beside it."""
    return run_whole(tmp_path_factory.mktemp("fuzz"), *GRID, "--jobs", "1")


@pytest.fixture(scope="module")
def site(sound: Path) -> Site:
    return Site(sound, sound.parent / "damaged", sound.parent / "out")


class Truth:
    """What is shown of the sound run, to compare with."""

    def __init__(self, run: Path, out: Path) -> None:
        self.results = {_slot(row): row for row in derived.results(Run(run))}
        self.metrics = {tuple(row) for row in derived.metrics(Run(run))}
        assert program("export", str(run), "--out", str(out / "truth.csv")).returncode == 0
        self.exported = {tuple(row.items()) for row in rows_of(out / "truth.csv")}
        assert program("table", str(run), "--csv", str(out / "truth.csv")).returncode == 0
        self.tables = {_place(row): row for row in rows_of(out / "truth.csv")}
        self.cells = Run(run).manifest()["cells"]
        records = {name: Run(run).read_record(name) for name in self.cells}
        self.histories = {name: Run(run).history(each) for name, each in records.items()}
        self.curves = {name: Run(run).curves(each) for name, each in records.items()}

    def check(self, run: Run, out: Path) -> None:
        """That all that is shown is as it is here, or isn't shown."""
        for row in _shown(lambda: derived.results(run)):
            assert row == self.results[_slot(row)]
        for values in _shown(lambda: list(derived.metrics(run))):
            assert tuple(values) in self.metrics
        for cell_id in self.cells:
            record = run.record(cell_id)
            if record is not None:
                with contextlib.suppress(DamagedFile):
                    assert run.history(record) == self.histories[cell_id]
                curves, true = run.curves(record), self.curves[cell_id]
                assert not curves or curves.keys() == true.keys()
                assert all(curves[name].tobytes() == true[name].tobytes() for name in curves)
        for row in rows_of(out / "export.csv"):
            assert tuple(row.items()) in self.exported or row["status"] == "missing"
        for row in rows_of(out / "table.csv"):
            self._check_mean(row)

    def _check_mean(self, row: Mapping[str, str]) -> None:
        """A mean is the true one, or says that it is over fewer seeds, and is that of some."""
        true = self.tables[_place(row)]
        if row["n"] == row["planned"]:
            assert {**row, "mark": "", "level": ""} == {**true, "mark": "", "level": ""}
        elif row["mean"]:
            seeds = [r for slot, r in self.results.items() if slot[:2] == _place(row)[:2]]
            values = [float(each[row["metric"]]) for each in seeds]
            groups = itertools.combinations(values, int(row["n"]))
            means = [_printed(row, fmean(group)) for group in groups]
            assert any(math.isclose(float(row["mean"]), each, rel_tol=1e-9) for each in means)


def _printed(row: Mapping[str, str], value: float) -> float:
    scale = {"": 1.0, "nats": 1.0, "%": 100.0, "k": 1e-3, "M": 1e-6}[row["unit"]]
    return 100 - 100 * value if row["metric"] == "accuracy" else scale * value


def _shown(rows: Callable[[], list[Any]]) -> list[Any]:
    try:
        return rows()
    except UsageError:
        return []


def _slot(row: Mapping[str, str]) -> tuple[str, str, str]:
    return row["dataset"], row["label"], row["seed"]


def _place(row: Mapping[str, str]) -> tuple[str, str, str]:
    return row["dataset"], row["label"], row["metric"]


def rows_of(path: Path) -> Rows:
    """Of a CSV file; none if there is no file."""
    if not path.is_file():
        return []
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file, strict=True))


@pytest.fixture(scope="module")
def truth(site: Site) -> Truth:
    site.mend()
    return Truth(site.run, site.out)


# Bytes


@dataclass(frozen=True)
class Damage:
    """Something that happens to a file: from where on, of a thousand parts, and how long it is."""

    kind: str
    begin: int
    length: int
    inserted: bytes
    quiet: bool

    def of(self, content: bytes, other: bytes) -> bytes | None:
        """What becomes of a content; None if the file is gone."""
        first = len(content) * self.begin // 1000
        last = min(len(content), first + self.length)
        head, middle, tail = content[:first], content[first:last], content[last:]
        flipped = bytes(each ^ 1 << self.length % 8 for each in middle[:1])
        return {
            "flipped": head + flipped + middle[1:] + tail,
            "cut off": head,
            "inserted": head + self.inserted + middle + tail,
            "deleted": head + tail,
            "replaced": head + self.inserted + tail,
            "zeros": head + bytes(len(middle)) + tail,
            "doubled": head + middle + middle + tail,
            "turned around": head + middle[::-1] + tail,
            "another's": other,
            "another's middle": head + other[first:last] + tail,
            "nothing": b"",
            "gone": None,
        }[self.kind]


KINDS = (
    *("flipped", "flipped", "flipped", "replaced", "cut off", "inserted", "deleted", "zeros"),
    *("doubled", "turned around", "another's", "another's middle", "nothing", "gone"),
)
damages = st.builds(
    Damage,
    st.sampled_from(KINDS),
    st.integers(0, 1000),
    st.one_of(st.integers(1, 8), st.integers(1, 400)),
    st.one_of(
        st.binary(max_size=8), st.sampled_from([b"0", b"9", b"1e9", b'"', b",", b"\n", b"}"])
    ),
    st.booleans(),
)
places_of_damage = st.lists(
    st.tuples(st.integers(0), st.integers(0), damages), min_size=1, max_size=3
)


@examples(60)
@given(where=places_of_damage, names=st.sets(st.sampled_from(QUICK), min_size=2, max_size=4))
def test_a_damaged_run(site: Site, truth: Truth, where: Any, names: set[str]) -> None:
    _damage(site, where)
    _read_and_check(site, truth, {"export", "table", *names})


@examples(16)
@given(where=places_of_damage, name=st.sampled_from(DRAWING))
def test_a_damaged_run_is_drawn(site: Site, truth: Truth, where: Any, name: str) -> None:
    _damage(site, [(-index, other, damage) for index, other, damage in where])
    _read_and_check(site, truth, {name})


def _damage(site: Site, where: Sequence[tuple[int, int, Damage]]) -> None:
    site.mend()
    # Kinds of files as often as each other, whatever their number.
    kinds = sorted({_kind(name) for name in site.files})
    for index, other, damage in where:
        kind = kinds[index % len(kinds)]
        files = sorted(name for name in site.files if _kind(name) == kind)
        name = files[index // len(kinds) % len(files)]
        content = damage.of(site.files[name][0], site.files[files[other % len(files)]][0])
        path = site.run / name
        event(f"{damage.kind} {kind}")
        if content is None:
            path.unlink(missing_ok=True)
            continue
        path.write_bytes(content)
        if damage.quiet:
            time = site.files[name][1]
            os.utime(path, ns=(time, time))


def _kind(name: str) -> str:
    """Of a run's files: those of cells by their ending, the others by their name."""
    return Path(name).suffix if "/" in name else name


def _read_and_check(site: Site, truth: Truth, names: set[str]) -> None:
    cell = next(iter(truth.cells))
    for name in sorted(names):
        site(name, cell)
    truth.check(Run(site.run), site.out)


# Structure, with right sums


@dataclass(frozen=True)
class Raw:
    """A value of JSON that Python doesn't write so."""

    text: str


RAW = (
    *("1e999", "-1e999", "NaN", "-Infinity", "1E2", "-0", "1.0", "9" * 400, "9" * 5000),
    *('"\\ud800"', '"\\ud83d\\ude00"', '"\\u0000"', "[" * 300 + "]" * 300, "[" * 9999 + "]" * 9999),
    *('{"a":' * 30 + "1" + "}" * 30, '{"a":1,"a":2}', '{"":{}}'),
)
NUMBERS = (0, 1, -1, 2**31, 2**62, -(2**63), 2**64, 0.5, 1e-320, 1e150, -1e300, 1.7e308, math.pi)
TEXTS = ("", "nan", "inf", "-inf", "1e5", "done", "failed", "skipped", "higher", "test", "x" * 5000)
values = st.recursive(
    st.one_of(
        st.sampled_from([Raw(text) for text in RAW]),
        st.sampled_from(NUMBERS),
        st.sampled_from([*TEXTS, *NAMES]),
        st.none() | st.booleans() | st.floats() | st.integers(),
    ),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["a", "values", "seed", *NAMES]), inner, max_size=3)
    ),
    max_leaves=6,
)


@dataclass(frozen=True)
class Change:
    """A change somewhere in a value of JSON: `steps` say where."""

    kind: str
    steps: Sequence[int]
    value: Any
    name: str

    def to(self, root: Any) -> None:
        """Make it, in place."""
        parent, key = root, None
        for step in self.steps:
            inner = parent if key is None else parent[key]
            if not isinstance(inner, (dict, list)) or not inner:
                break
            parent, key = (
                inner,
                (list(inner) if isinstance(inner, dict) else range(len(inner)))[step % len(inner)],
            )
        if key is None:
            return
        value = copy.deepcopy(self.value)
        if self.kind == "set":
            parent[key] = value
        elif self.kind == "alike":
            parent[key] = _alike(parent[key], sum(self.steps), self.name)
        elif self.kind == "removed":
            del parent[key]
        elif self.kind == "scaled" and isinstance(parent[key], (int, float)):
            parent[key] = parent[key] * 1e300
        elif isinstance(parent, list):
            parent.insert(0, copy.deepcopy(parent[key]) if self.kind == "doubled" else value)
        elif self.kind == "renamed":
            parent[self.name] = parent.pop(key)
        elif self.kind == "doubled":
            parent[self.name] = copy.deepcopy(parent[key])
        else:
            parent[self.name] = value


def _alike(value: Any, number: int, name: str) -> Any:
    """Another value of the same kind, or one that may stand where it stands."""
    if isinstance(value, bool):
        return not value
    if isinstance(value, int):
        return [each for each in NUMBERS if isinstance(each, int)][number % 7]
    if isinstance(value, float):
        return (*NUMBERS, "nan", "inf", "-inf")[number % (len(NUMBERS) + 3)]
    if isinstance(value, str):
        return name
    return type(value)() if isinstance(value, (dict, list)) else value


CHANGES = ("alike", "alike", "alike", "set", "removed", "added", "renamed", "doubled", "scaled")
FIELDS = (
    *("dataset", "label", "seed", "method", "status", "cell", "host", "seconds", "nll", "accuracy"),
    *("ood_auroc", "ood_auroc:total", "stage", "epoch", "train_bytes", "x:y", "a@b", "sum", "id"),
)
changes = st.lists(
    st.builds(
        Change,
        st.sampled_from(CHANGES),
        st.lists(st.integers(0, 50), min_size=1, max_size=6),
        values,
        st.sampled_from([*FIELDS, *NAMES]),
    ),
    min_size=1,
    max_size=3,
)


def as_json(value: Any) -> str:
    """With raw values as they are."""
    raw: list[str] = []

    def stand_in(each: Raw) -> str:
        raw.append(each.text)
        return f"§{len(raw) - 1}§"

    text = json.dumps(value, default=stand_in, sort_keys=True, separators=(",", ":"))
    for number, each in enumerate(raw):
        text = text.replace(json.dumps(f"§{number}§"), each)
    return text


def changed(content: bytes, made: Sequence[Change], seal: bool) -> bytes:
    """A record or a run's description after changes; a record's sum is right again."""
    value = json.loads(content)
    value.pop("sum")
    for change in made:
        change.to(value)
    text = as_json(value).encode()
    return sealed(text) if seal else text


@examples(70)
@given(
    made=changes,
    index=st.integers(0, 11),
    every=st.booleans(),
    names=st.sets(st.sampled_from(QUICK), min_size=3, max_size=5),
)
def test_records_that_hold_something_else(
    site: Site, truth: Truth, made: Sequence[Change], index: int, every: bool, names: set[str]
) -> None:
    site.mend()
    records = sorted(
        name for name in site.files if name.startswith("cells/") and name.endswith(".json")
    )
    for name in records if every else records[index : index + 1]:
        (site.run / name).write_bytes(changed(site.files[name][0], made, seal=True))
    event(f"read: {Run(site.run).record(Path(records[index]).stem) is not None}")
    for name in sorted(names):
        site(name, Path(records[index]).stem)


@examples(100)
@given(
    made=changes,
    fresh=st.booleans(),
    names=st.sets(st.sampled_from(QUICK), min_size=3, max_size=5),
)
def test_descriptions_that_hold_something_else(
    site: Site, truth: Truth, made: Sequence[Change], fresh: bool, names: set[str]
) -> None:
    site.mend()
    (site.run / "run.json").write_bytes(changed(site.files["run.json"][0], made, seal=False))
    event(f"read: {bool(_shown(lambda: [Run(site.run).manifest()]))}")
    if fresh:
        # As if the tables were of this description.
        sums = json.loads((site.run / "derived.json").read_bytes())
        state = derived._state(Run(site.run))
        (site.run / "derived.json").write_text(json.dumps({**sums, "state": state}))
    for name in sorted(names):
        site(name, next(iter(truth.cells)))


@examples(14)
@given(made=changes, description=st.booleans(), name=st.sampled_from(DRAWING))
def test_what_holds_something_else_is_drawn(
    site: Site, truth: Truth, made: Sequence[Change], description: bool, name: str
) -> None:
    site.mend()
    files = [name for name in site.files if name.startswith("cells/") and name.endswith(".json")]
    for each in ["run.json"] if description else files:
        (site.run / each).write_bytes(changed(site.files[each][0], made, seal=not description))
    site(name, next(iter(truth.cells)))


# Arrays with right sums


ARRAYS = (
    *("histogram/total/test", "upper/total/test", "reliability/test", "roc/total/ood:far"),
    *("fidelity/test", "canvas/total", "canvas/aleatoric", "canvas/epistemic", "canvas/mean"),
    *("canvas/x", "canvas/y", "train/x", "train/y", "../../x", "nul\0", ""),
)
KINDS_OF_ARRAYS = ("float32", "float64", "float16", "int8", "uint64", "bool", "complex64")
some_arrays = st.dictionaries(
    st.sampled_from(ARRAYS),
    st.tuples(
        st.lists(st.integers(0, 4), max_size=3),
        st.sampled_from(KINDS_OF_ARRAYS),
        st.sampled_from([0.0, 1.0, -1.0, 1e-320, 1e38, 1e300, math.nan, math.inf]),
    ),
    max_size=4,
)


@examples(16)
@given(made=some_arrays, name=st.sampled_from(["fidelity", "bands", "maps", "report", "verify"]))
def test_arrays_of_any_shape(site: Site, truth: Truth, made: Any, name: str) -> None:
    site.mend()
    for cell_id in truth.cells:
        arrays = {**truth.curves[cell_id]}
        for key, (shape, kind, value) in made.items():
            like = arrays.get(key)
            with np.errstate(all="ignore"):
                filled = np.full(shape if like is None or shape else like.shape, value)
                arrays[key] = filled.astype(kind)
        content = save(arrays)
        record = json.loads(site.files[f"cells/{cell_id}.json"][0])
        record |= {"curves": hashlib.sha256(content).hexdigest()}
        record.pop("sum")
        (site.run / f"cells/{cell_id}.json").write_bytes(sealed(canonical_json(record).encode()))
        (site.run / f"cells/{cell_id}/curves.safetensors").write_bytes(content)
    site(name, next(iter(truth.cells)))


# Presets and options


FRAGMENTS = (
    *("datasets", "methods", "seeds", "recipe", "recipes", "ood", "corruptions", "label"),
    *("parameters", "method", "spiral", "sine", "kd", "hydra", "heads", "network", "family"),
    *(": ", ":\n  ", "\n", "\n  - ", "- ", "[", "]", "{", "}", ", ", "&a ", "*a", "<<: ", "? "),
    *("0-2", "1", "-1", "1e999", "true", "~", ".nan", "'", '"', "|\n", "!!int ", "!x ", "# "),
    *("---\n", "...\n", "%YAML 1.1\n", "\t", "\x00", "\ud7ff", "é", "99999999999999999999", "0x_"),
    *("linear(0, 1)", "1:2:3", "2024-01-01", "0o9", "=", "<<"),
)
pieces = st.lists(st.sampled_from([*FRAGMENTS, *NAMES]), max_size=6).map("".join)


@st.composite
def presets(draw: st.DrawFn) -> str:
    """A preset of the repository in which a few pieces are others, or one of pieces alone."""
    text = (PRESETS / f"{draw(st.sampled_from(preset_names()))}.yaml").read_text(encoding="utf-8")
    if draw(st.booleans()):
        lines = text.splitlines(keepends=True)
        lines = [each for each in lines if draw(st.integers(0, 9))]
        text = "".join(lines)
    for _ in range(draw(st.integers(1, 3))):
        begin = draw(st.integers(0, len(text)))
        text = text[:begin] + draw(pieces) + text[begin + draw(st.integers(0, 12)) :]
    return text


texts = st.one_of(st.text(max_size=12), pieces)
options = st.lists(
    st.one_of(
        st.tuples(st.just("-m"), st.builds("{}[{}={}]".format, st.just("kd"), texts, texts)),
        st.tuples(st.just("-m"), texts),
        st.tuples(st.just("-s"), texts),
        st.tuples(st.just("-d"), texts),
        st.tuples(st.just("--ood"), texts),
        st.tuples(st.just("--set"), st.builds("{}={}".format, st.just("epochs"), texts)),
        st.tuples(
            st.just("--set"),
            st.builds("network.{}={}".format, st.sampled_from(["core", "family", "width"]), texts),
        ),
        st.tuples(st.just("--set"), texts),
    ),
    min_size=1,
    max_size=2,
)


@examples(60)
@given(text=presets())
def test_presets_that_say_something_else(site: Site, text: str) -> None:
    site.out.mkdir(exist_ok=True)
    path = site.out / "preset.yaml"
    path.write_bytes(text.encode("utf-8", "surrogatepass"))
    # Of what its seeds and values multiply to, a corner.
    small = ("-s", "0", "--results", str(site.out / "new"), "--cache", str(site.out / "cache"))
    done = program("plan", "--preset", str(path), *small)
    assert_orderly(done)
    event(f"status {done.returncode}")
    assert done.returncode in (0, 2)


@examples(60)
@given(given_options=options)
def test_options_that_say_something_else(site: Site, given_options: Any) -> None:
    words = ["-d", "spiral", "-s", "0", "--results", str(site.out / "new")]
    words += [word for pair in given_options for word in pair]
    done = program("plan", "-m", "kd", *words, "--cache", str(site.out / "cache"))
    assert_orderly(done)
    assert done.returncode in (0, 2)


# A cache


ENTRIES: Mapping[str, Mapping[str, np.ndarray]] = {
    "weights-a.0": {"w": np.arange(6, dtype=np.float32).reshape(2, 3), "n": np.array(7)},
    "outputs-b": {"test": np.linspace(0, 1, 24).reshape(2, 3, 4), "ood:x/y": np.zeros((0, 2))},
    "checkpoint-c": {"optimizer.m": np.ones(3, np.float32), "network.w": np.arange(2.0)},
}
ROWS = [{"stage": "train", "epoch": epoch, "loss": 0.1 * epoch} for epoch in range(4)]
NOTES: Mapping[str, Any] = {
    "weights-a.0": {"members": [0, 0], "history": ROWS},
    "outputs-b": {"dataset": "spiral", "seed": 0, "members": 5},
    "checkpoint-c": {"history": [[list(pair) for pair in row.items()] for row in ROWS]},
}


@pytest.fixture(scope="module")
def cached(tmp_path_factory: pytest.TempPathFactory) -> tuple[Cache, dict[str, bytes]]:
    """A cache, and the contents of its files."""
    cache = Cache(tmp_path_factory.mktemp("cached"))
    for key, arrays in ENTRIES.items():
        cache.save(key, arrays, NOTES[key])
    return cache, {path.name: path.read_bytes() for path in sorted(cache.folder.iterdir())}


@examples(160)
@given(where=places_of_damage, whole=st.booleans())
def test_damaged_entries(cached: tuple[Cache, dict[str, bytes]], where: Any, whole: bool) -> None:
    cache, files = cached
    for name, content in files.items():
        (cache.folder / name).write_bytes(content)
    names = list(files)
    for index, other, damage in where:
        name, another = names[index % len(names)], names[other % len(names)]
        pairs = [(name, another)]
        if damage.kind == "another's" and whole:
            stems = Path(name).stem, Path(another).stem
            pairs = [(stems[0] + end, stems[1] + end) for end in (".json", ".safetensors")]
        for into, source in pairs:
            content = damage.of(files[into], files[source])
            (cache.folder / into).write_bytes(b"" if content is None else content)
            if content is None:
                (cache.folder / into).unlink()
    for key, arrays in ENTRIES.items():
        note = cache.note(key)
        assert not note or {name: note[name] for name in NOTES[key]} == NOTES[key]
        try:
            loaded = cache.load(key)
        except Damaged:
            assert not cache.sound(key)
            continue
        assert cache.sound(key) and cache.has(key) and loaded.keys() == arrays.keys()
        for name, array in arrays.items():
            found = loaded[name].numpy()
            assert found.dtype == array.dtype and found.shape == array.shape
            assert found.tobytes() == array.tobytes()
    assert Checkpoint(cache, "c", 0).history in ([], ROWS)


@examples(60)
@given(made=changes)
def test_a_checkpoint_of_another_history(
    cached: tuple[Cache, dict[str, bytes]], made: Sequence[Change]
) -> None:
    """With a right sum: of an older version, or of whoever."""
    cache, files = cached
    for name, content in files.items():
        (cache.folder / name).write_bytes(content)
    note = json.loads(files["checkpoint-c.json"])
    note.pop("sum")
    for change in made:
        change.to(note)
    (cache.folder / "checkpoint-c.json").write_text(as_json(note))
    history = Checkpoint(cache, "c", 0).history
    assert all(isinstance(row["stage"], str) and isinstance(row["epoch"], int) for row in history)
    assert_orderly(program("verify", "--cache", str(cache.folder)))
    assert_orderly(program("clean", "--cache", str(cache.folder), "--older", "1"))
