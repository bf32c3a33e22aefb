"""What a run is: datasets, variants of methods, seeds and recipe, from a preset and options.

Values in presets are YAML. Every mistake is a `UsageError` of one line with its place.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

from distillation_bench.bench.common.errors import UsageError, nearest
from distillation_bench.bench.planning.yaml_documents import BadNumber, Document, one_line, value_of
from distillation_bench.bench.storage.schema import LAST_SEED

PRESETS = Path(__file__).parent / "presets"
DEFAULT_PRESET = "quick"
MOST_SEEDS = 100_000
"""Of one range."""
_NAME = re.compile(r"\s*([^\[\]\s]+)\s*(?:\[([^\[\]]*)\])?\s*")


@dataclass(frozen=True)
class Variant:
    """A method with some parameters given, perhaps several values of one.

    Attributes:
        values: by parameter, the values to run, each with each.
        datasets: the only datasets that it runs on; none: all.
        label: its name in tables; empty: made from method and parameters.
        place: where it was asked for, for messages.
        places: by parameter, where it was given.
    """

    method: str
    values: Mapping[str, Sequence[Any]] = field(default_factory=dict)
    datasets: tuple[str, ...] = ()
    label: str = ""
    place: str = ""
    places: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Config:
    """What to run; names are not yet looked up."""

    datasets: tuple[str, ...]
    variants: tuple[Variant, ...]
    seeds: tuple[int, ...]
    recipe: Mapping[str, Any]
    recipes: Mapping[str, Mapping[str, Any]]
    places: Mapping[str, str]
    ood: tuple[str, ...] = ()
    corruptions: str = ""

    def with_settings(self, given: Mapping[str, Any]) -> Config:
        """With values of the recipe that go before every other."""
        recipes = {name: _overridden(values, given) for name, values in self.recipes.items()}
        recipe = {**_overridden(self.recipe, given), **given}
        if "network" in given:
            recipe["network"] = _networks(self.recipe.get("network", {}), given["network"])
        # What is wrong with them is no longer the preset's fault.
        paths = [name for name in given if name != "network"]
        paths += [f"network.{option}" for option in given.get("network", {})]
        starts = ["recipe", *(f"recipes.{name}" for name in recipes)]
        places = {f"{start}.{path}": "--set" for start in starts for path in paths}
        return replace(self, recipe=recipe, recipes=recipes, places={**self.places, **places})


def _overridden(values: Mapping[str, Any], given: Mapping[str, Any]) -> dict[str, Any]:
    """A dataset's values less those that are given for all; options of its network are joined."""
    kept = {name: value for name, value in values.items() if name not in given}
    if "network" in values and "network" in given:
        kept["network"] = _networks(values["network"], given["network"])
    return kept


def _networks(options: Any, given: Mapping[str, Any]) -> Any:
    # Options that are none are left for the planner to refuse, with their place.
    return {**options, **given} if isinstance(options, dict) else options


class _PresetMethod(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)
    method: str
    parameters: dict[str, Any] = {}
    datasets: list[str] = []
    label: str = ""


class _Preset(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)
    datasets: list[str] = []
    # Of two forms each, told apart below: a union's messages name them both.
    methods: list[Any] = []
    seeds: Any = "0-2"
    recipe: dict[str, Any] = {}
    recipes: dict[str, dict[str, Any]] = {}
    ood: list[str] = []
    corruptions: str = ""


def preset_names() -> list[str]:
    """The presets of the repository."""
    return sorted(path.stem for path in PRESETS.glob("*.yaml"))


def parse_seeds(texts: Iterable[str], place: str = "-s") -> tuple[int, ...]:
    """`0-2` is 0, 1, 2; commas and repetition add up; sorted, each once.

    Raises:
        UsageError: not seeds.
    """
    seeds: set[int] = set()
    for part in (part.strip() for text in texts for part in text.split(",")):
        match = re.fullmatch(r"([0-9]+)(?:-([0-9]+))?", part)
        first, last = map(_seed, (match[1], match[2] or match[1])) if match else (1, 0)
        if last > LAST_SEED:
            raise UsageError(f"{place}: {part!r}: seeds are 0 to {LAST_SEED} (2^32 - 1)")
        if not match:
            raise UsageError(f"{place}: {part!r} is not a seed or a range such as 0-2")
        if last < first:
            raise UsageError(f"{place}: {part!r}: the first seed is greater than the last")
        if last - first >= MOST_SEEDS:
            raise UsageError(
                f"{place}: {part!r} is {last - first + 1:,} seeds; at most {MOST_SEEDS:,}"
            )
        seeds.update(range(first, last + 1))
    return tuple(sorted(seeds))


