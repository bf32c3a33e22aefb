"""Changes to the structure of JSON documents, whose checksums are right again."""

from __future__ import annotations

import copy
import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from hypothesis import strategies as st
from tests.end_to_end.hostile import NAMES, sealed


@dataclass(frozen=True)
class Raw:
    """A JSON value in a form that Python does not write."""

    text: str


RAW = (
    *("1e999", "-1e999", "NaN", "-Infinity", "1E2", "-0", "1.0", "9" * 400, "9" * 5000),
    *('"\\ud800"', '"\\ud83d\\ude00"', '"\\u0000"', "[" * 300 + "]" * 300, "[" * 9999 + "]" * 9999),
    *('{"a":' * 30 + "1" + "}" * 30, '{"a":1,"a":2}', '{"":{}}'),
)


NUMBERS = (0, 1, -1, 2**31, 2**62, -(2**63), 2**64, 0.5, 1e-320, 1e150, -1e300, 1.7e308, math.pi)


TEXTS = ("", "nan", "inf", "-inf", "1e5", "done", "failed", "skipped", "higher", "test", "x" * 5000)


values = st.recursive(
    st.one_of(
        st.sampled_from([Raw(text) for text in RAW]),
        st.sampled_from(NUMBERS),
        st.sampled_from([*TEXTS, *NAMES]),
        st.none() | st.booleans() | st.floats() | st.integers(),
    ),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["a", "values", "seed", *NAMES]), inner, max_size=3)
    ),
    max_leaves=6,
)


@dataclass(frozen=True)
class Change:
    """A change within a JSON value; `steps` lead to its location."""

    kind: str
    steps: Sequence[int]
    value: Any
    name: str

    def to(self, root: Any) -> None:
        """Make it, in place."""
        parent, key = root, None
        for step in self.steps:
            inner = parent if key is None else parent[key]
            if not isinstance(inner, (dict, list)) or not inner:
                break
            parent, key = (
                inner,
                (list(inner) if isinstance(inner, dict) else range(len(inner)))[step % len(inner)],
            )
        if key is None:
            return
        value = copy.deepcopy(self.value)
        if self.kind == "set":
            parent[key] = value
        elif self.kind == "alike":
            parent[key] = _alike(parent[key], sum(self.steps), self.name)
        elif self.kind == "removed":
            del parent[key]
        elif self.kind == "scaled" and isinstance(parent[key], (int, float)):
            parent[key] = parent[key] * 1e300
        elif isinstance(parent, list):
            parent.insert(0, copy.deepcopy(parent[key]) if self.kind == "doubled" else value)
        elif self.kind == "renamed":
            parent[self.name] = parent.pop(key)
        elif self.kind == "doubled":
            parent[self.name] = copy.deepcopy(parent[key])
        else:
            parent[self.name] = value


def _alike(value: Any, number: int, name: str) -> Any:
    """Return another value of the same type, or one that is allowed in its location."""
    if isinstance(value, bool):
        return not value
    if isinstance(value, int):
        return [value for value in NUMBERS if isinstance(value, int)][number % 7]
    if isinstance(value, float):
        return (*NUMBERS, "nan", "inf", "-inf")[number % (len(NUMBERS) + 3)]
    if isinstance(value, str):
        return name
    return type(value)() if isinstance(value, (dict, list)) else value


CHANGES = ("alike", "alike", "alike", "set", "removed", "added", "renamed", "doubled", "scaled")


FIELDS = (
    *("dataset", "label", "seed", "method", "status", "cell", "host", "seconds", "nll", "accuracy"),
    *("ood_auroc", "ood_auroc:total", "stage", "epoch", "train_bytes", "x:y", "a@b", "sum", "id"),
)


changes = st.lists(
    st.builds(
        Change,
        st.sampled_from(CHANGES),
        st.lists(st.integers(0, 50), min_size=1, max_size=6),
        values,
        st.sampled_from([*FIELDS, *NAMES]),
    ),
    min_size=1,
    max_size=3,
)


def as_json(value: Any) -> str:
    """Write JSON, with raw values unchanged."""
    raw: list[str] = []

    def stand_in(value: Raw) -> str:
        raw.append(value.text)
        return f"§{len(raw) - 1}§"

    text = json.dumps(value, default=stand_in, sort_keys=True, separators=(",", ":"))
    for number, raw_text in enumerate(raw):
        text = text.replace(json.dumps(f"§{number}§"), raw_text)
    return text


def changed(content: bytes, changes_made: Sequence[Change], seal: bool) -> bytes:
    """Return a record or description after changes; `seal` makes its checksum right."""
    value = json.loads(content)
    value.pop("sum")
    for change in changes_made:
        change.to(value)
    text = as_json(value).encode()
    return sealed(text) if seal else text
