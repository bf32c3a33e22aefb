"""JSON of records and of run.json: plain values, with a checksum of the text as the last entry."""

from __future__ import annotations

import hashlib
import json
import math
import re
from collections.abc import Mapping
from typing import Any, NamedTuple

from distillation_bench.bench.storage.formats.limits import VALUE_BOUND

_SURROGATE = re.compile(rb"\\u[dD][89a-fA-F]")


class Checksum(NamedTuple):
    """The last entry of a JSON object: a hash of the text without it.

    It is checked on the text, so that nothing has to be encoded again.

    Attributes:
        start: what stands between the other entries and the hash.
        end: what ends the text.
    """

    start: bytes
    end: bytes

    def append(self, text: bytes) -> bytes:
        """Return the text with its checksum."""
        return text.removesuffix(self.end) + self.start + self._hash(text) + b'"' + self.end

    def matches(self, text: bytes) -> bool:
        """Whether a text ends with the checksum of the rest."""
        rest, _, hash_and_end = text.rpartition(self.start)
        return hash_and_end == self._hash(rest + self.end) + b'"' + self.end

    def _hash(self, text: bytes) -> bytes:
        return hashlib.sha256(text).hexdigest()[:16].encode()


RECORD_CHECKSUM = Checksum(b',"sum":"', b"}")
MANIFEST_CHECKSUM = Checksum(b',\n "sum": "', b"\n}")


def parse_json(text: bytes) -> Any:
    """Return the value of a JSON text.

    Raises:
        ValueError: it is not JSON, is nested too deeply, or holds text that cannot be encoded.
    """
    try:
        value = json.loads(text.decode())
        if _SURROGATE.search(text):
            # A lone surrogate cannot be encoded.
            json.dumps(value, ensure_ascii=False).encode()
    except RecursionError:
        raise ValueError("nested too deeply") from None
    return value


def encodable(value: Any) -> Any:
    """Return a value in which numbers that are not finite are text that `float` reads back.

    Numbers beyond VALUE_BOUND count as infinite.
    """
    if isinstance(value, float) and not abs(value) < VALUE_BOUND:
        return "nan" if math.isnan(value) else "inf" if value > 0 else "-inf"
    if isinstance(value, Mapping):
        return {key: encodable(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [encodable(item) for item in value]
    return value
