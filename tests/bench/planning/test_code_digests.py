"""Code that decides a value is in a digest; editing it makes the values stale."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from tests.datasets.dataset_files import write_classes

from distillation_bench.bench.common import hashing
from distillation_bench.bench.common.hashing import code_digest, file_digest
from distillation_bench.bench.common.paths import FOLDERS, PACKAGE, ROOT
from distillation_bench.bench.planning import cells as planning
from distillation_bench.bench.planning import code_digests
from distillation_bench.bench.planning.cache_keys import Planner
from distillation_bench.bench.planning.cells import Cell, make_cells
from distillation_bench.bench.planning.code_digests import (
    CELL,
    CELL_LIBRARIES,
    DATA_LIBRARIES,
    DECIDES_NO_VALUE,
    DECODER,
    EVALUATION_SETS,
    PROTOCOL,
    SPLITS,
    TEACHER,
    TEACHER_LIBRARIES,
    CodeScope,
)
from distillation_bench.bench.planning.configuration.config import Config, Variant
from distillation_bench.bench.planning.plugins import module_digests
from distillation_bench.bench.planning.plugins.source_files import (
    file_of,
    import_closure,
    imported_modules,
)
from distillation_bench.datasets import DATASETS
from distillation_bench.datasets.base import Dataset
from distillation_bench.datasets.folder import folder_dataset
from distillation_bench.methods import METHODS
from distillation_bench.methods.base import Method
from distillation_bench.methods.kd import KD

SCOPES = {
    "SPLITS": SPLITS,
    "EVALUATION_SETS": EVALUATION_SETS,
    "TEACHER": TEACHER,
    "CELL": CELL,
    "PROTOCOL": PROTOCOL,
    "DECODER": DECODER,
}
MODULES = sorted(
    path.relative_to(ROOT).as_posix()
    for folder in FOLDERS
    for path in (ROOT / folder).rglob("*.py")
)

# What becomes stale after an edit

STALE: dict[str, str] = {
    # What becomes stale, by path; the longest path that matches a file counts.
    "bench": "",
    "bench/common/random_streams.py": "splits sets weights outputs cells",
    "bench/metrics": "cells protocol",
    "bench/metrics/__init__.py": "",
    "bench/metrics/display.py": "",
    "bench/planning/recipe.py": "weights outputs cells",
    "bench/storage/formats/tensor_files.py": "splits sets weights outputs cells",
    "bench/training": "weights outputs cells",
    "bench/training/__init__.py": "",
    "bench/training/cell.py": "cells",
    "bench/training/cell_result.py": "",
    "bench/training/data.py": "splits sets weights outputs cells",
    "bench/training/data_preparation.py": "splits sets weights outputs cells",
    "bench/training/evaluation": "cells protocol",
    "bench/training/evaluation/__init__.py": "",
    "bench/training/hardware/__init__.py": "",
    "bench/training/hardware/bfloat16_speed.py": "",
    "bench/training/hardware/environment.py": "",
    "bench/training/optimization/__init__.py": "",
    "bench/training/forecast.py": "",
    "bench/training/student.py": "cells",
    "methods": "weights outputs cells",
    "methods/__init__.py": "",
    "methods/base.py": "cells",
    "methods/credal_entropy.py": "cells protocol",
    "methods/dirichlets.py": "cells",
    "methods/lazy.py": "",
    "methods/networks/batch_ensemble.py": "cells",
    "methods/networks/frozen.py": "cells",
    "methods/networks/rescaled.py": "cells",
    "methods/networks/two_heads.py": "cells",
    "methods/perturbations.py": "cells",
    "methods/predictions.py": "weights outputs cells protocol",
    "methods/factor_model.py": "cells",
    "methods/networks/noisy_network.py": "cells",
    "methods/sample_distances.py": "cells",
    "methods/schedules.py": "cells",
    "datasets": "splits sets weights outputs cells",
    "datasets/__init__.py": "",
    "datasets/corruptions.py": "sets outputs cells",
    "datasets/folder.py": "sets outputs cells",
    "datasets/image_files/__init__.py": "",
    "datasets/ood_sets.py": "sets outputs cells",
    "datasets/shifts.py": "sets outputs cells",
}
METHOD_FILES = {
    "methods/be_kd.py": {"be-kd"},
    "methods/ced.py": {"ced"},
    "methods/dlf.py": {"dlf"},
    "methods/edfm.py": {"edfm"},
    "methods/endd.py": {"endd"},
    "methods/ensemble.py": {"ensemble"},
    "methods/fed.py": {"fed"},
    "methods/gauss.py": {"gauss"},
    "methods/h2d.py": {"h2d"},
    "methods/hydra.py": {"hydra"},
    "methods/hydra_plus.py": {"hydra+"},
    "methods/kd.py": {"kd", "kd-uncertainty", "edfm"},
    "methods/kd_uncertainty.py": {"kd-uncertainty"},
    "methods/latent_be.py": {"latent-be"},
    "methods/logit_gaussian.py": {"logit-gaussian"},
    "methods/mc_dropout.py": {"mc-dropout"},
    "methods/proxy_endd.py": {"proxy-endd"},
    "methods/single.py": {"single", "temperature"},
    "methods/small_ensemble.py": {"small-ensemble"},
    "methods/sub_ensemble.py": {"sub-ensemble"},
    "methods/temperature.py": {"temperature"},
}
"""The methods whose cells become stale, and no other's."""
DATASET_FILES = {
    "datasets/cifar.py": {"cifar10", "cifar100"},
    "datasets/digits.py": {"digits", "digits-0-7"},
    "datasets/folder.py": {"folder"},
    "datasets/mnist.py": {"mnist", "fashion-mnist", "kmnist", "emnist-letters"},
    "datasets/sine.py": {"sine", "sine-gap"},
    "datasets/spiral.py": {"spiral"},
    "datasets/svhn.py": {"svhn"},
}
"""The datasets whose splits and all that is made from them become stale."""


