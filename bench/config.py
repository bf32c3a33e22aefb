"""What a run is: datasets, variants of methods, seeds and recipe, from a preset and options.

Values in presets are YAML. Every mistake is a `UsageError` of one line with its place.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError
from ruamel.yaml import YAML
from ruamel.yaml.constructor import SafeConstructor
from ruamel.yaml.error import MarkedYAMLError
from ruamel.yaml.nodes import MappingNode, SequenceNode
from ruamel.yaml.reader import ReaderError

from bench.errors import UsageError, nearest

PRESETS = Path(__file__).parent / "presets"
DEFAULT_PRESET = "quick"
LARGEST = 100_000
"""Values of a preset."""
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
        match = re.fullmatch(r"([0-9]{1,9})(?:-([0-9]{1,9}))?", part)
        first, last = (int(match[1]), int(match[2] or match[1])) if match else (1, 0)
        if last < first:
            raise UsageError(f"{place}: {part!r} is not a seed or a range such as 0-2")
        if last - first >= 100_000:
            raise UsageError(f"{place}: {part!r} is {last - first + 1:,} seeds; at most 100,000")
        seeds.update(range(first, last + 1))
    return tuple(sorted(seeds))


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
        _check_size(_yaml().compose(text.strip()))
        value = _yaml().load(text.strip())
    except Exception:  # The parser has failures of its own beside YAMLError.
        value = [text]
    if isinstance(value, (dict, set)) or (isinstance(value, list) and not lists):
        raise UsageError(f"{place}: {text.strip()!r} is not a single value")
    return value


def parse_settings(texts: Iterable[str]) -> dict[str, Any]:
    """`--set name=value`, repeatable; `network.width=0.5` is an option of the network.

    Raises:
        UsageError: not of this form.
    """
    settings: dict[str, Any] = {}
    for text in texts:
        name, equals, value = text.partition("=")
        if not equals or not name.strip() or not value.strip():
            raise UsageError(f"--set: {text!r} is not name=value")
        part, _, option = name.strip().partition(".")
        if part == "network":
            if not option:
                raise UsageError(f"--set: {text!r} is not network.OPTION=VALUE (list networks)")
            settings.setdefault(part, {})[option] = parse_value(value, "--set", lists=True)
        else:
            settings[name.strip()] = parse_value(value, "--set")
    return settings


def _yaml() -> YAML:
    yaml = YAML(typ="safe", pure=True)
    yaml.Constructor = _PlainValues
    return yaml


def _check_size(root: Any) -> None:
    """Whether a document is as small as it looks: an alias stands for all that it names.

    Raises:
        ValueError: it isn't, or something holds itself.
    """
    sizes: dict[int, float] = {}

    def size(node: Any) -> float:
        # What is met again before it is known holds itself.
        if id(node) not in sizes:
            sizes[id(node)] = math.inf
            sizes[id(node)] = 1 + sum(map(size, _parts(node)))
        return sizes[id(node)]

    if size(root) > LARGEST:
        raise ValueError(f"more than {LARGEST:,} values, its aliases written out")


def _parts(node: Any) -> Iterator[Any]:
    if isinstance(node, MappingNode):
        for pair in node.value:
            yield from pair
    elif isinstance(node, SequenceNode):
        yield from node.value


class _PlainValues(SafeConstructor):
    """Text, numbers, booleans, null; a date is text."""


_PlainValues.add_constructor("tag:yaml.org,2002:timestamp", SafeConstructor.construct_yaml_str)


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
        return _config(_Document(path, text))
    except RecursionError:
        raise UsageError(f"{path}: nested too deeply") from None


class _Document:
    """A YAML file: its value, and the place of each part of it.

    Raises:
        UsageError: it is not YAML; with file, line and column.
    """

    def __init__(self, path: Path, text: str) -> None:
        self.path = path
        try:
            self._root = _yaml().compose(text)
            _check_size(self._root)
            self.value = _yaml().load(text)
        except MarkedYAMLError as error:
            mark = error.problem_mark or error.context_mark
            raise UsageError(f"{self._at(mark)}: {_one_line(error.problem)}") from None
        except ReaderError as error:
            before = text[: error.position].split("\n")
            where = f"{path}:{len(before)}:{len(before[-1]) + 1}"
            raise UsageError(f"{where}: {_one_line(error.reason)}") from None
        except RecursionError:
            raise
        except Exception as error:
            # The parser has failures of its own for tags that contradict their values.
            raise UsageError(f"{path}: not YAML ({_one_line(error)})") from None

    def place(self, *location: str | int) -> str:
        """file:line:column of a location, as far down as the document goes."""
        mark, node = None, self._root
        for step in location:
            found = _child(node, step)
            if found is None:
                break
            mark, node = found
        return self._at(mark)

    def _at(self, mark: Any) -> str:
        line, column = (mark.line, mark.column) if mark is not None else (0, 0)
        return f"{self.path}:{line + 1}:{column + 1}"


def _child(node: Any, step: str | int) -> tuple[Any, Any] | None:
    """The mark and the node of a key or an index."""
    if isinstance(node, MappingNode):
        for key, value in node.value:
            if key.value == step:
                return key.start_mark, value
    if isinstance(node, SequenceNode) and isinstance(step, int) and step < len(node.value):
        return node.value[step].start_mark, node.value[step]
    return None


def _one_line(text: object) -> str:
    return " ".join(str(text).split())


def _config(document: _Document) -> Config:
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
    model: type[AnyModel], value: Any, document: _Document, *location: str | int
) -> AnyModel:
    try:
        return model.model_validate(value)
    except ValidationError as error:
        inner, reason = explain(error, model)
        raise UsageError(f"{document.place(*location, *inner)}: {_one_line(reason)}") from None


def _variant(entry: Any, document: _Document, index: int) -> Variant:
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
        raise UsageError(f"{line}: {label!r} can't be a label: blank, or not to be printed")
    where = {
        name: document.place("methods", index, "parameters", name) for name in method.parameters
    }
    for name, each in values.items():
        if not each:
            raise UsageError(f"{where[name]}: no value for {name!r}")
    return Variant(method.method, values, tuple(method.datasets), method.label, place, where)


def _seeds(value: Any, document: _Document) -> tuple[int, ...]:
    if value == []:
        raise UsageError(f"{document.place('seeds')}: no seeds")
    if not isinstance(value, list):
        return parse_seeds([str(value)], document.place("seeds"))
    parsed = [
        parse_seeds([str(each)], document.place("seeds", index)) for index, each in enumerate(value)
    ]
    return tuple(sorted(set().union(*parsed)))


def explain(error: ValidationError, model: type[BaseModel]) -> tuple[tuple[Any, ...], str]:
    """The first mistake's location and, in a few words, what is wrong."""
    first = error.errors(include_url=False)[0]
    location = first["loc"]
    name = ".".join(str(part) for part in location if not isinstance(part, int))
    if first["type"] == "extra_forbidden":
        return location, f"unknown name {name!r}{nearest(str(location[-1]), model.model_fields)}"
    if first["type"] == "value_error":
        return location, f"{name}: {first['msg'].removeprefix('Value error, ')}"
    reason = first["msg"][0].lower() + first["msg"][1:]
    return location, f"{name}: {reason}, not {first['input']!r}"
