"""Presets: YAML files of the repository or of the user, read and checked for form.

Every error is a `UsageError` of one line with file, line and column.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

from distillation_bench.bench.common.errors import UsageError, nearest
from distillation_bench.bench.planning.configuration.config import Config, Variant
from distillation_bench.bench.planning.configuration.option_values import (
    parse_seeds,
    parse_variant,
)
from distillation_bench.bench.planning.configuration.validation_errors import first_error
from distillation_bench.bench.planning.configuration.yaml_documents import Document, one_line

PRESETS = Path(__file__).parents[1] / "presets"


class _MethodEntry(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)
    method: str
    parameters: dict[str, Any] = {}
    datasets: list[str] = []
    label: str = ""


class _Preset(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)
    datasets: list[str] = []
    # An entry is a text or a mapping. The errors of a union would describe both.
    methods: list[Any] = []
    seeds: Any = "0-2"
    recipe: dict[str, Any] = {}
    recipes: dict[str, dict[str, Any]] = {}
    ood: list[str] = []
    corruptions: str = ""


def preset_names() -> list[str]:
    """Return the names of the repository's presets."""
    return sorted(path.stem for path in PRESETS.glob("*.yaml"))


def load_preset(name: str) -> Config:
    """Read a preset of the repository by name, or a YAML file by path.

    Raises:
        UsageError: there is no such preset, or something in it is wrong.
    """
    path = Path(name) if name.endswith((".yaml", ".yml")) else PRESETS / f"{name}.yaml"
    text = _read(path, name)
    try:
        return _config(Document(path, text))
    except RecursionError:
        raise UsageError(f"{path}: nested too deeply") from None


def _read(path: Path, name: str) -> str:
    try:
        if path.is_fifo() or path.is_char_device():
            raise UsageError(f"{path}: not a regular file")
        return path.read_text(encoding="utf-8")
    except OSError as error:
        if path.parent == PRESETS:
            raise UsageError(f"no preset {name!r}{nearest(name, preset_names())}") from None
        raise UsageError(f"{path}: {error.strerror}") from None
    except UnicodeDecodeError:
        raise UsageError(f"{path}: not text in UTF-8") from None


def _config(document: Document) -> Config:
    if not isinstance(document.value, dict):
        raise UsageError(
            f"{document.location()}: not a preset: not a mapping of datasets, methods, seeds"
        )
    preset = _validate(_Preset, document.value, document)
    variants = (_variant(entry, document, index) for index, entry in enumerate(preset.methods))
    return Config(
        datasets=tuple(preset.datasets),
        variants=tuple(variants),
        seeds=_seeds(preset.seeds, document),
        recipe=preset.recipe,
        recipes=preset.recipes,
        locations=_locations(preset, document),
        ood=tuple(preset.ood),
        corruptions=preset.corruptions,
    )


AnyModel = TypeVar("AnyModel", bound=BaseModel)


def _validate(model: type[AnyModel], value: Any, document: Document, *path: str | int) -> AnyModel:
    try:
        return model.model_validate(value)
    except ValidationError as error:
        rest, reason = first_error(error, model)
        raise UsageError(f"{document.location(*path, *rest)}: {one_line(reason)}") from None


def _locations(preset: _Preset, document: Document) -> dict[str, str]:
    """By dotted path, the locations of datasets and of the recipes' values."""
    recipes: dict[tuple[str, ...], dict[str, Any]] = {("recipe",): preset.recipe}
    recipes |= {("recipes", name): values for name, values in preset.recipes.items()}
    paths: list[tuple[Any, ...]] = [("recipes", name) for name in preset.recipes]
    for start, values in recipes.items():
        paths += [(*start, name) for name in values]
        network = values.get("network")
        options = list(network) if isinstance(network, dict) else []
        paths += [(*start, "network", option) for option in options]
    locations = {".".join(map(str, path)): document.location(*path) for path in paths}
    for index, name in enumerate(preset.datasets):
        locations[f"datasets.{name}"] = document.location("datasets", index)
    return locations


def _variant(entry: Any, document: Document, index: int) -> Variant:
    location = document.location("methods", index)
    if isinstance(entry, str):
        return parse_variant(entry, location)
    if not isinstance(entry, dict):
        raise UsageError(
            f"{location}: {entry!r} is neither the name of a method nor a mapping with method: NAME"
        )
    method = _validate(_MethodEntry, entry, document, "methods", index)
    if "label" in entry:
        _check_label(method.label, document.location("methods", index, "label"))
    values = {
        name: value if isinstance(value, list) else [value]
        for name, value in method.parameters.items()
    }
    locations = {name: document.location("methods", index, "parameters", name) for name in values}
    for name in values:
        if not values[name]:
            raise UsageError(f"{locations[name]}: no value for {name!r}")
    datasets = tuple(method.datasets)
    return Variant(method.method, values, datasets, method.label, location, locations)


def _check_label(label: str, location: str) -> None:
    if not label or label != label.strip() or not label.isprintable():
        raise UsageError(
            f"{location}: {label!r} can't be used as a label: it is blank, or can't be printed"
        )


def _seeds(value: Any, document: Document) -> tuple[int, ...]:
    location = document.location("seeds")
    if value == []:
        raise UsageError(f"{location}: no seeds")
    if not isinstance(value, list):
        return parse_seeds([str(value)], location)
    seeds: set[int] = set()
    for index, entry in enumerate(value):
        seeds.update(parse_seeds([str(entry)], document.location("seeds", index)))
    return tuple(sorted(seeds))
