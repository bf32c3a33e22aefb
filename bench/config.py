"""What a run is: datasets, variants of methods, seeds and recipe, from a preset and options.

Values in presets are YAML. Every mistake is a `UsageError` of one line with its place.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError

from bench.errors import UsageError, nearest

PRESETS = Path(__file__).parent / "presets"
DEFAULT_PRESET = "quick"
_NAME = re.compile(r"\s*([^\[\]\s]+)\s*(?:\[(.*)\])?\s*", re.DOTALL)


@dataclass(frozen=True)
class Variant:
    """A method with some parameters given, perhaps several values of one.

    Attributes:
        values: by parameter, the values to run, each with each.
        datasets: the only datasets that it runs on; none: all.
        label: its name in tables; empty: made from method and parameters.
        place: where it was asked for, for messages.
    """

    method: str
    values: Mapping[str, Sequence[Any]] = field(default_factory=dict)
    datasets: tuple[str, ...] = ()
    label: str = ""
    place: str = ""


@dataclass(frozen=True)
class Config:
    """What to run; names are not yet looked up."""

    datasets: tuple[str, ...]
    variants: tuple[Variant, ...]
    seeds: tuple[int, ...]
    recipe: Mapping[str, Any]
    recipes: Mapping[str, Mapping[str, Any]]
    places: Mapping[str, str]


class _PresetMethod(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)
    method: str
    parameters: dict[str, Any] = {}
    datasets: list[str] = []
    label: str = ""


class _Preset(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)
    datasets: list[str] = []
    methods: list[str | _PresetMethod] = []
    seeds: str | int | list[int] = "0-2"
    recipe: dict[str, Any] = {}
    recipes: dict[str, dict[str, Any]] = {}


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
        match = re.fullmatch(r"(\d+)(?:-(\d+))?", part)
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
        values[parameter].append(parse_value(value if equals else part))
    return Variant(match[1], values, place=place)


def _split(text: str) -> list[str]:
    """At commas outside parentheses."""
    return re.split(r",(?![^()]*\))", text) if text.strip() else []


def parse_value(text: str) -> Any:
    """A YAML scalar: 5 is an integer, 5e-4 a float, true a boolean, anything else text."""
    return _yaml("safe").load(text.strip())


def parse_settings(texts: Iterable[str]) -> dict[str, Any]:
    """`--set name=value`, repeatable.

    Raises:
        UsageError: not of this form.
    """
    settings = {}
    for text in texts:
        name, equals, value = text.partition("=")
        if not equals or not name.strip() or not value.strip():
            raise UsageError(f"--set: {text!r} is not name=value")
        settings[name.strip()] = parse_value(value)
    return settings


def _yaml(kind: str) -> Any:
    from ruamel.yaml import YAML

    return YAML(typ=kind)


def load_preset(name: str) -> Config:
    """A preset of the repository by name, or a YAML file by path.

    Raises:
        UsageError: with file, line, column and reason.
    """
    path = Path(name) if name.endswith((".yaml", ".yml")) else PRESETS / f"{name}.yaml"
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        if path.parent == PRESETS:
            known = preset_names()
            raise UsageError(f"no preset {name!r}{nearest(name, known)}") from None
        raise UsageError(f"{path}: {error.strerror}") from None
    except UnicodeDecodeError:
        raise UsageError(f"{path}: not text in UTF-8") from None
    return _config(_tree(path, text), path)


def _tree(path: Path, text: str) -> Any:
    from ruamel.yaml.error import MarkedYAMLError, YAMLError

    try:
        tree = _yaml("rt").load(text)
    except MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        where = f":{mark.line + 1}:{mark.column + 1}" if mark else ""
        problem = " ".join(str(error.problem or error.context).split())
        raise UsageError(f"{path}{where}: {problem}") from None
    except (YAMLError, ValueError) as error:
        raise UsageError(f"{path}: {' '.join(str(error).split())}") from None
    if not isinstance(tree, dict):
        raise UsageError(f"{path}: not a preset: datasets, methods, seeds, recipe")
    return tree


def _config(tree: Any, path: Path) -> Config:
    try:
        preset = _Preset.model_validate(plain(tree))
    except ValidationError as error:
        location, reason = explain(error, _Preset)
        raise UsageError(f"{_place(tree, location, path)}: {reason}") from None
    variants = []
    for index, entry in enumerate(preset.methods):
        place = _place(tree, ("methods", index), path)
        if isinstance(entry, str):
            variants.append(parse_variant(entry, place))
            continue
        values = {
            name: value if isinstance(value, list) else [value]
            for name, value in entry.parameters.items()
        }
        variants.append(Variant(entry.method, values, tuple(entry.datasets), entry.label, place))
    seeds = preset.seeds if isinstance(preset.seeds, list) else [preset.seeds]
    places = {
        f"{top}.{name}": _place(tree, (top, name), path)
        for top in ("recipe", "recipes")
        for name in getattr(preset, top)
    }
    places |= {
        f"datasets.{name}": _place(tree, ("datasets", index), path)
        for index, name in enumerate(preset.datasets)
    }
    return Config(
        datasets=tuple(preset.datasets),
        variants=tuple(variants),
        seeds=parse_seeds(map(str, seeds), _place(tree, ("seeds",), path)),
        recipe=preset.recipe,
        recipes=preset.recipes,
        places=places,
    )


def plain(tree: Any) -> Any:
    """ruamel's commented types as dicts, lists and scalars."""
    if isinstance(tree, dict):
        return {str(key): plain(value) for key, value in tree.items()}
    if isinstance(tree, list):
        return [plain(value) for value in tree]
    for kind in (bool, int, float, str):
        if isinstance(tree, kind):
            return kind(tree)
    return tree


def _place(tree: Any, location: Sequence[str | int], path: Path) -> str:
    """file:line:column of a location, as far down as the tree goes."""
    line = column = 0
    for step in location:
        marks: Any = getattr(tree, "lc", None)
        try:
            line, column = marks.key(step) if isinstance(tree, dict) else marks.item(step)
            tree = tree[step]
        except (AttributeError, KeyError, IndexError, TypeError):
            break
    return f"{path}:{line + 1}:{column + 1}"


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
