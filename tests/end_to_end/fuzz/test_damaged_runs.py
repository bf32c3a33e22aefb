"""Runs with damaged files, records, descriptions and arrays: no traceback and no wrong value."""

from __future__ import annotations

import hashlib
import json
import math
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from hypothesis import event, given
from hypothesis import strategies as st
from safetensors.numpy import save
from tests.end_to_end.fuzz.changes import Change, changed, changes
from tests.end_to_end.fuzz.damage import Damage, damage_locations
from tests.end_to_end.fuzz.runs import (
    DRAWING,
    QUICK,
    Site,
    Truth,
    examples,
    read_and_check,
    rows_or_none,
)
from tests.end_to_end.hostile import sealed

from distillation_bench.bench.common.hashing import canonical_json
from distillation_bench.bench.storage.run_folder import Run
from distillation_bench.bench.storage.table_note import records_fingerprint


@examples(60)
@given(where=damage_locations, names=st.sets(st.sampled_from(QUICK), min_size=2, max_size=4))
def test_a_damaged_run_shows_no_wrong_value(
    site: Site, truth: Truth, where: Any, names: set[str]
) -> None:
    _damage(site, where)
    read_and_check(site, truth, {"export", "table", *names})


@examples(16)
@given(where=damage_locations, name=st.sampled_from(DRAWING))
def test_figures_of_a_damaged_run_end_properly(
    site: Site, truth: Truth, where: Any, name: str
) -> None:
    _damage(site, [(-index, source_index, damage) for index, source_index, damage in where])
    read_and_check(site, truth, {name})


def _damage(site: Site, where: Sequence[tuple[int, int, Damage]]) -> None:
    site.mend()
    # Each kind of file is chosen equally often, however many there are of it.
    kinds = sorted({_kind(name) for name in site.files})
    for index, source_index, damage in where:
        kind = kinds[index % len(kinds)]
        files = sorted(name for name in site.files if _kind(name) == kind)
        name = files[index // len(kinds) % len(files)]
        content = damage.of(site.files[name][0], site.files[files[source_index % len(files)]][0])
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
    """Return the kind of a file: the ending for files of cells, else the name."""
    return Path(name).suffix if "/" in name else name


@examples(70)
@given(
    edits=changes,
    index=st.integers(0, 11),
    every=st.booleans(),
    names=st.sets(st.sampled_from(QUICK), min_size=3, max_size=5),
)
def test_records_with_other_content_cause_no_traceback(
    site: Site, truth: Truth, edits: Sequence[Change], index: int, every: bool, names: set[str]
) -> None:
    site.mend()
    records = sorted(
        name for name in site.files if name.startswith("cells/") and name.endswith(".json")
    )
    for name in records if every else records[index : index + 1]:
        (site.run / name).write_bytes(changed(site.files[name][0], edits, seal=True))
    event(f"read: {Run(site.run).record(Path(records[index]).stem) is not None}")
    for name in sorted(names):
        site(name, Path(records[index]).stem)


@examples(100)
@given(
    edits=changes,
    fresh=st.booleans(),
    names=st.sets(st.sampled_from(QUICK), min_size=3, max_size=5),
)
def test_descriptions_with_other_content_cause_no_traceback(
    site: Site, truth: Truth, edits: Sequence[Change], fresh: bool, names: set[str]
) -> None:
    site.mend()
    (site.run / "run.json").write_bytes(changed(site.files["run.json"][0], edits, seal=False))
    event(f"read: {bool(rows_or_none(lambda: [Run(site.run).manifest()]))}")
    if fresh:
        # As if the tables were of this description.
        sums = json.loads((site.run / "derived.json").read_bytes())
        state = records_fingerprint(Run(site.run))
        (site.run / "derived.json").write_text(json.dumps({**sums, "state": state}))
    for name in sorted(names):
        site(name, next(iter(truth.cells)))


@examples(14)
@given(edits=changes, description=st.booleans(), name=st.sampled_from(DRAWING))
def test_figures_of_changed_documents_cause_no_traceback(
    site: Site, truth: Truth, edits: Sequence[Change], description: bool, name: str
) -> None:
    site.mend()
    files = [name for name in site.files if name.startswith("cells/") and name.endswith(".json")]
    for file in ["run.json"] if description else files:
        (site.run / file).write_bytes(changed(site.files[file][0], edits, seal=not description))
    site(name, next(iter(truth.cells)))


# Arrays whose checksums are right


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
@given(edits=some_arrays, name=st.sampled_from(["fidelity", "bands", "maps", "report", "verify"]))
def test_arrays_of_any_shape_cause_no_traceback(
    site: Site, truth: Truth, edits: Any, name: str
) -> None:
    site.mend()
    for cell_id in truth.cells:
        arrays = {**truth.curves[cell_id]}
        for key, (shape, kind, value) in edits.items():
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
