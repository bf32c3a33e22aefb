"""Values as the command line writes them: seeds, variants of methods, settings of the recipe."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

from distillation_bench.bench.common.errors import UsageError
from distillation_bench.bench.planning.configuration.config import Variant
from distillation_bench.bench.planning.configuration.yaml_documents import BadNumber, parse_yaml
from distillation_bench.bench.storage.formats.limits import MAX_SEED

MAX_SEEDS = 100_000
"""The largest number of seeds in one range."""
_VARIANT = re.compile(r"\s*([^\[\]\s]+)\s*(?:\[([^\[\]]*)\])?\s*")
_SEEDS = re.compile(r"([0-9]+)(?:-([0-9]+))?")


def parse_seeds(texts: Iterable[str], location: str = "-s") -> tuple[int, ...]:
    """Return the seeds that texts such as `0-2` or `0,4` name, ascending and each once.

    Raises:
        UsageError: a text is not a seed or a range of seeds.
    """
    seeds: set[int] = set()
    for text in texts:
        for part in text.split(","):
            seeds.update(_seed_range(part.strip(), location))
    return tuple(sorted(seeds))


def _seed_range(text: str, location: str) -> range:
    match = _SEEDS.fullmatch(text)
    if match is None:
        raise UsageError(f"{location}: {text!r} is not a seed or a range such as 0-2")
    first, last = _seed(match[1]), _seed(match[2] or match[1])
    if last > MAX_SEED:
        raise UsageError(f"{location}: {text!r}: seeds are 0 to {MAX_SEED} (2^32 - 1)")
    if last < first:
        raise UsageError(f"{location}: {text!r}: the first seed is greater than the last")
    seeds = range(first, last + 1)
    if len(seeds) > MAX_SEEDS:
        raise UsageError(f"{location}: {text!r} is {len(seeds):,} seeds; at most {MAX_SEEDS:,}")
    return seeds


def _seed(digits: str) -> int:
    # Python refuses to convert more than 4,300 digits.
    return int(digits) if len(digits.lstrip("0")) <= 10 else MAX_SEED + 1


def parse_variant(text: str, location: str = "-m") -> Variant:
    """Parse `method`, `method[parameter=value]` or `method[parameter=value,value,other=value]`.

    Raises:
        UsageError: the text is not of this form.
    """
    match = _VARIANT.fullmatch(text)
    if match is None:
        raise UsageError(f"{location}: {text!r} is not name or name[parameter=value,value]")
    values: dict[str, list[Any]] = {}
    parameter = ""
    for part in _split(match[2] or ""):
        name, equals, value = part.partition("=")
        if equals:
            parameter = name.strip()
            if parameter in values:
                raise UsageError(f"{location}: {text!r} gives {parameter!r} twice")
            values[parameter] = []
        else:
            value = part
        if not parameter or not value.strip():
            raise UsageError(f"{location}: {text!r}: {part.strip()!r} is not parameter=value")
        values[parameter].append(parse_scalar(value, f"{location}: {text!r}"))
    return Variant(match[1], values, location=location)


def _split(text: str) -> list[str]:
    """Split at the commas that are not within parentheses."""
    return re.split(r",(?![^()]*\))", text) if text.strip() else []


def parse_settings(texts: Iterable[str]) -> dict[str, Any]:
    """Parse `name=value` and, for options of the network, `network.option=value`.

    Raises:
        UsageError: a text is not of this form, or a name is given twice.
    """
    settings: dict[str, Any] = {}
    for text in texts:
        name, equals, value = text.partition("=")
        name = name.strip()
        if not equals or not name or not value.strip():
            raise UsageError(f"--set: {text!r} is not name=value")
        group, _, option = name.partition(".")
        is_network = group == "network"
        if is_network and not option:
            raise UsageError(f"--set: {text!r} is not network.OPTION=VALUE (list networks)")
        target, key = (settings.setdefault(group, {}), option) if is_network else (settings, name)
        if key in target:
            raise UsageError(f"--set: {name} is given twice")
        target[key] = parse_scalar(value, "--set", lists=is_network)
    return settings


def parse_scalar(text: str, location: str, lists: bool = False) -> Any:
    """Parse a YAML scalar: 5 is an integer, 5e-4 a float, true a boolean, anything else text.

    Args:
        text: the scalar.
        location: where it was given, for error messages.
        lists: whether a list is allowed too.

    Raises:
        UsageError: it is neither a scalar nor, where lists are allowed, a list.
    """
    try:
        value = parse_yaml(text.strip())
    except BadNumber as error:
        raise UsageError(f"{location}: {text.strip()!r} is {error}") from None
    except Exception:  # The parser raises more than YAMLError.
        value = [text]
    if isinstance(value, (dict, set)) or (isinstance(value, list) and not lists):
        raise UsageError(f"{location}: {text.strip()!r} is not a single value")
    return value
