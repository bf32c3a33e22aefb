"""All files of a plugin are part of its digest and are sent to clusters."""

from __future__ import annotations

import sys
from pathlib import Path
from types import ModuleType

import pytest
from tests.bench.planning.plugins.plugin_files import (
    Mistake,
    as_in_another_process,
    code_of,
    installed_as,
    twin,
    write,
)

from distillation_bench.bench.common.hashing import file_digest
from distillation_bench.bench.common.paths import ROOT
from distillation_bench.bench.planning.plugins import module_digests, plugin_files
from distillation_bench.bench.planning.plugins.installed_plugins import (
    installed_digest,
    load_installed,
)
from distillation_bench.bench.planning.plugins.loading import (
    ChangedPlugin,
    load_planned,
    load_plugins,
)
from distillation_bench.bench.planning.plugins.plugin_files import plugin_path
from distillation_bench.methods import METHODS

LAYOUTS: dict[str, tuple[dict[str, str], str, str]] = {
    # files; the argument of --plugin; the file that decides a value
    "a neighbour": (
        {"a/one.py": twin("m", "import helper_a"), "a/helper_a.py": "X = 1"},
        "a/one.py",
        "a/helper_a.py",
    ),
    "a neighbour's neighbour": (
        {
            "a/one.py": twin("m", "from helper_b import y"),
            "a/helper_b.py": "import deep_b\ny = 1",
            "a/deep_b.py": "X = 1",
        },
        "a/one.py",
        "a/deep_b.py",
    ),
    "an import in a function": (
        {"a/one.py": twin("m", within="import helper_c"), "a/helper_c.py": "X = 1"},
        "a/one.py",
        "a/helper_c.py",
    ),
    "an import by a computed name": (
        {
            "a/one.py": twin("m", "import importlib\nimportlib.import_module('helper' + '_d')"),
            "a/helper_d.py": "X = 1",
        },
        "a/one.py",
        "a/helper_d.py",
    ),
    "a folder": (
        {"b/one.py": twin("m", "import helper_e"), "b/helper_e.py": "X = 1"},
        "b",
        "b/helper_e.py",
    ),
    "files of a folder import one another": (
        {"b/one_f.py": twin("m"), "b/two_f.py": twin("n", "from one_f import m as Base")},
        "b",
        "b/one_f.py",
    ),
    "a package": (
        {
            "my_package/__init__.py": "from . import one",
            "my_package/one.py": twin("m", "from .sub.helpers import f"),
            "my_package/sub/__init__.py": "",
            "my_package/sub/helpers.py": "def f(): return 1",
        },
        "my_package",
        "my_package/sub/helpers.py",
    ),
    "a package whose init is empty": (
        {"my_empty/__init__.py": "", "my_empty/one.py": twin("m", "import my_empty.help")}
        | {"my_empty/help.py": "X = 1"},
        "my_empty",
        "my_empty/help.py",
    ),
    "a file in a package": (
        {"my_part/__init__.py": "", "my_part/one.py": twin("m", within="from . import help")}
        | {"my_part/help.py": "X = 1"},
        "my_part/one.py",
        "my_part/help.py",
    ),
    "a namespace": (
        {"c/one.py": twin("m", "import space_g.help"), "c/space_g/help.py": "X = 1"},
        "c/one.py",
        "c/space_g/help.py",
    ),
}


@pytest.mark.parametrize("layout", LAYOUTS)
def test_every_file_of_a_plugin_is_in_its_digest(layout: str, tmp_path: Path) -> None:
    files, named, deciding = LAYOUTS[layout]
    for name, text in files.items():
        write(tmp_path / name, text)
    path = plugin_path(str(tmp_path / named))
    (first,) = load_plugins([path])
    before = code_of("m")
    assert {file.path for file in first.own_files} == {str(tmp_path / name) for name in files}
    # Comments and layout are not in the digest.
    write(tmp_path / deciding, f"# a comment\n{files[deciding]}\n")
    as_in_another_process(tmp_path)
    load_planned([first])
    assert code_of("m") == before
    write(tmp_path / deciding, f"{files[deciding]}\nX = 2\n")
    as_in_another_process(tmp_path)
    with pytest.raises(ChangedPlugin, match=f"{Path(deciding).name} was changed during the run"):
        load_planned([first])
    load_plugins([path])
    assert code_of("m") != before


