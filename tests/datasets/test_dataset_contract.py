"""The contract of datasets, checked on every registered one that needs no file."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
import pytest

from distillation_bench.datasets import DATASETS, Dataset, DatasetArrays, Split, Stream

Streams = Callable[[int], Stream]
Loaded = tuple[type[Dataset], DatasetArrays]


@pytest.fixture(scope="module", params=[name for name, cls in DATASETS.items() if not cls.images])
def loaded(request: pytest.FixtureRequest, streams: Streams) -> Loaded:
    cls = DATASETS[request.param]
    return cls, cls().load(streams(0))


def arrays(data: DatasetArrays) -> Iterator[tuple[str, np.ndarray]]:
    named = {"train": data.train, "validation": data.validation, "test": data.test}
    splits = {**named, **{f"{shift}-{level}": s for (shift, level), s in data.shifted.items()}}
    if data.canvas is not None:
        splits["canvas"] = data.canvas
    for name, split in splits.items():
        yield f"{name}.x", split.x
        yield f"{name}.y", split.y
    for name, x in data.ood.items():
        yield f"ood {name}", x


def test_arrays_are_contiguous_finite_and_typed(loaded: Loaded) -> None:
    cls, data = loaded
    target = np.int64 if cls.task == "classification" else np.float32
    for name, array in arrays(data):
        assert array.flags.c_contiguous, name
        assert np.isfinite(array).all(), name
        assert array.dtype == (target if name.endswith(".y") else np.float32), name
        if not name.endswith(".y"):
            assert array.shape[1:] == cls.shape, name


def test_the_number_of_training_examples_is_as_announced(loaded: Loaded) -> None:
    cls, data = loaded
    assert len(data.train) == cls.examples


def test_targets_are_within_the_outputs(loaded: Loaded) -> None:
    cls, data = loaded
    if cls.task == "regression":
        assert cls.outputs == 2
        return
    for split in (data.train, data.validation, data.test):
        assert set(split.y.tolist()) == set(range(cls.outputs))


def test_shifted_and_ood_sets_are_as_announced(loaded: Loaded) -> None:
    cls, data = loaded
    assert list(data.ood) == list(cls.ood_groups)
    assert list(data.shifted) == [(shift, s) for shift in cls.shifts for s in range(1, 6)]
    for split in data.shifted.values():
        np.testing.assert_array_equal(split.y, data.test.y)


def test_no_input_is_in_two_splits_or_twice_in_one(loaded: Loaded) -> None:
    _, data = loaded
    rows = [row.tobytes() for s in (data.train, data.validation, data.test) for row in s.x]
    assert len(set(rows)) == len(rows)


def test_equal_seeds_give_equal_bits_and_other_seeds_other_splits(
    loaded: Loaded, streams: Streams
) -> None:
    cls, data = loaded
    for (name, a), (_, b) in zip(arrays(data), arrays(cls().load(streams(0))), strict=True):
        assert a.tobytes() == b.tobytes(), name
    other_seed = cls().load(streams(1))
    for a, b in ((data.train.x, other_seed.train.x), (data.test.x, other_seed.test.x)):
        assert a.tobytes() != b.tobytes()
    for name, x in data.ood.items():
        if name != "digits-8-9":  # all there are, whatever the seed
            assert x.tobytes() != other_seed.ood[name].tobytes()


def test_every_purpose_has_its_own_stream(loaded: Loaded, streams: Streams) -> None:
    cls, data = loaded
    names: list[str] = []

    def spy(name: str) -> np.random.Generator:
        names.append(name)
        return streams(7 if name.startswith("ood/") else 0)(name)

    other_ood = cls().load(spy)
    assert len(names) == len(set(names))
    for split in ("train", "validation", "test"):
        assert getattr(data, split).x.tobytes() == getattr(other_ood, split).x.tobytes()


def test_description_is_complete(loaded: Loaded) -> None:
    cls, _ = loaded
    assert "\n" not in cls.summary
    assert cls.source
    assert set(cls.defaults) == {"temperature", "a", "b"}


def test_split_needs_a_target_per_input() -> None:
    with pytest.raises(ValueError, match="2 for 3"):
        Split(np.zeros((3, 1), np.float32), np.zeros(2, np.int64))
