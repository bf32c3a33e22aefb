"""Families of networks by name: their options and their builders; does not import torch."""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple, TypeVar

from distillation_bench.methods.lazy import lenet, mlp, resnet, wide_resnet
from distillation_bench.methods.networks.builder import NetworkBuilder
from distillation_bench.methods.networks.options import (
    Batching,
    LeNetOptions,
    MLPOptions,
    NetworkOptions,
    ResNet18Options,
    ResNetOptions,
    WideResNetOptions,
)

AnyBuilder = TypeVar("AnyBuilder", bound=type[NetworkBuilder])


class Family(NamedTuple):
    """A family of networks.

    Attributes:
        options: their types, defaults and documentation.
        module: in which the builder is defined.
        builder: returns the class that builds the networks.
    """

    options: type[NetworkOptions]
    module: str
    builder: Callable[[], type[NetworkBuilder]]

    @property
    def name(self) -> str:
        """The name that a configuration gives."""
        return self.options.family


FAMILIES: dict[str, Family] = {}
"""All families by name: those of this suite, then those of plugins."""


def register_network(options: type[NetworkOptions]) -> Callable[[AnyBuilder], AnyBuilder]:
    """Add a family of networks to the registry; a decorator of the class that builds them.

    Args:
        options: of the family, a subclass of `NetworkOptions` that has the family's name.

    Raises:
        TypeError: the options or the builder lack something that every family needs.
        ValueError: another family has the name, the name can't be used on a command line, or an
            option has the name of something else.
    """
    _check_options(options)

    def register(builder: AnyBuilder) -> AnyBuilder:
        _check_builder(builder)
        registered = FAMILIES.get(options.family)
        if registered is not None and _origin(registered.options) != _origin(options):
            raise ValueError(
                f"a network named {options.family!r} exists already ({registered.module})"
            )
        FAMILIES[options.family] = Family(options, builder.__module__, lambda: builder)
        return builder

    return register


def _check_options(options: Any) -> None:
    if not (isinstance(options, type) and issubclass(options, NetworkOptions)):
        raise TypeError("register_network(OPTIONS) takes a subclass of NetworkOptions")
    _check_option_names(options)
    name = getattr(options, "family", None)
    if not isinstance(name, str):
        raise TypeError(f"the options {options.__name__} lack family, a name")
    if not re.fullmatch(r"[^\s\[\],=]+", name) or not name.isprintable():
        raise ValueError(
            f"network {name!r}: a name can be printed, and has no spaces, commas, brackets or ="
        )


def _check_option_names(options: type[NetworkOptions]) -> None:
    fields, start = options.model_fields, f"the options {options.__name__}"
    taken = [name for name in fields if name == "family" or hasattr(NetworkOptions, name)]
    if taken:
        raise ValueError(
            f"{start}: {taken[0]} can't be an option, because it is something else of every network"
        )
    batching: Any = fields["batching"].annotation if "batching" in fields else Batching
    if batching != Batching:
        raise ValueError(f"{start}: the type of batching is networks.Batching")


def _check_builder(builder: Any) -> None:
    if not (isinstance(builder, type) and issubclass(builder, NetworkBuilder)):
        name = getattr(builder, "__name__", builder)
        raise TypeError(f"{name} builds networks, but is no subclass of NetworkBuilder")
    if absent := sorted(builder.__abstractmethods__):
        raise TypeError(f"{builder.__name__} lacks {', '.join(absent)}")


def _origin(cls: type) -> tuple[str, str]:
    return cls.__module__, cls.__qualname__


def options_of(description: Mapping[str, Any]) -> NetworkOptions:
    """Return the options of a `network` description.

    Args:
        description: the name of the `family`, and its options.

    Raises:
        ValueError: the family is unknown.
        pydantic.ValidationError: an option is unknown or has a wrong value.
    """
    family = description.get("family")
    if family not in FAMILIES:
        close = difflib.get_close_matches(str(family), FAMILIES, 1)
        hint = f"; did you mean {close[0]!r}?" if close else f"; there are {', '.join(FAMILIES)}"
        raise ValueError(f"unknown network family {family!r}{hint}")
    values = {
        name: list(value) if isinstance(value, tuple) else value
        for name, value in description.items()
        if name != "family"
    }
    return FAMILIES[family].options(**values)


def describe(description: Mapping[str, Any]) -> dict[str, Any]:
    """Return a description with the default of every option that is not given.

    Raises:
        ValueError, pydantic.ValidationError: as `options_of`.
    """
    options = options_of(description)
    return {"family": options.family, **options.model_dump()}


def network_builder(
    description: Mapping[str, Any], shape: tuple[int, ...], outputs: int
) -> NetworkBuilder:
    """Return the builder for a dataset's `network` description.

    Args:
        description: `family` and its options; an option that is not given has its default.
        shape: of one input, [C, H, W] for images.
        outputs: of each network, K.

    Raises:
        ValueError: the family is unknown, or does not support inputs of this shape.
        pydantic.ValidationError: an option is unknown or has a wrong value.
    """
    options = options_of(description)
    return FAMILIES[options.family].builder()(options, shape, outputs)


BUILT_IN: Mapping[type[NetworkOptions], Callable[[], type[NetworkBuilder]]] = {
    MLPOptions: lambda: mlp.MLPBuilder,
    LeNetOptions: lambda: lenet.LeNetBuilder,
    ResNetOptions: lambda: resnet.ResNetBuilder,
    ResNet18Options: lambda: resnet.ResNetBuilder,
    WideResNetOptions: lambda: wide_resnet.WideResNetBuilder,
}
"""The families of this suite; their builders are in modules that import torch."""

for _options, _builder in BUILT_IN.items():
    FAMILIES[_options.family] = Family(_options, __name__, _builder)
