"""Digests of the code that decides values."""

from __future__ import annotations

import functools
from collections.abc import Iterable

from distillation_bench.bench.common.hashing import digest
from distillation_bench.bench.planning.plugins.integrity import require_source
from distillation_bench.bench.planning.plugins.loading import files_of, module_code


@functools.cache
def class_code(cls: type, base: type) -> str:
    """A hash of the code of a class and its ancestors below the base.

    Raises:
        UsageError: a function of it is not that of its source.
    """
    modules = [
        each.__module__ for each in cls.__mro__ if issubclass(each, base) and each is not base
    ]
    require_source(cls, base, files_of(cls.__module__))
    return modules_code(modules)


def modules_code(modules: Iterable[str]) -> str:
    """One hash of the code of modules, whatever their order."""
    return digest(sorted({module_code(module) for module in modules}))