@dataclass(frozen=True)
class Keys:
    """The keys of a dataset and of a method's cell, in the cache and in runs."""

    splits: str
    sets: str
    weights: str
    outputs: str
    cells: str
    protocol: str

    def stale(self, edited: Keys) -> set[str]:
        return {name for name, key in vars(self).items() if vars(edited)[name] != key}


Plan = Callable[[], dict[tuple[str, str], Keys]]


@pytest.fixture(scope="module")
def plan(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Plan]:
    """The keys of every built-in dataset with every method, whether its files are there or not."""
    folder = tmp_path_factory.mktemp("images")
    write_classes(folder)
    names = [*DATASETS, f"folder:{folder}"]
    config = Config(
        datasets=tuple(names),
        variants=tuple(Variant(name, location="here") for name in METHODS),
        seeds=(0,),
        recipe={},
        recipes={},
        locations={},
    )

    def keys() -> dict[tuple[str, str], Keys]:
        forget()
        cells = make_cells(config, folder)
        return {(cell.dataset.partition(":")[0], cell.method): keys_of(cell) for cell in cells}

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(planning, "_check_files", lambda *_: None)
        patch.setattr(Planner, "_identity", lambda self, dataset: dataset.name)
        yield keys
    forget()
    folder_dataset.cache_clear()


def keys_of(cell: Cell) -> Keys:
    teacher = cell.teacher
    data = teacher.data
    outputs = (teacher.key, teacher.outputs_key)
    return Keys(data.splits_key, data.sets_key, *outputs, cell.id, cell.protocol)


def forget() -> None:
    """Clear the caches of digests."""
    cached = (code_digests.cell_code, code_digests.protocol_code, code_digests.class_code)
    for function in (code_digest, *cached):
        function.cache_clear()


@pytest.fixture(scope="module")
def unedited(plan: Plan) -> dict[tuple[str, str], Keys]:
    return plan()


def edit(path: str, patch: pytest.MonkeyPatch) -> None:
    """Replace the digest of a file, as an edit would."""
    original, file = file_digest, ROOT / path

    def digest_of(path: Path) -> str:
        return "edited" if path == file else original(path)

    patch.setattr(hashing, "file_digest", digest_of)
    patch.setattr(module_digests, "file_digest", digest_of)