def test_the_program_is_no_file_of_a_plugin(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Libraries that a plugin imports enter it a second time, as __mp_main__."""
    program = ModuleType("__main__")
    program.__file__ = write(tmp_path / "program.py", "")
    monkeypatch.setitem(sys.modules, "__main__", program)
    text = "import sys\nsys.modules['again'] = sys.modules['__main__']\n"
    (plugin,) = load_plugins([write(tmp_path / "plugin.py", text)])
    assert [Path(file.path).name for file in plugin.files] == ["plugin.py"]


@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_plugin_that_is_copied_elsewhere_has_the_same_digest(layout: str, tmp_path: Path) -> None:
    files, named, _ = LAYOUTS[layout]
    for name, text in files.items():
        write(tmp_path / "source" / name, text)
    (plugin,) = load_plugins([plugin_path(str(tmp_path / "source" / named))])
    moved = plugin.moved_to(tmp_path / "target")
    for sent, arrived in zip(plugin.own_files, moved.own_files, strict=True):
        write(Path(arrived.path), Path(sent.path).read_text())
    assert moved.digest == plugin.digest
    as_in_another_process(tmp_path)
    # Even if the files that it was copied from can be imported too.
    sys.path.append(plugin.folder)
    load_planned([moved])
    file = sys.modules[METHODS["m"].__module__].__file__
    assert file is not None and file.startswith(str(tmp_path / "target"))


def test_modules_of_the_same_name_in_two_folders_are_refused(
    tmp_path: Path, mistake: Mistake
) -> None:
    write(tmp_path / "a/helper_h.py", "X = 1")
    write(tmp_path / "b/helper_h.py", "X = 2")
    load_plugins([write(tmp_path / "a/one.py", "import helper_h")])
    second = write(tmp_path / "b/two.py", "import helper_h")
    assert f"{second}: imports helper_h, which is {tmp_path / 'a/helper_h.py'}; rename " in mistake(
        load_plugins, [second]
    )
    write(tmp_path / "c/random.py", "X = 1")
    path = write(tmp_path / "c/three.py", "import random")
    assert f"{path}: imports random, which is " in mistake(load_plugins, [path])
    # Files of one name in several folders are different plugins, and so is an edited file.
    load_plugins([write(tmp_path / folder / "same.py", f"X = '{folder}'") for folder in "abcd"])
    file_digest.cache_clear()
    load_plugins([write(tmp_path / folder / "same.py", f"X = 2 * '{folder}'") for folder in "abcd"])


def test_a_folder_without_a_python_file_is_refused(tmp_path: Path, mistake: Mistake) -> None:
    assert "a folder without a Python file" in mistake(plugin_path, str(tmp_path))


def test_version_and_files_of_an_installed_plugin_are_in_its_digest(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    site = tmp_path / "site-packages"
    write(site / "entry_whole/__init__.py", "from entry_whole import one")
    write(site / "entry_whole/one.py", twin("m"))
    module = write(site / "entry_whole/rest.py", "X = 1")
    monkeypatch.syspath_prepend(site)
    codes = []
    for version, text in (("1", "X = 1"), ("2", "X = 1"), ("2", "X = 2")):
        write(Path(module), text)
        file_digest.cache_clear()
        installed_as(monkeypatch, "entry_whole", version)
        load_installed()
        codes.append(code_of("m"))
    assert len(set(codes)) == 3


def test_code_without_a_file_is_refused(mistake: Mistake) -> None:
    assert "it has no source file" in mistake(module_digests.module_digest, "sys")


def test_hidden_files_beside_a_plugin_are_no_part_of_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(tmp_path / "a/one.py", twin("m"))
    (tmp_path / "a/.#one.py").symlink_to("user@host.1234:1700000000")
    (plugin,) = load_plugins([plugin_path(str(tmp_path / "a"))])
    assert [file.path for file in plugin.own_files] == [str(tmp_path / "a/one.py")]

    site = tmp_path / "site-packages"
    module = Path(write(site / "entry_hidden/__init__.py", twin("n")))
    monkeypatch.syspath_prepend(site)
    installed_as(monkeypatch, "entry_hidden")
    load_installed()
    before = installed_digest("entry_hidden", module)
    write(site / "entry_hidden/.ipynb_checkpoints/one-checkpoint.py", "X = 1")
    installed_digest.cache_clear()
    assert installed_digest("entry_hidden", module) == before


WRAPPER = """
from distillation_bench.methods import Method, register
{imports}

@register
class Wrapper(Method):
    name = "m"
    summary = "uses another method"
    paper = ""

    def build(self, generator):
        return None

    def loss(self, outputs, batch, now):
        return {use}(self.setting).loss(outputs, batch, now)
"""


@pytest.mark.parametrize(
    ("imports", "use", "edited"),
    [
        ("from distillation_bench.methods import KD", "KD", "kd"),
        ("from distillation_bench.methods import METHODS", "METHODS['kd']", "kd"),
        ("from distillation_bench import methods", "methods.KD", "kd"),
        ("from distillation_bench import methods as own", "own.METHODS['kd']", "kd"),
        ("import distillation_bench.methods", "distillation_bench.methods.KD", "kd"),
        ("import distillation_bench as suite", "suite.methods.KD", "kd"),
        ("from distillation_bench.methods import KD", "KD", None),
        ("from distillation_bench import methods", "methods.Method", None),
    ],
)
def test_a_method_that_a_plugin_uses_is_in_its_digest(
    imports: str, use: str, edited: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Editing it makes the plugin's cells stale; editing another method does not."""
    path = write(tmp_path / "one.py", WRAPPER.format(imports=imports, use=use))
    load_plugins([path])
    before = code_of("m")
    as_in_another_process(tmp_path)
    edit_file(f"methods/{edited or 'endd'}.py", monkeypatch)
    load_plugins([path])
    assert (code_of("m") != before) == (edited is not None)


def test_a_dataset_that_a_plugin_uses_is_among_its_files(tmp_path: Path) -> None:
    text = "from distillation_bench.datasets import get\nsource = get('cifar10')"
    (plugin,) = load_plugins([write(tmp_path / "one.py", text)])
    assert str(ROOT / "datasets/cifar.py") in {file.path for file in plugin.files}
    text = "from distillation_bench.datasets import Dataset, register"
    (plugin,) = load_plugins([write(tmp_path / "two.py", text)])
    assert str(ROOT / "datasets/cifar.py") not in {file.path for file in plugin.files}


def edit_file(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Make the digest of a file of this suite another one."""
    original = file_digest

    def digest_of(path: Path) -> str:
        return "edited" if path == ROOT / name else original(path)

    monkeypatch.setattr(plugin_files, "file_digest", digest_of)