def _seed(digits: str) -> int:
    # Python reads no more than some thousand digits.
    return int(digits) if len(digits.lstrip("0")) <= 10 else LAST_SEED + 1


def parse_variant(text: str, place: str = "-m") -> Variant:
    """`name`, `name[parameter=value]`, `name[parameter=value,value,other=value]`.

    Raises:
        UsageError: not of this form.
    """
    match = _NAME.fullmatch(text)
    if match is None:
        raise UsageError(f"{place}: {text!r} is not name or name[parameter=value,value]")
    values: dict[str, list[Any]] = {}
    parameter = ""
    for part in _split(match[2] or ""):
        name, equals, value = part.partition("=")
        if equals:
            parameter = name.strip()
            if parameter in values:
                raise UsageError(f"{place}: {text!r} gives {parameter!r} twice")
            values[parameter] = []
        if not parameter or not (value if equals else part).strip():
            raise UsageError(f"{place}: {text!r}: {part.strip()!r} is not parameter=value")
        values[parameter].append(parse_value(value if equals else part, f"{place}: {text!r}"))
    return Variant(match[1], values, place=place)


def _split(text: str) -> list[str]:
    """At commas outside parentheses."""
    return re.split(r",(?![^()]*\))", text) if text.strip() else []


def parse_value(text: str, place: str, lists: bool = False) -> Any:
    """A YAML scalar: 5 is an integer, 5e-4 a float, true a boolean, anything else text.

    Raises:
        UsageError: not a scalar, nor a list where lists are allowed.
    """
    try:
        value = value_of(text.strip())
    except BadNumber as error:
        raise UsageError(f"{place}: {text.strip()!r} is {error}") from None
    except Exception:  # The parser has failures of its own beside YAMLError.
        value = [text]
    if isinstance(value, (dict, set)) or (isinstance(value, list) and not lists):
        raise UsageError(f"{place}: {text.strip()!r} is not a single value")
    return value


def parse_settings(texts: Iterable[str]) -> dict[str, Any]:
    """`--set name=value`, repeatable; `network.width=0.5` is an option of the network.

    Raises:
        UsageError: not of this form, or a name is given twice.
    """
    settings: dict[str, Any] = {}
    for text in texts:
        name, equals, value = text.partition("=")
        if not equals or not name.strip() or not value.strip():
            raise UsageError(f"--set: {text!r} is not name=value")
        part, _, option = name.strip().partition(".")
        if part == "network" and not option:
            raise UsageError(f"--set: {text!r} is not network.OPTION=VALUE (list networks)")
        of_network = part == "network"
        into, key = (
            (settings.setdefault(part, {}), option) if of_network else (settings, name.strip())
        )
        if key in into:
            raise UsageError(f"--set: {name.strip()} is given twice")
        into[key] = parse_value(value, "--set", lists=of_network)
    return settings


def load_preset(name: str) -> Config:
    """A preset of the repository by name, or a YAML file by path.

    Raises:
        UsageError: with file, line, column and reason.
    """
    path = Path(name) if name.endswith((".yaml", ".yml")) else PRESETS / f"{name}.yaml"
    try:
        if path.is_fifo() or path.is_char_device():
            raise UsageError(f"{path}: not a regular file")
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        if path.parent == PRESETS:
            known = preset_names()
            raise UsageError(f"no preset {name!r}{nearest(name, known)}") from None
        raise UsageError(f"{path}: {error.strerror}") from None
    except UnicodeDecodeError:
        raise UsageError(f"{path}: not text in UTF-8") from None
    try:
        return _config(Document(path, text))
    except RecursionError:
        raise UsageError(f"{path}: nested too deeply") from None


