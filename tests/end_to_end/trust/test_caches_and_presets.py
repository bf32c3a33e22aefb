"""Caches, presets and plugins: only plugins are run, and no other file is removed."""

from __future__ import annotations

import json
import os

import numpy as np
import pytest
from tests.end_to_end.bench_command import ROOT
from tests.end_to_end.hostile import (
    SECRET,
    pickled,
    plant,
    snapshot,
    yaml_presets,
)
from tests.end_to_end.trust.site import (
    Site,
    every_plant,
    read_all,
)

from distillation_bench.bench.planning import plugins
from distillation_bench.bench.storage.cache import Cache, DamagedEntry
from distillation_bench.bench.storage.run_folder import Run


def test_keys_of_a_run_do_not_lead_out_of_the_cache(site: Site) -> None:
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
def test_planted_entries_of_a_cache_are_not_followed(site: Site, kind: str) -> None:
    site.renew()
    cache = Cache(site.cache)
    keys = ("outputs-a", "weights-b.0", "data-c")
    for key in keys:
        cache.save(key, {"x": np.arange(5.0)}, {"members": 3})
    plant(kind, site.cache / "outputs-a.json", site.outside)
    plant(kind, site.cache / "weights-b.0.safetensors", site.outside)
    assert site("verify", "--cache", "cache").stdout.count("WRONG") == 2
    for key in keys[:2]:
        assert not cache.has(key) and not cache.is_sound(key)
        with pytest.raises(DamagedEntry):
            cache.load(key)
    assert cache.is_sound(keys[2])
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
    names_after = {path.name for path in (site.folder / "models").iterdir()}
    assert names_after == {"config.json", "model.safetensors", "results-2.json"}


def test_presets_create_no_python_objects(site: Site) -> None:
    for number, text in enumerate(
        [*yaml_presets(site.marker), pickled(site.marker).decode("latin-1")]
    ):
        path = site.folder / f"p{number}.yaml"
        path.write_text(text, encoding="latin-1")
        done = site("plan", "--preset", path.name)
        assert done.returncode == 2 and path.name in done.stderr, text
    assert not site.marker.exists()


def test_only_plugins_are_run_and_the_documentation_says_so(site: Site) -> None:
    site.renew()
    code = f"from pathlib import Path\nPath({str(site.marker)!r}).touch()\n"
    for name in ("plugin.py", "conftest.py", "sitecustomize.py", "matplotlibrc.py", "bench.py"):
        (site.run / name).write_text(code)
    read_all(site)
    assert not site.marker.exists()
    assert site.bench("list", "methods", "--plugin", "run/plugin.py").returncode == 0
    assert site.marker.exists()
    assert "Plugins are code: run those you trust." in (ROOT / "README.md").read_text()
    assert "It is code and runs as such" in " ".join((plugins.__doc__ or "").split())
