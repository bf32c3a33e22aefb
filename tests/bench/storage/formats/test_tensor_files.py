from __future__ import annotations

import io
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from safetensors.numpy import load, save

from distillation_bench.bench.storage.cache import Cache
from distillation_bench.bench.storage.formats.tensor_files import LazyArray, write_tensors
from distillation_bench.bench.training.data_preparation import _shifted, _shifted_images
from distillation_bench.bench.training.teacher import chunks
from distillation_bench.datasets.base import Split
from distillation_bench.datasets.shifts import shifted

TYPES = ("float64", "float32", "float16", "int64", "int32", "uint8", "bool")
SHAPES = ((), (0,), (3,), (2, 5), (1, 0, 4), (7, 1, 3))


def written(arrays: dict[str, np.ndarray | LazyArray]) -> bytes:
    file = io.BytesIO()
    write_tensors(file, arrays)
    return file.getvalue()


@given(st.lists(st.tuples(st.sampled_from(TYPES), st.sampled_from(SHAPES)), max_size=6))
def test_the_bytes_equal_those_of_safetensors(kinds: list[tuple[str, tuple[int, ...]]]) -> None:
    rng = np.random.default_rng(0)
    arrays = {
        f"n{number}/\N{GREEK SMALL LETTER LAMDA}": np.array(rng.integers(2, size=shape), dtype)
        for number, (dtype, shape) in enumerate(kinds)
    }
    back = load(written(dict(arrays)))
    assert set(back) == set(arrays)
    for name, array in arrays.items():
        assert (back[name].dtype, back[name].shape) == (array.dtype, array.shape)
        np.testing.assert_array_equal(back[name], array)
    assert len(written(dict(arrays))) <= len(save(arrays)) + 64


def test_the_memory_layout_does_not_change_the_file(tmp_path: Path) -> None:
    array = np.arange(24, dtype=np.float32).reshape(2, 3, 4).transpose(2, 0, 1)
    cache = Cache(tmp_path)
    cache.save("data-x", {"odd": np.arange(3, dtype=np.uint8), "array": array}, {})
    np.testing.assert_array_equal(cache.load("data-x")["array"].numpy(), array)


def test_lazy_arrays_are_never_in_memory_together(tmp_path: Path) -> None:
    size = 2**20

    def make(value: int) -> Callable[[], np.ndarray]:
        return lambda: np.full(size, value, np.uint8)

    arrays = {str(n): LazyArray((size,), np.dtype(np.uint8), make(n)) for n in range(20)}
    cache = Cache(tmp_path)
    tracemalloc.start()
    cache.save("sets-x", arrays, {})
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 4 * size
    assert [int(array[0]) for _, array in sorted(cache.load("sets-x").items())][:3] == [0, 1, 10]


def test_a_lazy_array_must_have_its_announced_shape() -> None:
    later = LazyArray((3,), np.dtype(np.uint8), lambda: np.zeros(4, np.uint8))
    with pytest.raises(ValueError, match=r"x: uint8 \(4,\), not uint8 \(3,\)"):
        written({"x": later})


def test_images_are_shifted_in_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    x = np.random.default_rng(0).integers(256, size=(7, 3, 9, 12), dtype=np.uint8)
    monkeypatch.setattr(
        "distillation_bench.bench.training.data_preparation.CHUNK_BYTES", 2 * x[0].nbytes
    )
    names = ("rotation", "horizontal-shift", "vertical-shift", "brightness")
    arrays = _shifted(Split(x, np.arange(7)), names)
    assert len(arrays) == 2 * 4 * 5
    assert all(
        isinstance(array, LazyArray) for name, array in arrays.items() if name.endswith(".x")
    )
    for name in names:
        at_once = shifted(torch.from_numpy(x), name, 3).numpy()
        np.testing.assert_array_equal(_shifted_images(x, name, 3), at_once)


@pytest.mark.parametrize(
    ("shape", "size"),
    [
        ((1000, 64), 256),
        ((1000, 3, 32, 32), 256),
        ((1000, 1, 8, 8), 256),
        ((1000, 3, 64, 64), 64),
        ((1000, 3, 32, 48), 170),
        ((9, 3, 1000, 1000), 1),
    ],
)
def test_chunks_of_larger_images_are_smaller(shape: tuple[int, ...], size: int) -> None:
    parts = chunks(torch.empty(1).expand(shape))
    assert len(parts[0]) == size and sum(map(len, parts)) == shape[0]
