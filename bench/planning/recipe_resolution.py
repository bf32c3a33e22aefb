"""The recipe of each dataset: its own values, overridden by those of the configuration."""

from __future__ import annotations

from typing import Any

from pydantic import ValidationError

from distillation_bench.bench.common.errors import UsageError, nearest
from distillation_bench.bench.planning.configuration.config import Config
from distillation_bench.bench.planning.configuration.validation_errors import first_error
from distillation_bench.bench.planning.recipe import Recipe, recipe_for
from distillation_bench.datasets.base import Dataset
from distillation_bench.methods.networks.families import FAMILIES, describe


def resolve_recipe(dataset: type[Dataset], config: Config) -> Recipe:
    """Return the recipe by which networks are trained on a dataset.

    Raises:
        UsageError: a name is unknown, or a value is wrong; with the location of the value.
    """
    values = {**config.recipe, **config.recipes.get(dataset.name, {})}
    try:
        network = _resolve_network(dataset, values.pop("network", {}))
        recipe = recipe_for(dataset.recipe, network, values)
    except ValidationError as error:
        path, reason = first_error(error, Recipe)
        location = _location(config, dataset.name, str(path[0]))
        raise UsageError(f"{location}: {reason}") from None
    except _BadNetwork as error:
        location = _location(config, dataset.name, "network", str(error.option))
        raise UsageError(f"{location}: {error}") from None
    if recipe.views and not dataset.images:
        location = _location(config, dataset.name, "augment")
        raise UsageError(f"{location}: augment: the inputs of {dataset.name} are not images")
    return recipe


def _location(config: Config, dataset: str, *names: str) -> str:
    """Return the location of a value of the recipe, or of what contains it."""
    paths = [".".join(names[:depth]) for depth in range(len(names), 0, -1)]
    starts = (f"recipes.{dataset}", "recipe")
    candidates = [f"{start}.{path}" for path in paths for start in starts]
    candidates.append(f"recipes.{dataset}")
    return config.location_of(*candidates, option="--set")


class _BadNetwork(Exception):
    """What is wrong with a network's description, and with which of its options."""

    def __init__(self, message: str, option: str = "") -> None:
        super().__init__(message)
        self.option = option


def _resolve_network(dataset: type[Dataset], options: Any) -> dict[str, Any]:
    """Return the dataset's network with the given options over it, or another family's network.

    Raises:
        _BadNetwork: a family or option is unknown, or a value is wrong.
    """
    if not isinstance(options, dict):
        raise _BadNetwork(f"network: options such as network.width=0.5, not {options!r}")
    if odd := [name for name in options if not isinstance(name, str)]:
        raise _BadNetwork(f"network: {odd[0]!r} is not the name of an option (list networks)")
    family = options.get("family", dataset.network["family"])
    _check_family(family, dataset)
    base = dataset.network if family == dataset.network["family"] else {}
    try:
        return describe({**base, **options, "family": family})
    except ValidationError as error:
        path, reason = first_error(error, FAMILIES[family].options)
        raise _BadNetwork(f"network: {reason}", str(path[0]) if path else "") from None


def _check_family(family: Any, dataset: type[Dataset]) -> None:
    if not isinstance(family, str) or family not in FAMILIES:
        message = f"unknown network family {family!r}{nearest(str(family), FAMILIES)}"
        raise _BadNetwork(message, "family")
    if FAMILIES[family].options.needs_images and not dataset.images:
        message = f"network {family!r} needs images, but {dataset.name} has none"
        raise _BadNetwork(message, "family")
