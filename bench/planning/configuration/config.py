"""What a run is asked to do: datasets, variants of methods, seeds and recipe."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any


@dataclass(frozen=True)
class Variant:
    """A method with some of its parameters given, each with one value or several.

    Attributes:
        method: the method's name.
        values: by parameter, its values; every combination is run.
        datasets: the datasets to run on; empty: all of the configuration.
        label: its name in tables; empty: made from the method and its parameters.
        location: where the user asked for it, for error messages.
        locations: by parameter, where the user gave its values.
    """

    method: str
    values: Mapping[str, Sequence[Any]] = field(default_factory=dict)
    datasets: tuple[str, ...] = ()
    label: str = ""
    location: str = ""
    locations: Mapping[str, str] = field(default_factory=dict)

    def location_of(self, parameter: str) -> str:
        """Return where a parameter's values were given, else where the variant was."""
        return self.locations.get(parameter, self.location)


@dataclass(frozen=True)
class Config:
    """What to run; names are not looked up yet.

    Attributes:
        datasets: names of datasets.
        variants: variants of methods.
        seeds: ascending.
        recipe: values of the recipe for all datasets.
        recipes: by dataset, values that take precedence over `recipe`.
        locations: by dotted path, such as `recipes.spiral.epochs`, where the user gave a value.
        ood: OOD sets to use instead of each dataset's own.
        corruptions: a folder of corrupted test sets; empty: none.
    """

    datasets: tuple[str, ...]
    variants: tuple[Variant, ...]
    seeds: tuple[int, ...]
    recipe: Mapping[str, Any]
    recipes: Mapping[str, Mapping[str, Any]]
    locations: Mapping[str, str]
    ood: tuple[str, ...] = ()
    corruptions: str = ""

    def location_of(self, *paths: str, option: str) -> str:
        """Return the location of the first of these values that the user gave.

        Args:
            paths: dotted paths, as in `locations`.
            option: returned if none of the values has a location.
        """
        given = (self.locations[path] for path in paths if path in self.locations)
        return next(given, option)

    def with_settings(self, settings: Mapping[str, Any]) -> Config:
        """Return the configuration with values of the recipe that take precedence over all."""
        recipes = {name: _overridden(values, settings) for name, values in self.recipes.items()}
        recipe = {**_overridden(self.recipe, settings), **settings}
        if "network" in settings:
            recipe["network"] = _merged(self.recipe.get("network", {}), settings["network"])
        # An error in these values is reported for the option, no longer for the preset.
        paths = [name for name in settings if name != "network"]
        paths += [f"network.{option}" for option in settings.get("network", {})]
        prefixes = ["recipe", *(f"recipes.{name}" for name in recipes)]
        locations = {f"{prefix}.{path}": "--set" for prefix in prefixes for path in paths}
        return replace(
            self, recipe=recipe, recipes=recipes, locations={**self.locations, **locations}
        )


def _overridden(values: Mapping[str, Any], settings: Mapping[str, Any]) -> dict[str, Any]:
    """Return a recipe's values without those that the settings replace; networks are merged."""
    remaining = {name: value for name, value in values.items() if name not in settings}
    if "network" in values and "network" in settings:
        remaining["network"] = _merged(values["network"], settings["network"])
    return remaining


def _merged(network: Any, settings: Mapping[str, Any]) -> Any:
    """Return a network's options with the settings over them."""
    # What is not a mapping is reported later, with its location.
    return {**network, **settings} if isinstance(network, dict) else network
