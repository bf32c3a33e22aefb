"""Whatever decides a value is in a digest: a walk through all that a worker imports."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable
from pathlib import Path

import pytest

from distillation_bench.bench.common.paths import PACKAGE, ROOT
from distillation_bench.bench.planning.cache_keys import (
    DATA_CODE,
    DATA_LIBRARIES,
    SETS_CODE,
    TEACHER_CODE,
)
from distillation_bench.bench.planning.cells import CELL_CODE
from distillation_bench.bench.planning.plugins.source_files import closure, file_of, imported
from distillation_bench.datasets import DATASETS
from distillation_bench.datasets.base import Dataset
from distillation_bench.methods import METHODS
from distillation_bench.methods.base import Method

_DECIDE_NOTHING = {
    "bench.training.hardware.bfloat16_speed": "measures what a precision costs",
    "bench.storage.cache": "arrays come back as they were kept, by their sums, or not at all",
    "bench.planning.configuration.config": "what it reads is in identities as values",
    "bench.planning.configuration.preset_files": "what it reads is in identities as values",
    "bench.planning.configuration.option_values": "what it reads is in identities as values",
    "bench.planning.configuration.validation_errors": "what it reads is in identities as values",
    "bench.common.devices": "names devices; the kind is in a teacher's key",
    "bench.planning.configuration.yaml_documents": "reads presets, whose values are in identities",
    "bench.common.errors": "messages",
    "bench.planning.estimates.job_durations": "times",
    "bench.common.files": "writes whole files",
    "bench.common.hashing": "makes identities",
    "bench.planning.plugins.safe_import": "loads code that has an identity of its own",
    "bench.planning.plugins.source_files": "makes identities",
    "bench.planning.plugins.integrity": "refuses code that is not that of its source",
    "bench.common.signals": "ends the program",
    "bench.planning.cache_keys": "makes identities",
    "bench.planning.code_digests": "makes identities",
    "bench.common.locks": "lets one process write at a time",
    "bench.common.paths": "folders",
    "bench.planning.cells": "what it resolves is in identities as values",
    "bench.planning.plugins.loading": "loads code that has an identity of its own",
    "bench.common.text": "texts of messages",
    "bench.execution.executors.process_reuse": "measures memory and gives it back",
    "bench.storage.schema": "limits of what is written",
    "bench.planning.evaluation_sources": "what it finds is in identities as values",
    "bench.execution.workplace": "folders",
    "methods.lazy": "imports",
}
DECIDE_NOTHING = {f"{PACKAGE}.{name}": reason for name, reason in _DECIDE_NOTHING.items()}
"""Modules that a worker imports and whose change makes no value stale, with the reason."""
IMAGE_FILES = f"{PACKAGE}.datasets.image_files"
SETS_ALONE = {
    "distillation_bench.datasets.ood_sets",
    "distillation_bench.datasets.corruptions",
    "distillation_bench.datasets.folder",
    "distillation_bench.datasets.shifts",
}
"""What `bench.training.data` imports for evaluation sets, and not for the splits."""


def files(patterns: Iterable[str]) -> set[Path]:
    return {path.resolve() for pattern in patterns for path in ROOT.glob(pattern)}


def lazily_imported() -> list[str]:
    return re.findall(r'_Lazy\("([a-z_.]+)"\)', (ROOT / "methods/lazy.py").read_text())


def walked(*names: str) -> dict[str, Path]:
    """All that modules import, as names written in calls do, too."""
    roots = {name: file_of(name) for name in (*names, *lazily_imported()) if file_of(name)}
    within = PACKAGE
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
        ("splits", ("distillation_bench.bench.training.data",), DATA_CODE),
        ("sets", ("distillation_bench.bench.training.data",), SETS_CODE),
        (
            "weights",
            (
                "distillation_bench.bench.training.teacher",
                "distillation_bench.bench.execution.worker",
            ),
            (*TEACHER_CODE, *DATA_CODE),
        ),
        (
            "cell",
            ("distillation_bench.bench.execution.worker",),
            (*CELL_CODE, *TEACHER_CODE, *SETS_CODE),
        ),
    ],
)
def test_what_a_worker_imports_is_in_a_digest(
    key: str, roots: tuple[str, ...], code: tuple[str, ...]
) -> None:
    found = walked(*roots)
    excused_rooms = {n for n, path in found.items() if path.name == "__init__.py"}
    excused_rooms |= {n for n in found if ".executors." in n}
    hashed = files(code) | set(own_files(Dataset)) | set(own_files(Method))
    excused = set(DECIDE_NOTHING) | excused_rooms
    if key == "splits":
        excused |= SETS_ALONE
    if key == "weights":
        # What students and their measures need, and no teacher does.
        measures = {name for name in found if file_of(name) in files(CELL_CODE)}
        excused |= SETS_ALONE | measures
    if key in ("splits", "sets"):
        # Only lists of names: arrays are made before any network is.
        excused |= {name for name in found if name.startswith(f"{PACKAGE}.methods.")}
        excused.add(f"{PACKAGE}.bench.planning.recipe")
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
            assert missed <= {*DECIDE_NOTHING, IMAGE_FILES}, f"{name} imports {missed}"


def test_versions_of_the_libraries_that_decide_values_are_in_keys() -> None:
    names = {
        top
        for name, path in walked("distillation_bench.bench.execution.worker").items()
        for top in tops(name, path)
    }
    of = {"PIL": "pillow", "sklearn": "scikit-learn"}
    libraries = {of.get(top, top) for top in names - set(sys.stdlib_module_names)}
    no_value = {"pydantic", "ruamel", "filelock", "safetensors", PACKAGE}
    assert libraries - no_value <= set(DATA_LIBRARIES)


def tops(name: str, path: Path) -> set[str]:
    return {each.partition(".")[0] for each in imported(name, path)}
