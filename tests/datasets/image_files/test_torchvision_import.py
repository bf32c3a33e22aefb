"""torchvision is imported in one place, whatever its build."""

from __future__ import annotations

import subprocess
import sys

from distillation_bench.bench.common.paths import IMPORT_FOLDER, ROOT


def test_datasets_can_be_imported_beside_any_torch() -> None:
    code = (
        "from distillation_bench.datasets.image_files import torchvision_import\n"
        "get = torchvision_import.torchvision_datasets\n"
        "assert get() is get()\n"
        "import torch, torchvision.transforms\n"
        "assert get().MNIST.__name__ == 'MNIST'\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=IMPORT_FOLDER, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


def test_no_other_file_imports_it() -> None:
    files = [
        file for room in ("bench", "datasets", "methods") for file in (ROOT / room).rglob("*.py")
    ]
    using = [file.name for file in files if "import torchvision\n" in file.read_text()]
    using += [file.name for file in files if '"torchvision.datasets"' in file.read_text()]
    assert using == ["torchvision_import.py"]
