"""The one place that imports torchvision, and only when a dataset is read or fetched."""

from __future__ import annotations

import functools
import importlib
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

from distillation_bench.datasets.base import BadData

_DETECTION = "(Tensor dets, Tensor scores, float iou_threshold) -> Tensor"
_libraries: list[Any] = []  # what is defined in a library lives as long as the library


@functools.cache
def torchvision_datasets() -> ModuleType:
    """torchvision.datasets, also of a CUDA build beside a torch for the CPU.

    Such a build can't load its C++ operators, and its import fails because their schemas are not
    known. Datasets need none of them: with the schemas declared it imports.
    """
    try:
        return _imported()
    except RuntimeError as error:
        if "operator torchvision::" not in str(error):
            raise
    import torch

    for name in [name for name in sys.modules if name.partition(".")[0] == "torchvision"]:
        del sys.modules[name]
    make: Any = torch.library.Library
    library = make("torchvision", "FRAGMENT")
    _libraries.append(library)
    for operator in ("nms", "qnms"):
        library.define(operator + _DETECTION)
    return _imported()


def _imported() -> ModuleType:
    return importlib.import_module("torchvision.datasets")


def check_original(file: Path, md5: str) -> None:
    """Raises BadData if a file is not, byte for byte, the one with this checksum."""
    if not torchvision_datasets().utils.check_integrity(str(file), md5):
        raise BadData(f"{file}: not the original file, its checksum differs")
