"""Files of named arrays in the format of safetensors, written one array after another.

The library's own writer takes all arrays at once and copies them: a dataset's evaluation sets would
need twice their memory.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import BinaryIO

import numpy as np

_KINDS = {
    "float64": "F64",
    "float32": "F32",
    "float16": "F16",
    "int64": "I64",
    "int32": "I32",
    "int16": "I16",
    "int8": "I8",
    "uint64": "U64",
    "uint32": "U32",
    "uint16": "U16",
    "uint8": "U8",
    "bool": "BOOL",
}
_ALIGNMENT = 8


@dataclass(frozen=True)
class LazyArray:
    """An array that is made when it is written, and not kept."""

    shape: tuple[int, ...]
    dtype: np.dtype
    make: Callable[[], np.ndarray]


def write_tensors(file: BinaryIO, arrays: Mapping[str, np.ndarray | LazyArray]) -> None:
    """Write named arrays, those of wide types first, so that each array is aligned.

    Raises:
        ValueError: a lazy array does not have the shape or type that it declares.
    """
    names = sorted(arrays, key=lambda name: (-arrays[name].dtype.itemsize, name))
    header, end = {}, 0
    for name in names:
        shape, dtype = arrays[name].shape, arrays[name].dtype
        start, end = end, end + int(np.prod(shape, dtype=np.int64)) * dtype.itemsize
        kind = {"dtype": _KINDS[dtype.name], "shape": list(shape)}
        header[name] = {**kind, "data_offsets": [start, end]}
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % _ALIGNMENT)
    file.write(len(text).to_bytes(8, "little") + text)
    for name in names:
        file.write(_bytes_of(name, arrays[name]))


def _bytes_of(name: str, array: np.ndarray | LazyArray) -> memoryview:
    made = array.make() if isinstance(array, LazyArray) else array
    if (made.shape, made.dtype) != (array.shape, array.dtype):
        raise ValueError(f"{name}: {made.dtype} {made.shape}, not {array.dtype} {array.shape}")
    return np.ascontiguousarray(made, made.dtype.newbyteorder("<")).reshape(-1).view(np.uint8).data