def _config(document: Document) -> Config:
    if not isinstance(document.value, dict):
        raise UsageError(f"{document.place()}: not a preset: datasets, methods, seeds, recipe")
    preset = _validated(_Preset, document.value, document)
    places = {
        f"{top}.{name}": document.place(top, name)
        for top in ("recipe", "recipes")
        for name in getattr(preset, top)
    }
    places |= {
        f"recipes.{dataset}.{name}": document.place("recipes", dataset, name)
        for dataset, values in preset.recipes.items()
        for name in values
    }
    places |= {
        f"recipe.network.{name}": document.place("recipe", "network", name)
        for name in _names(preset.recipe.get("network"))
    }
    places |= {
        f"recipes.{dataset}.network.{name}": document.place("recipes", dataset, "network", name)
        for dataset, values in preset.recipes.items()
        for name in _names(values.get("network"))
    }
    places |= {
        f"datasets.{name}": document.place("datasets", index)
        for index, name in enumerate(preset.datasets)
    }
    return Config(
        datasets=tuple(preset.datasets),
        variants=tuple(
            _variant(entry, document, index) for index, entry in enumerate(preset.methods)
        ),
        seeds=_seeds(preset.seeds, document),
        recipe=preset.recipe,
        recipes=preset.recipes,
        places=places,
        ood=tuple(preset.ood),
        corruptions=preset.corruptions,
    )


def _names(value: Any) -> list[Any]:
    return list(value) if isinstance(value, dict) else []


AnyModel = TypeVar("AnyModel", bound=BaseModel)


def _validated(
    model: type[AnyModel], value: Any, document: Document, *location: str | int
) -> AnyModel:
    try:
        return model.model_validate(value)
    except ValidationError as error:
        inner, reason = explain(error, model)
        raise UsageError(f"{document.place(*location, *inner)}: {one_line(reason)}") from None


def _variant(entry: Any, document: Document, index: int) -> Variant:
    place = document.place("methods", index)
    if isinstance(entry, str):
        return parse_variant(entry, place)
    if not isinstance(entry, dict):
        raise UsageError(
            f"{place}: {entry!r} is neither a method's name nor method: NAME with more"
        )
    method = _validated(_PresetMethod, entry, document, "methods", index)
    values = {
        name: value if isinstance(value, list) else [value]
        for name, value in method.parameters.items()
    }
    label = method.label
    if "label" in entry and (not label or label != label.strip() or not label.isprintable()):
        line = document.place("methods", index, "label")
        raise UsageError(f"{line}: {label!r} can't be a label: it is blank, or can't be printed")
    where = {
        name: document.place("methods", index, "parameters", name) for name in method.parameters
    }
    for name, each in values.items():
        if not each:
            raise UsageError(f"{where[name]}: no value for {name!r}")
    return Variant(method.method, values, tuple(method.datasets), method.label, place, where)


def _seeds(value: Any, document: Document) -> tuple[int, ...]:
    if value == []:
        raise UsageError(f"{document.place('seeds')}: no seeds")
    if not isinstance(value, list):
        return parse_seeds([str(value)], document.place("seeds"))
    parsed = [
        parse_seeds([str(each)], document.place("seeds", index)) for index, each in enumerate(value)
    ]
    return tuple(sorted(set().union(*parsed)))


def explain(error: ValidationError, model: type[BaseModel]) -> tuple[tuple[Any, ...], str]:
    """A mistake's location and, in a few words, what is wrong; an unknown name before others."""
    errors = error.errors(include_url=False)
    # A misspelt name is the cause of the missing one that it stands for.
    first = next((each for each in errors if each["type"] == "extra_forbidden"), errors[0])
    location = first["loc"]
    name = ".".join(str(part) for part in location if not isinstance(part, int))
    if first["type"] == "extra_forbidden":
        return location, f"unknown name {name!r}{nearest(str(location[-1]), model.model_fields)}"
    if first["type"] == "value_error":
        return location, f"{name}: {first['msg'].removeprefix('Value error, ')}"
    reason = first["msg"][0].lower() + first["msg"][1:]
    if first["type"] == "missing":
        return location, f"{name}: {reason}"
    return location, f"{name}: {reason}, not {first['input']!r}"
