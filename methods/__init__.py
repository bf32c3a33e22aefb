"""The registry of methods: built-in ones are imported here, plugins call `register`."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import TypeVar

from distillation_bench.methods.base import Batch, Method, Parameters, Setting, Stage, parameter
from distillation_bench.methods.endd import EnDD
from distillation_bench.methods.ensemble import Ensemble
from distillation_bench.methods.gauss import Gauss
from distillation_bench.methods.hydra import Hydra
from distillation_bench.methods.hydra_plus import HydraPlus
from distillation_bench.methods.kd import KD
from distillation_bench.methods.mc_dropout import MCDropout
from distillation_bench.methods.schedules import Coefficient, Cosine, Linear, Share, Temperature
from distillation_bench.methods.single import Single

__all__ = [
    "METHODS",
    "Batch",
    "Coefficient",
    "Cosine",
    "Linear",
    "Method",
    "Parameters",
    "Setting",
    "Share",
    "Stage",
    "Temperature",
    "parameter",
    "register",
]

METHODS: dict[str, type[Method]] = {}
"""By name, in the order of tables: references first, then by year."""

AnyMethod = TypeVar("AnyMethod", bound=type[Method])


def register(method: AnyMethod) -> AnyMethod:
    """Add a method; usable as a decorator.

    Raises:
        TypeError: it lacks something of the contract.
        ValueError: another method has the name, or it can't be written on a command line.
    """
    absent = [name for name in ("name", "summary", "paper") if not hasattr(method, name)]
    absent += sorted(getattr(method, "__abstractmethods__", ()))
    if absent:
        raise TypeError(f"method {method.__name__} lacks {', '.join(absent)}")
    if not re.fullmatch(r"[^\s\[\],=]+", method.name) or not method.name.isprintable():
        raise ValueError(
            f"method {method.name!r}: a name can be printed, and has no spaces, commas, "
            "brackets or ="
        )
    known = METHODS.get(method.name)
    if known is not None and (known.__module__, known.__qualname__) != (
        method.__module__,
        method.__qualname__,
    ):
        raise ValueError(f"a method named {method.name!r} exists already ({known.__module__})")
    METHODS[method.name] = method
    return method


def _register_all(methods: Iterable[type[Method]]) -> None:
    for method in methods:
        register(method)


_register_all([Ensemble, Single, KD, EnDD, Hydra, HydraPlus, MCDropout, Gauss])