@pytest.mark.parametrize("path", MODULES)
def test_editing_a_module_makes_the_values_that_it_decides_stale(
    path: str,
    plan: Plan,
    unedited: dict[tuple[str, str], Keys],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    edit(path, monkeypatch)
    keys = plan()
    monkeypatch.undo()
    stale = {cell: unedited[cell].stale(keys[cell]) for cell in unedited}
    assert stale == {cell: expected(path, *cell) for cell in unedited}


def expected(path: str, dataset: str, method: str) -> set[str]:
    if dataset in DATASET_FILES.get(path, ()):
        return {"splits", "sets", "weights", "outputs", "cells"}
    if path in METHOD_FILES:
        return {"cells"} if method in METHOD_FILES[path] else set()
    if path in DATASET_FILES and path not in STALE:
        return set()
    parents = [path, *(parent.as_posix() for parent in Path(path).parents)]
    return set(next(STALE[parent] for parent in parents if parent in STALE).split())


def test_paths_of_the_table_exist() -> None:
    for path in (*STALE, *METHOD_FILES, *DATASET_FILES):
        assert (ROOT / path).exists(), path


def test_every_method_and_dataset_is_in_the_table() -> None:
    assert set().union(*METHOD_FILES.values()) == set(METHODS)
    assert set().union(*DATASET_FILES.values()) == {*DATASETS, "folder"}


def test_a_new_file_of_a_room_is_in_its_digests(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hashing, "ROOT", tmp_path)
    for path in ("bench/training/new.py", "bench/training/evaluation/new.py", "methods/new.py"):
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text("X = 1")
    scope = CodeScope(("bench/training", "methods"), {"bench/training/evaluation": "measures"})
    files = [path.relative_to(tmp_path).as_posix() for path in scope.files()]
    assert files == ["bench/training/new.py", "methods/new.py"]
    with pytest.raises(FileNotFoundError, match="bench/metrics"):
        CodeScope(("bench/metrics",), {}).files()


def test_a_plugin_does_not_change_which_files_are_in_digests(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its class may be of a module of this suite, such as that of a folder of images."""
    write_classes(tmp_path)
    before = {name: scope.files() for name, scope in SCOPES.items()}
    monkeypatch.setitem(DATASETS, "mine", folder_dataset(f"folder:{tmp_path}"))
    monkeypatch.setitem(METHODS, "mine", type("Mine", (KD,), {"__module__": Method.__module__}))
    code_digests._built_in_files.cache_clear()
    assert {name: scope.files() for name, scope in SCOPES.items()} == before


@pytest.mark.parametrize("name", SCOPES)
def test_excluded_paths_exist_and_have_a_reason(name: str) -> None:
    scope = SCOPES[name]
    for path, reason in {**DECIDES_NO_VALUE, **scope.excluded}.items():
        assert (ROOT / path).exists() and reason, path
    for path in scope.excluded:
        assert any(Path(path).is_relative_to(folder) for folder in scope.paths), path
        assert path not in DECIDES_NO_VALUE, path


# What a worker imports


def covered(*scopes: CodeScope) -> set[Path]:
    return {path.resolve() for scope in scopes for path in scope.files()}


def excused(paths: dict[str, Path], *scopes: CodeScope) -> set[str]:
    """Return the modules that are excluded from all digests or from these, with a reason."""
    reasons = set(DECIDES_NO_VALUE).union(*(scope.excluded for scope in scopes))
    folders = [(ROOT / path).resolve() for path in reasons]
    return {name for name, path in paths.items() if any(path.is_relative_to(f) for f in folders)}


def lazily_imported() -> list[str]:
    return re.findall(r'_Lazy\("([a-z_.]+)"\)', (ROOT / "methods/lazy.py").read_text())


def walked(*names: str) -> dict[str, Path]:
    """Return the files of all imported modules, also those imported within functions."""
    roots = {name: file_of(name) for name in (*names, *lazily_imported()) if file_of(name)}
    return import_closure({name: path for name, path in roots.items() if path and _is_own(name)})


def _is_own(name: str) -> bool:
    return name.startswith(PACKAGE)


def own_files(base: type) -> dict[Path, str]:
    """Return the files of all built-in datasets or methods, whose classes have own digests."""
    registry = DATASETS if base is Dataset else METHODS
    classes = {parent for cls in registry.values() for parent in cls.__mro__}
    modules = {cls.__module__ for cls in classes if issubclass(cls, base) and cls is not base}
    return {file: name for name in modules if (file := file_of(name))}


DATA = f"{PACKAGE}.bench.training.data"
WORKER = f"{PACKAGE}.bench.execution.worker"
TRAINING = f"{PACKAGE}.bench.training.teacher"


@pytest.mark.parametrize(
    ("roots", "scopes"),
    [
        ((DATA,), (SPLITS,)),
        ((DATA,), (EVALUATION_SETS,)),
        ((TRAINING, WORKER), (TEACHER, SPLITS)),
        ((WORKER,), (CELL, TEACHER, EVALUATION_SETS)),
    ],
    ids=["splits", "sets", "weights", "cell"],
)
def test_every_module_that_a_worker_imports_is_in_a_digest(
    roots: tuple[str, ...], scopes: tuple[CodeScope, ...]
) -> None:
    modules = walked(*roots)
    hashed = covered(*scopes) | set(own_files(Dataset)) | set(own_files(Method))
    reasons = excused(modules, *scopes)
    if TEACHER in scopes and CELL not in scopes:
        # Needed by students and evaluation, not by teachers.
        reasons |= {name for name, path in modules.items() if path in covered(CELL)}
    if TEACHER not in scopes:
        # Only names are taken from them: arrays are made before any network.
        reasons |= {name for name in modules if name.startswith(f"{PACKAGE}.methods.")}
        # Only the metrics' names and code are used, for identities.
        reasons |= {name for name in modules if name.startswith(f"{PACKAGE}.bench.metrics")}
    missed = {name for name, path in modules.items() if path not in hashed} - reasons
    assert not missed, f"in no digest: {', '.join(sorted(missed))}"


def test_excluded_code_is_in_no_digest() -> None:
    files = [ROOT / path for path in DECIDES_NO_VALUE if path.endswith(".py")]
    assert not covered(CELL, TEACHER, EVALUATION_SETS) & {path.resolve() for path in files}


def test_built_in_methods_and_datasets_import_only_code_with_a_digest() -> None:
    hashed = covered(CELL, TEACHER, EVALUATION_SETS)
    for base in (Method, Dataset):
        own = own_files(base)
        for path, name in own.items():
            imports = import_closure({name: path})
            missed = {n for n, p in imports.items() if p not in hashed and p not in own}
            assert not missed - excused(imports), f"{name} imports {missed}"


def test_no_method_imports_the_file_of_another_registered_method() -> None:
    """Functions that methods share belong in a file without a registered method."""
    files = own_files(Method)
    for cls in METHODS.values():
        module = cls.__module__
        ancestors = {parent.__module__ for parent in cls.__mro__}
        closure = import_closure({module: Path(str(sys.modules[module].__file__)).resolve()})
        imported_methods = {name for name, path in closure.items() if path in files} - ancestors
        assert not imported_methods, f"{module} imports {imported_methods}"


def test_versions_of_the_libraries_that_decide_values_are_in_keys() -> None:
    names = {top for name, path in walked(WORKER).items() for top in tops(name, path)}
    of = {"PIL": "pillow", "sklearn": "scikit-learn"}
    libraries = {of.get(top, top) for top in names - set(sys.stdlib_module_names)}
    no_value = {"pydantic", "ruamel", "filelock", "safetensors", PACKAGE}
    assert libraries - no_value <= set(DATA_LIBRARIES)
    assert {"torch"} <= {*TEACHER_LIBRARIES} <= {*CELL_LIBRARIES} <= {*DATA_LIBRARIES}


def tops(name: str, path: Path) -> set[str]:
    return {module.partition(".")[0] for module in imported_modules(name, path)}
