"""Whatever decides a value is in a digest: a walk through all that a worker imports."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable
from pathlib import Path

import pytest

from bench.imports import closure, file_of, imported
from bench.keys import DATA_CODE, DATA_LIBRARIES, SETS_CODE, TEACHER_CODE
from bench.places import ROOT
from bench.plan import CELL_CODE
from datasets import DATASETS
from datasets.base import Dataset
from methods import METHODS
from methods.base import Method

DECIDE_NOTHING = {
    "bench.bfloat16": "measures what a precision costs",
    "bench.cache": "arrays come back as they were kept, which their sums tell, or not at all",
    "bench.config": "what it reads is in identities as values",
    "bench.devices": "names devices; the kind is in a teacher's key",
    "bench.documents": "reads presets, whose values are in identities",
    "bench.errors": "messages",
    "bench.estimate": "times",
    "bench.files": "writes whole files",
    "bench.fingerprint": "makes identities",
    "bench.importing": "loads code that has an identity of its own",
    "bench.imports": "makes identities",
    "bench.integrity": "refuses code that is not that of its source",
    "bench.interruption": "ends the program",
    "bench.keys": "makes identities",
    "bench.locks": "lets one process write at a time",
    "bench.places": "folders",
    "bench.plan": "what it resolves is in identities as values",
    "bench.plugins": "loads code that has an identity of its own",
    "bench.printable": "texts of messages",
    "bench.reuse": "measures memory and gives it back",
    "bench.schema": "limits of what is written",
    "bench.sources": "what it finds is in identities as values",
    "bench.termination": "ends a process between two epochs",
    "bench.workplace": "folders",
    "methods.lazy": "imports",
}
"""Modules that a worker imports and whose change makes no value stale, with the reason."""
SETS_ALONE = {"datasets.ood", "datasets.corruptions", "datasets.folder", "datasets.shifts"}
"""What `bench.data` imports for evaluation sets, and not for the splits."""


def files(patterns: Iterable[str]) -> set[Path]:
    return {path.resolve() for pattern in patterns for path in ROOT.glob(pattern)}


def lazily_imported() -> list[str]:
    return re.findall(r'_Lazy\("([a-z_.]+)"\)', (ROOT / "methods/lazy.py").read_text())


def walked(*names: str) -> dict[str, Path]:
    """All that modules import, as names written in calls do, too."""
    roots = {name: file_of(name) for name in (*names, *lazily_imported()) if file_of(name)}
    within = ("bench.", "methods.", "datasets.")
    return closure({name: path for name, path in roots.items() if path and name.startswith(within)})


def own_files(base: type) -> dict[Path, str]:
    """The files of all datasets or methods that are built in, which have digests of their own."""
    registry = DATASETS if base is Dataset else METHODS
    classes = {each for cls in registry.values() for each in cls.__mro__}
    modules = {each.__module__ for each in classes if issubclass(each, base) and each is not base}
    return {file: name for name in modules if (file := file_of(name))}


@pytest.mark.parametrize(
    ("key", "roots", "code"),
    [
        ("splits", ("bench.data",), DATA_CODE),
        ("sets", ("bench.data",), SETS_CODE),
        ("weights", ("bench.teacher", "bench.worker"), (*TEACHER_CODE, *DATA_CODE)),
        ("cell", ("bench.worker",), (*CELL_CODE, *TEACHER_CODE, *SETS_CODE)),
    ],
)
def test_what_a_worker_imports_is_in_a_digest(
    key: str, roots: tuple[str, ...], code: tuple[str, ...]
) -> None:
    found = walked(*roots)
    hashed = files(code) | set(own_files(Dataset)) | set(own_files(Method))
    excused = set(DECIDE_NOTHING)
    if key == "splits":
        excused |= SETS_ALONE
    if key == "weights":
        # What students and their measures need, and no teacher does.
        measures = {name for name in found if file_of(name) in files(CELL_CODE)}
        excused |= SETS_ALONE | measures
    if key in ("splits", "sets"):
        # Only lists of names: arrays are made before any network is.
        excused |= {name for name in found if name.startswith("methods.")} | {"bench.recipe"}
    missed = {name for name, path in found.items() if path not in hashed} - excused
    assert not missed, f"in no digest of {key}: {', '.join(sorted(missed))}"


def test_what_is_in_a_digest_needs_no_excuse() -> None:
    hashed = files([*CELL_CODE, *TEACHER_CODE, *SETS_CODE])
    assert not [name for name in DECIDE_NOTHING if file_of(name) in hashed]


def test_built_in_methods_and_datasets_import_what_has_a_digest() -> None:
    hashed = files([*CELL_CODE, *TEACHER_CODE, *SETS_CODE])
    for base in (Method, Dataset):
        own = own_files(base)
        for path, name in own.items():
            others = closure({name: path})
            missed = {n for n, p in others.items() if p not in hashed and p not in own}
            assert missed <= set(DECIDE_NOTHING), f"{name} imports {missed}"


def test_versions_of_the_libraries_that_decide_values_are_in_keys() -> None:
    names = {top for name, path in walked("bench.worker").items() for top in tops(name, path)}
    of = {"PIL": "pillow", "sklearn": "scikit-learn"}
    libraries = {of.get(top, top) for top in names - set(sys.stdlib_module_names)}
    no_value = {"pydantic", "ruamel", "filelock", "safetensors", "bench", "methods", "datasets"}
    assert libraries - no_value <= set(DATA_LIBRARIES)


def tops(name: str, path: Path) -> set[str]:
    return {each.partition(".")[0] for each in imported(name, path)}
