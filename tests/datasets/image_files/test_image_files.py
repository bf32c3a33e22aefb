"""The datasets in files of their own formats: MNIST and its kind, CIFAR, SVHN."""

from __future__ import annotations

import os
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.datasets.dataset_files import (
    CIFAR,
    TEST,
    TRAIN,
    md5,
    pixels,
    write_cifar,
    write_idx,
    write_mnist_like,
    write_svhn,
)

from distillation_bench.datasets import DATASETS, BadData, Stream
from distillation_bench.datasets.cifar import CIFAR10, CIFAR100
from distillation_bench.datasets.image_files.image_dataset import ImageDataset
from distillation_bench.datasets.image_files.torchvision_import import torchvision_datasets
from distillation_bench.datasets.mnist import KMNIST, MNIST, EMNISTLetters, FashionMNIST
from distillation_bench.datasets.svhn import SVHN

Streams = Callable[[int], Stream]

SOURCES = [MNIST, FashionMNIST, KMNIST, EMNISTLetters, CIFAR10, CIFAR100, SVHN]


def write(cls: type[ImageDataset], root: Path, patch: pytest.MonkeyPatch) -> None:
    if issubclass(cls, MNIST):
        write_mnist_like(root, cls.files, cls.outputs, first=int(cls is EMNISTLetters))
    elif issubclass(cls, CIFAR10):
        write_cifar(root, cls.__name__, patch)
    else:
        write_svhn(root, patch)


@pytest.mark.parametrize("cls", SOURCES)
def test_splits_are_complete_and_have_the_right_types(
    cls: type[ImageDataset], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, streams: Streams
) -> None:
    assert cls(tmp_path).missing() == f"no {cls.files[0]} in {tmp_path}"
    write(cls, tmp_path, monkeypatch)
    assert cls(tmp_path).missing() == ""
    data = cls(tmp_path).load(streams(0))
    assert [len(s) for s in (data.train, data.validation, data.test)] == [36, 4, TEST]
    for split in (data.train, data.validation, data.test):
        assert split.x.dtype == np.uint8
        assert split.y.dtype == np.int64
        assert split.x.flags.c_contiguous
        assert split.x.shape[1:] == cls.shape
    assert (data.mean, data.std) == (cls.mean, cls.std)
    assert not data.shifted
    assert not data.ood
    np.testing.assert_array_equal(cls(tmp_path).test_inputs(streams(0)), data.test.x)


@pytest.mark.parametrize("cls", SOURCES)
def test_attributes_describe_the_dataset(cls: type[ImageDataset]) -> None:
    assert cls.images
    assert len(cls.mean) == len(cls.std) == cls.shape[0]
    assert all(name in DATASETS or name.endswith(("noise", "tion")) for name in cls.ood_groups)
    assert cls.name not in cls.ood_groups
    assert cls().identity() is None


@pytest.mark.parametrize(
    ("cls", "images_of_source"),
    [
        (MNIST, 60_000),
        (EMNISTLetters, 124_800),
        (CIFAR10, 50_000),
        (CIFAR100, 50_000),
        (SVHN, 73_257),
    ],
)
def test_the_number_of_training_examples_is_the_source_less_a_tenth(
    cls: type[ImageDataset], images_of_source: int
) -> None:
    assert cls.examples == images_of_source - images_of_source // 10


def test_held_out_rows_are_a_tenth_in_the_order_of_the_source(
    tmp_path: Path, streams: Streams
) -> None:
    write_mnist_like(tmp_path, MNIST.files, 10)
    everything = pixels((TRAIN, 28, 28), TRAIN)
    row_of = {image.tobytes(): row for row, image in enumerate(everything)}
    data, data_of_seed_1 = (MNIST(tmp_path).load(streams(seed)) for seed in (0, 1))
    train, validation = (
        [row_of[image.tobytes()] for image in split.x] for split in (data.train, data.validation)
    )
    assert train == sorted(train)
    assert validation == sorted(validation)
    assert sorted(train + validation) == list(range(TRAIN))
    np.testing.assert_array_equal(data.validation.y, np.array(validation) % 10)
    assert data.validation.x.tobytes() != data_of_seed_1.validation.x.tobytes()
    assert data.test.x.tobytes() == data_of_seed_1.test.x.tobytes()


def test_letters_are_upright_and_labels_count_from_0(tmp_path: Path) -> None:
    write_mnist_like(tmp_path, EMNISTLetters.files, 26, first=1)
    split = EMNISTLetters(tmp_path).read("test")
    np.testing.assert_array_equal(split.x[:, 0], pixels((TEST, 28, 28), TEST).transpose(0, 2, 1))
    np.testing.assert_array_equal(split.y, np.arange(TEST) % 26)


