"""JSON that ends with a hash of itself, and is read again before it is written."""

from __future__ import annotations

import contextlib
import hashlib
import math
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from distillation_bench.bench.common.errors import UsageError
from distillation_bench.bench.common.files import MAX_BYTES
from distillation_bench.bench.common.text import truncated
from distillation_bench.bench.storage.formats.schema import HUGE, plain_json


class Seal(NamedTuple):
    """The last entry of a text of JSON, its hash: checked without writing JSON again.

    Attributes:
        before: what stands between the other entries and the hash.
        end: the end of the text.
    """

    before: bytes
    end: bytes

    def sealed(self, text: bytes) -> bytes:
        """The text with its hash."""
        return text.removesuffix(self.end) + self.before + self._hash(text) + b'"' + self.end

    def holds(self, text: bytes) -> bool:
        """Whether a text ends with the hash of the rest."""
        rest, _, hash_and_end = text.rpartition(self.before)
        return hash_and_end == self._hash(rest + self.end) + b'"' + self.end

    def _hash(self, text: bytes) -> bytes:
        return hashlib.sha256(text).hexdigest()[:16].encode()


OF_RECORDS = Seal(b',"sum":"', b"}")
OF_RUN = Seal(b',\n "sum": "', b"\n}")


def encode(value: Any) -> Any:
    """Plain JSON: non-finite numbers as the text that `float` reads back.

    What is too large to be squared and added up is infinite.
    """
    if isinstance(value, float) and not abs(value) < HUGE:
        return "nan" if math.isnan(value) else "inf" if value > 0 else "-inf"
    if isinstance(value, Mapping):
        return {key: encode(each) for key, each in value.items()}
    if isinstance(value, (list, tuple)):
        return [encode(each) for each in value]
    return value


class Unreadable(UsageError):
    """What was to be written could not be read again; nothing was written.

    Attributes:
        flaw: why not.
    """

    def __init__(self, path: Path, flaw: str) -> None:
        super().__init__(f"{path}: what would be written could not be read again ({flaw})")
        self.flaw = flaw


@contextlib.contextmanager
def readable(path: Path) -> Iterator[None]:
    """Make a file's content and read it again within this: whatever fails makes it Unreadable."""
    try:
        yield
    except RecursionError:
        raise Unreadable(path, "nested too deeply") from None
    except Exception as error:
        raise Unreadable(path, truncated(str(error) or type(error).__name__, 300)) from None


def checked(text: bytes, flaw_of: Callable[[Any], str]) -> bytes:
    """The text of a JSON file that can be read.

    Raises:
        ValueError: it can't.
    """
    if flaw := flaw_of(plain_json(text)):
        raise ValueError(flaw)
    if len(text) > MAX_BYTES:
        raise ValueError("too large")
    return text
