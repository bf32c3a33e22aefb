"""Which code decides which values: the digests of code in cache keys and in cells' identities.

A digest covers whole folders, so that new files are included automatically. Files that are left out
are listed with the reason. These digests do not include the file of a single method or dataset: its
class has its own digest, so that an edited method makes only its own cells stale.
"""

from __future__ import annotations

import functools
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from distillation_bench import datasets, methods
from distillation_bench.bench.common.hashing import code_digest, code_files, digest, versions
from distillation_bench.bench.common.paths import PACKAGE
from distillation_bench.bench.metrics.registry import METRICS
from distillation_bench.bench.planning.plugins.integrity import require_source
from distillation_bench.bench.planning.plugins.module_digests import module_digest, plugin_files_of
from distillation_bench.bench.planning.plugins.source_files import is_of_suite
from distillation_bench.methods.base import Method
from distillation_bench.methods.networks import NetworkBuilder, NetworkOptions
from distillation_bench.methods.networks.families import FAMILIES

DATA_LIBRARIES = ("numpy", "pillow", "scikit-learn", "scipy", "torch", "torchvision")
TEACHER_LIBRARIES = ("torch",)
CELL_LIBRARIES = ("numpy", "scikit-learn", "torch")

DECIDES_NO_VALUE: Mapping[str, str] = {
    # Rooms
    "bench/__init__.py": "imports public names",
    "bench/api": "reads arguments, whose values are in identities",
    "bench/cli": "reads options, whose values are in identities",
    "bench/check": "tries plugins before they are used",
    "bench/execution": "decides where and when cells run",
    "bench/planning": "what it decides is in identities as values",
    "bench/storage": "returns what was stored, verified by checksums, or nothing",
    "bench/analysis": "reads records",
    "bench/figures": "reads records",
    "bench/report": "reads records",
    # Files
    "bench/common/__init__.py": "names modules",
    "bench/common/devices.py": "names devices; their kind is in a teacher's key",
    "bench/common/errors.py": "messages",
    "bench/common/files.py": "writes whole files",
    "bench/common/hashing.py": "makes identities",
    "bench/common/locks.py": "lets one process write at a time",
    "bench/common/paths.py": "folders",
    "bench/common/registries.py": "names registries",
    "bench/common/process_memory.py": "measures memory and gives it back",
    "bench/common/program.py": "commands in messages",
    "bench/common/signals.py": "ends the program, and a worker between two epochs",
    "bench/common/terminal_tables.py": "prints tables",
    "bench/common/text.py": "prints messages",
    "bench/metrics/__init__.py": "names modules",
    "bench/metrics/display.py": "how values are printed",
    "bench/training/__init__.py": "names modules",
    "bench/training/cell_result.py": "holds values together",
    "bench/training/evaluation/__init__.py": "names modules",
    "bench/training/hardware/__init__.py": "names modules",
    "bench/training/optimization/__init__.py": "names modules",
    "bench/training/hardware/bfloat16_speed.py": "measures how fast a precision is",
    "bench/training/hardware/environment.py": "describes the machine",
    "bench/training/forecast.py": "measures how long a run takes",
    "methods/__init__.py": "a registry; each class has its own digest",
    "methods/lazy.py": "delays imports",
    "datasets/__init__.py": "a registry; each class has its own digest",
    "datasets/image_files/__init__.py": "names modules",
}
"""Code that no digest covers, with the reason."""


@dataclass(frozen=True)
class CodeScope:
    """The code that decides some values: whole folders, except a few files and folders.

    Attributes:
        paths: folders, and single files of rooms that otherwise decide no value, relative to the
            folder that holds bench, methods and datasets.
        excluded: what this scope leaves out of its folders, each with the reason.
    """

    paths: tuple[str, ...]
    excluded: Mapping[str, str]

    def files(self) -> list[Path]:
        """Return the files that the digest covers."""
        return code_files(self.paths, self._all_excluded())

    def digest(self) -> str:
        """Return one hash of all files."""
        return code_digest(self.paths, self._all_excluded())

    def _all_excluded(self) -> frozenset[str]:
        return frozenset({*DECIDES_NO_VALUE, *self.excluded, *_built_in_files()})


_OTHER_SETS = "makes evaluation sets, not splits"
_NO_TEACHER = "for students alone"

_AFTER_DATA = dict.fromkeys(
    (
        "bench/training/augmentation.py",
        "bench/training/cell.py",
        "bench/training/evaluation",
        "bench/training/hardware",
        "bench/training/optimization",
        "bench/training/student.py",
        "bench/training/teacher.py",
        "bench/training/teacher_cache.py",
        "bench/training/training_inputs.py",
    ),
    "arrays are made before any network",
)
SPLITS = CodeScope(
    paths=("datasets", "bench/training", "bench/common", "bench/storage/formats/tensor_files.py"),
    excluded={
        **_AFTER_DATA,
        "datasets/corruptions.py": _OTHER_SETS,
        "datasets/folder.py": "a dataset, whose class has its own digest",
        "datasets/ood_sets.py": _OTHER_SETS,
        "datasets/shifts.py": _OTHER_SETS,
    },
)
"""The code that makes training and validation splits."""