def test_cifar_is_channels_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_cifar(tmp_path, "CIFAR10", monkeypatch)
    split = CIFAR10(tmp_path).read("train")
    batches = [pixels((8, 3072), number).reshape(8, 3, 32, 32) for number in range(5)]
    np.testing.assert_array_equal(split.x, np.concatenate(batches))


def test_house_numbers_are_channels_first_and_label_10_is_0(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_svhn(tmp_path, monkeypatch)
    split = SVHN(tmp_path).read("test")
    source = pixels((32, 32, 3, TEST), TEST)
    np.testing.assert_array_equal(split.x[7, 1], source[:, :, 1, 7])
    assert split.y[:10].tolist() == [1, 2, 3, 4, 5, 6, 7, 8, 9, 0]


@pytest.mark.parametrize("length", [0, 3, 100])
def test_a_truncated_idx_file_is_named(tmp_path: Path, length: int) -> None:
    write_mnist_like(tmp_path, MNIST.files, 10)
    file = tmp_path / MNIST.files[0]
    file.write_bytes(file.read_bytes()[:length])
    with pytest.raises(BadData) as caught:
        MNIST(tmp_path).read("train")
    assert str(caught.value).startswith(f"{file}: not a whole IDX file of images")
    assert "\n" not in str(caught.value)


def test_labels_that_do_not_fit_are_named(tmp_path: Path) -> None:
    write_mnist_like(tmp_path, MNIST.files, 10)
    write_idx(tmp_path / MNIST.files[1], np.full(TRAIN, 10))
    with pytest.raises(BadData, match=r"train-images-idx3-ubyte: labels 10 to 10, not 0 to 9"):
        MNIST(tmp_path).read("train")
    write_idx(tmp_path / MNIST.files[1], np.zeros(7))
    with pytest.raises(BadData, match="7 labels for 40 images"):
        MNIST(tmp_path).read("train")


def test_images_of_another_size_are_refused(tmp_path: Path) -> None:
    write_mnist_like(tmp_path, MNIST.files, 10)
    write_idx(tmp_path / MNIST.files[2], pixels((TEST, 14, 14)))
    with pytest.raises(BadData, match=r"images uint8 \(1, 14, 14\), not uint8 \(1, 28, 28\)"):
        MNIST(tmp_path).read("test")


class Trap:
    """Makes a folder when it is unpickled."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (str(self.folder),)


@pytest.mark.parametrize("kind", CIFAR)
@pytest.mark.parametrize("file_kind", ["batch", "meta"])
def test_no_pickle_of_another_checksum_is_opened(
    kind: str, file_kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_cifar(tmp_path, kind, monkeypatch)
    cls, trap = {"CIFAR10": CIFAR10, "CIFAR100": CIFAR100}[kind], Trap(tmp_path / "sprung")
    file = tmp_path / cls.files[0 if file_kind == "batch" else -1]
    file.write_bytes(pickle.dumps(trap))
    with pytest.raises(BadData, match=f"{file.name}: not the original file"):
        cls(tmp_path).read("train")
    with pytest.raises(RuntimeError):  # torchvision's own check, the guard behind ours
        getattr(torchvision_datasets(), kind)(tmp_path, train=True)
    assert not trap.folder.exists()


def test_a_changed_mat_file_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_svhn(tmp_path, monkeypatch)
    file = tmp_path / "train_32x32.mat"
    file.write_bytes(file.read_bytes()[:5000])
    with pytest.raises(BadData, match=r"train_32x32\.mat: not the original file"):
        SVHN(tmp_path).read("train")


def test_a_mat_file_that_can_not_be_read_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_svhn(tmp_path, monkeypatch)
    file = tmp_path / "train_32x32.mat"
    file.write_bytes(b"nothing of the kind")
    checksums = torchvision_datasets().SVHN.split_list
    monkeypatch.setitem(checksums, "train", [checksums["train"][0], file.name, md5(file)])
    with pytest.raises(BadData, match=r"train_32x32\.mat: not a whole \.mat file"):
        SVHN(tmp_path).read("train")


@pytest.mark.parametrize("cls", SOURCES)
def test_a_failed_download_is_one_line(
    cls: type[ImageDataset], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    reader = {
        EMNISTLetters: "EMNIST",
        **{source: source.__name__ for source in SOURCES if source is not EMNISTLetters},
    }[cls]
    folders: list[Path] = []

    def fail(root: Path, **options: Any) -> None:
        assert options["download"]
        folders.append(root)
        raise RuntimeError("Error downloading:\nTried here\nand there")

    monkeypatch.setattr(torchvision_datasets(), reader, fail)
    with pytest.raises(BadData) as caught:
        cls(tmp_path).download()
    assert folders == [tmp_path]
    reason = "Error downloading: Tried here and there"
    assert str(caught.value) == f"{cls.name} could not be fetched into {tmp_path}: {reason}"
