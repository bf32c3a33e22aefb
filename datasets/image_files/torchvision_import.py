"""The import of torchvision.datasets, when a dataset is read or downloaded and not before."""

from __future__ import annotations

import functools
import importlib
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

from distillation_bench.datasets.base import BadData

_DETECTION = "(Tensor dets, Tensor scores, float iou_threshold) -> Tensor"
_libraries: list[Any] = []  # operators exist only as long as the library that defines them


@functools.cache
def torchvision_datasets() -> ModuleType:
    """Return torchvision.datasets, even if torchvision is a CUDA build and torch is not.

    Such a torchvision can't load its C++ operators, and its import fails because they are not
    declared. Datasets do not need these operators, so it is enough to declare them.
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
    """Raise BadData if a file does not have this checksum."""
    if not torchvision_datasets().utils.check_integrity(str(file), md5):
        raise BadData(f"{file}: not the original file, its checksum differs")