EVALUATION_SETS = CodeScope(paths=SPLITS.paths, excluded=_AFTER_DATA)
"""The code that makes test sets, including shifted ones, and OOD sets."""

TEACHER = CodeScope(
    paths=("bench/training", "bench/common", "bench/planning/recipe.py", "methods"),
    excluded={
        "bench/training/cell.py": _NO_TEACHER,
        "bench/training/evaluation": "measures what was trained",
        "bench/training/student.py": _NO_TEACHER,
        "methods/base.py": _NO_TEACHER,
        "methods/credal_entropy.py": _NO_TEACHER,
        "methods/dirichlets.py": _NO_TEACHER,
        "methods/networks/frozen.py": _NO_TEACHER,
        "methods/networks/rescaled.py": _NO_TEACHER,
        "methods/networks/two_heads.py": _NO_TEACHER,
        "methods/networks/batch_ensemble.py": _NO_TEACHER,
        "methods/perturbations.py": _NO_TEACHER,
        "methods/factor_model.py": _NO_TEACHER,
        "methods/networks/noisy_network.py": _NO_TEACHER,
        "methods/sample_distances.py": _NO_TEACHER,
        "methods/schedules.py": _NO_TEACHER,
    },
)
"""The code that trains teachers and computes their outputs."""

CELL = CodeScope(paths=(*TEACHER.paths, "bench/metrics"), excluded={})
"""The code that trains and measures students, besides the files of methods and plugins."""

PROTOCOL = CodeScope(
    paths=(
        "bench/training/evaluation",
        "bench/metrics",
        "methods/credal_entropy.py",
        "methods/predictions.py",
    ),
    excluded={},
)
"""The code that measures; values of different protocols are not compared."""

DECODER = CodeScope(
    paths=("datasets/image_files",),
    excluded={
        "datasets/image_files/class_folders.py": "finds files",
        "datasets/image_files/duplicates.py": "compares decoded images",
        "datasets/image_files/image_dataset.py": "makes splits of decoded images",
        "datasets/image_files/folder_listing.py": "finds files",
        "datasets/image_files/read_errors.py": "error messages",
        "datasets/image_files/torchvision_import.py": "reads files of other formats",
    },
)
"""The code that decodes image files."""


@functools.cache
def _built_in_files() -> frozenset[str]:
    """Return the files of single methods and datasets, whose classes have their own digests.

    Plugins are not included, so that keys of built-in datasets do not depend on them.
    """
    modules = {cls.__module__ for cls in (*methods.BUILT_IN, *datasets.BUILT_IN)}
    names = (module.removeprefix(f"{PACKAGE}.") for module in modules)
    return frozenset(f"{name.replace('.', '/')}.py" for name in names)


# Digests of what a cell is made by


@functools.cache
def cell_code(method: type[Method], task: str) -> str:
    """Return a hash of the code and libraries that a method's cells of a task are computed by.

    Raises:
        UsageError: as `class_code`.
    """
    return digest(
        {
            "engine": CELL.digest(),
            "versions": versions(*CELL_LIBRARIES),
            "method": class_code(method, Method),
            "metrics": _metrics_code(task),
        }
    )


def network_code(family: str) -> str:
    """Return a hash of the code of a plugin's networks; empty for those of this suite.

    These are in the digest `TEACHER`.

    Raises:
        UsageError: as `class_code`.
    """
    networks = FAMILIES[family]
    if is_of_suite(networks.module):
        return ""
    builder, options = networks.builder(), networks.options
    return digest([class_code(builder, NetworkBuilder), class_code(options, NetworkOptions)])


@functools.cache
def protocol_code(task: str) -> str:
    """Return a hash of the code that measures values of a task, 32 hexadecimal digits."""
    return digest({"engine": PROTOCOL.digest(), "metrics": _metrics_code(task)})[:32]


def forget_plugins() -> None:
    """Forget digests that depend on what plugins had registered."""
    cell_code.cache_clear()
    protocol_code.cache_clear()


def _metrics_code(task: str) -> str:
    metrics = [metric for metric in METRICS.values() if metric.applies(task)]
    return _modules_code(metric.function.__module__ for metric in metrics)


@functools.cache
def class_code(cls: type, base: type) -> str:
    """Return a hash of the files of a class and of its ancestors below a base.

    Raises:
        UsageError: a function of the class is not the one in its source.
    """
    require_source(cls, base, plugin_files_of(cls.__module__))
    ancestors = [parent for parent in cls.__mro__ if issubclass(parent, base)]
    return _modules_code(parent.__module__ for parent in ancestors if parent is not base)


def _modules_code(modules: Iterable[str]) -> str:
    """Return one hash of the code of modules, whatever their order."""
    return digest(sorted({module_digest(module) for module in modules}))
