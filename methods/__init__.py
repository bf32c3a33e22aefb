"""Methods that distil an ensemble into a student, by name.

Everything that a method needs can be imported from here:

    Method, register                the base class of a method, and the decorator that adds one
    Parameters, parameter           the parameters of a method, and one field of them
    Coefficient, Share, Temperature, Linear, Cosine
                                    types of parameters that may be schedules, and the schedules
    Setting, InputRange             what a student is built for, and the range of its inputs
    Examples, Batch                 a split, and what a step of training is computed from
    Stage, Group                    a part of training, and parameters with their own rate or decay
    core_and_heads, CoreAndHeads    a student with a shared core and one or more heads
    DropoutLast, GaussianLast       students that sample in their last layer
    Prediction, Samples, Dirichlet, GaussianMixture, Categorical
                                    predictive distributions, which `Method.predict` returns
    METHODS                         all methods by name

The names of students and predictions import torch when they are first used, the others do not.
"""

from __future__ import annotations

import importlib
import re
from typing import TYPE_CHECKING, Any, TypeVar

from distillation_bench.methods.base import (
    Batch,
    Examples,
    Group,
    InputRange,
    Method,
    Parameters,
    Setting,
    Stage,
    parameter,
)
from distillation_bench.methods.be_kd import BEKD
from distillation_bench.methods.ced import CED
from distillation_bench.methods.dlf import DLF
from distillation_bench.methods.edfm import EDFM
from distillation_bench.methods.endd import EnDD
from distillation_bench.methods.ensemble import Ensemble
from distillation_bench.methods.fed import FED
from distillation_bench.methods.gauss import Gauss
from distillation_bench.methods.h2d import H2D
from distillation_bench.methods.hydra import Hydra
from distillation_bench.methods.hydra_plus import HydraPlus
from distillation_bench.methods.kd import KD
from distillation_bench.methods.kd_uncertainty import KDUncertainty
from distillation_bench.methods.latent_be import LatentBE
from distillation_bench.methods.logit_gaussian import LogitGaussian
from distillation_bench.methods.mc_dropout import MCDropout
from distillation_bench.methods.proxy_endd import ProxyEnDD
from distillation_bench.methods.schedules import Coefficient, Cosine, Linear, Share, Temperature
from distillation_bench.methods.single import Single
from distillation_bench.methods.small_ensemble import SmallEnsemble
from distillation_bench.methods.sub_ensemble import SubEnsemble
from distillation_bench.methods.temperature import TemperatureScaling

if TYPE_CHECKING:
    from distillation_bench.methods.networks.heads import (
        CoreAndHeads,
        DropoutLast,
        GaussianLast,
        core_and_heads,
    )
    from distillation_bench.methods.predictions import (
        Categorical,
        Dirichlet,
        GaussianMixture,
        Prediction,
        Samples,
    )

__all__ = [
    "METHODS",
    "Batch",
    "Categorical",
    "Coefficient",
    "CoreAndHeads",
    "Cosine",
    "Dirichlet",
    "DropoutLast",
    "Examples",
    "GaussianLast",
    "GaussianMixture",
    "Group",
    "InputRange",
    "Linear",
    "Method",
    "Parameters",
    "Prediction",
    "Samples",
    "Setting",
    "Share",
    "Stage",
    "Temperature",
    "core_and_heads",
    "parameter",
    "register",
]

BUILT_IN = (
    Ensemble,
    Single,
    TemperatureScaling,
    SubEnsemble,
    SmallEnsemble,
    KD,
    KDUncertainty,
    EnDD,
    Hydra,
    LogitGaussian,
    ProxyEnDD,
    BEKD,
    HydraPlus,
    H2D,
    LatentBE,
    MCDropout,
    Gauss,
    FED,
    DLF,
    EDFM,
    CED,
)
"""The methods of this suite, in the order of tables: references and controls, then by year."""
METHODS: dict[str, type[Method]] = {}
"""All methods by name: those of this suite, then those of plugins."""

_IMPORTED_ON_USE = {
    **dict.fromkeys(
        ("CoreAndHeads", "DropoutLast", "GaussianLast", "core_and_heads"), "networks.heads"
    ),
    **dict.fromkeys(
        ("Categorical", "Dirichlet", "GaussianMixture", "Prediction", "Samples"), "predictions"
    ),
}
"""Names of modules that import torch, which listings and plans must not wait for."""

AnyMethod = TypeVar("AnyMethod", bound=type[Method])


def register(method: AnyMethod) -> AnyMethod:
    """Add a method to the registry; usable as a decorator.

    Raises:
        TypeError: the class lacks an attribute or a method that every method needs.
        ValueError: another method has the name, or the name can't be used on a command line.
    """
    absent = [name for name in ("name", "summary", "paper") if not hasattr(method, name)]
    absent += sorted(getattr(method, "__abstractmethods__", ()))
    if method.loss is Method.loss and method.step is Method.step:
        absent.append("loss")
    if absent:
        raise TypeError(f"method {method.__name__} lacks {', '.join(absent)}")
    if not re.fullmatch(r"[^\s\[\],=]+", method.name) or not method.name.isprintable():
        raise ValueError(
            f"method {method.name!r}: a name can be printed, and has no spaces, commas, "
            "brackets or ="
        )
    registered = METHODS.get(method.name)
    if registered is not None and _origin(registered) != _origin(method):
        raise ValueError(f"a method named {method.name!r} exists already ({registered.__module__})")
    METHODS[method.name] = method
    return method


def _origin(method: type[Method]) -> tuple[str, str]:
    return method.__module__, method.__qualname__


for _method in BUILT_IN:
    register(_method)

if not TYPE_CHECKING:

    def __getattr__(name: str) -> Any:
        """Import a name that needs torch."""
        if name not in _IMPORTED_ON_USE:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        return getattr(importlib.import_module(f"{__name__}.{_IMPORTED_ON_USE[name]}"), name)
