"""Hostile contents with right checksums: pickles, array headers, tables, file names."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import pickle
import shutil
import subprocess
from pathlib import Path

import pytest
from tests.end_to_end.bench_command import start
from tests.end_to_end.hostile import (
    HEADERS,
    SECRET,
    assert_orderly,
    outside_of,
    pickled,
    plant,
    resummed,
    snapshot,
)
from tests.end_to_end.trust.site import (
    Site,
    read_all,
    write_all,
)

from distillation_bench.bench.storage import tables as derived
from distillation_bench.bench.storage.cache import Cache, DamagedEntry
from distillation_bench.bench.storage.run_folder import Run
from distillation_bench.bench.storage.table_note import records_fingerprint


def test_pickles_are_not_loaded(site: Site) -> None:
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
    # It would exist if anything had unpickled the file.
    pickle.loads(content)
    assert site.marker.exists()


@pytest.mark.parametrize("header", HEADERS.values(), ids=HEADERS)
def test_arrays_with_a_hostile_header_are_refused(site: Site, header: bytes) -> None:
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
    with contextlib.suppress(DamagedEntry):
        # It may be a valid file of arrays with strange names.
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
def test_tables_that_contradict_the_records_are_not_used(site: Site, content: bytes) -> None:
    site.renew()
    run, expected = Run(site.run), derived.results(Run(site.sound))
    sums = json.loads((site.run / "derived.json").read_bytes())
    for name in ("results", "metrics"):
        path = site.run / f"{name}.csv"
        header, row, *_ = path.read_bytes().splitlines()
        table = content.replace(b"%(header)s", header).replace(b"%(row)s", row)
        path.write_bytes(table)
        sums[name] = hashlib.sha256(table).hexdigest()
    (site.run / "derived.json").write_text(json.dumps({**sums, "state": records_fingerprint(run)}))
    with derived.open_current(run, "results") as file:
        assert file is not None, "to all appearance"
    assert derived.results(run) == expected
    assert site("verify", "run").returncode == 1
    for line in ("board run", "table run", "export run --out out/e.csv", "status run"):
        assert site(*line.split()).returncode == 0
    for option in ("--metric ece@test", "--metric nll@test"):
        site("table", "run", *option.split())


def test_a_truncated_character_is_handled(site: Site) -> None:
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


def test_files_with_strange_names_among_the_cells_are_handled(site: Site) -> None:
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


def test_a_report_written_from_within_a_hostile_run_is_safe(tmp_path: Path, sound: Path) -> None:
    """In a new process, with figures drawn in parallel and traps for Python imports."""
    run, marker, outside = tmp_path / "run", tmp_path / "ran", outside_of(tmp_path)
    shutil.copytree(sound, run)
    code = f"from pathlib import Path\nPath({str(marker)!r}).touch()\n"
    for name in (
        *("sitecustomize", "usercustomize", "matplotlib", "numpy", "evil", "bench", "typer"),
        *("joblib", "multiprocessing", "signal", "pickle", "distillation_bench"),
    ):
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
