"""A plugin that imports this suite by an old name gets an error with the new name."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from tests.bench.planning.plugins.plugin_files import Mistake, as_in_another_process, write

from distillation_bench.bench.common.paths import FOLDERS, PACKAGE, ROOT
from distillation_bench.bench.planning.plugins import old_names
from distillation_bench.bench.planning.plugins.loading import load_planned, load_plugins

LIBRARY = "LIBRARY = True\n"
USES_LIBRARY = "import datasets\nassert datasets.LIBRARY\n"
OLD = {
    "from methods import register": "methods",
    "from methods.kd import KD": "methods",
    "import bench.metrics": "bench",
    "from datasets import Dataset": "datasets",
    "def f():\n    import datasets": "datasets",
    "try:\n    from methods import register\nfinally:\n    pass": "methods",
    "try:\n    from methods import register\nexcept KeyError:\n    pass": "methods",
}
OPTIONAL = [
    "try:\n    import datasets\nexcept ImportError:\n    datasets = None",
    "try:\n    import datasets\nexcept (KeyError, ModuleNotFoundError):\n    datasets = None",
    "try:\n    import datasets\nexcept:\n    datasets = None",
    "def f():\n    try:\n        import datasets\n    except Exception:\n        pass",
]
LACKING = {
    "from datasets import register": "cannot import name 'register'",
    "import datasets\ndatasets.register": "has no attribute 'register'",
    "import datasets.base": "No module named 'datasets.base'",
}


@pytest.fixture
def library(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Install a library named `datasets`."""
    write(tmp_path / "site-packages/datasets/__init__.py", LIBRARY)
    monkeypatch.syspath_prepend(tmp_path / "site-packages")


@pytest.fixture
def clone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Put the folder of a clone on the path, as when Python is started in it."""
    for name in FOLDERS:
        write(tmp_path / "clone" / name / "__init__.py", "")
    monkeypatch.setattr(old_names, "ROOT", tmp_path / "clone")
    # Without the clone of these tests.
    folders = [folder for folder in sys.path if Path(folder).resolve() != ROOT]
    monkeypatch.setattr(sys, "path", [str(tmp_path / "clone"), *folders])
    return tmp_path / "clone"


@pytest.mark.parametrize("text", OLD)
def test_the_error_for_an_old_name_has_the_new_name(
    text: str, tmp_path: Path, mistake: Mistake
) -> None:
    path = write(tmp_path / "my.py", text)
    expected = f"{path}: imports {OLD[text]}, which is now {PACKAGE}.{OLD[text]}"
    assert mistake(load_plugins, [path]) == expected


def test_the_file_that_imports_it_is_named(tmp_path: Path, mistake: Mistake) -> None:
    path = write(tmp_path / "my.py", "import my_helper")
    helper = write(tmp_path / "my_helper.py", "import bench")
    assert mistake(load_plugins, [path]).startswith(f"{helper}: imports bench, which is now ")


@pytest.mark.parametrize("text", OPTIONAL)
def test_an_import_whose_failure_is_handled_is_not_refused(text: str, tmp_path: Path) -> None:
    load_plugins([write(tmp_path / "optional.py", text)])


@pytest.mark.usefixtures("library")
def test_a_library_of_that_name_is_imported(tmp_path: Path) -> None:
    load_plugins([write(tmp_path / "my.py", USES_LIBRARY)])


@pytest.mark.usefixtures("library")
@pytest.mark.parametrize("text", LACKING)
def test_a_name_that_the_library_lacks_is_answered_with_the_new_name(
    text: str, tmp_path: Path, mistake: Mistake
) -> None:
    path = write(tmp_path / "my.py", text)
    message = mistake(load_plugins, [path])
    assert message.startswith(f"{path}:") and LACKING[text] in message
    assert message.endswith(f"; this suite's is {PACKAGE}.datasets")


@pytest.mark.usefixtures("library")
def test_a_plugin_in_a_clone_imports_the_library(clone: Path) -> None:
    path = write(clone / "my.py", USES_LIBRARY)
    (plugin,) = load_plugins([path])
    assert [file.path for file in plugin.own_files] == [path]
    # In a worker, too, whose path is the same.
    as_in_another_process(clone)
    sys.modules.pop("datasets")
    sys.path.insert(0, str(clone))
    load_planned([plugin])
    assert sys.modules["datasets"].LIBRARY


def test_a_plugin_in_a_clone_without_the_library_gets_the_new_name(
    clone: Path, mistake: Mistake
) -> None:
    path = write(clone / "my.py", USES_LIBRARY)
    expected = f"{path}: imports datasets, which is now {PACKAGE}.datasets"
    assert mistake(load_plugins, [path]) == expected


def test_a_plugins_own_module_of_that_name_is_imported(tmp_path: Path) -> None:
    write(tmp_path / "methods.py", "X = 1")
    load_plugins([write(tmp_path / "my.py", "from methods import X")])
