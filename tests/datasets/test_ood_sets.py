from __future__ import annotations

import shutil
from collections.abc import Callable
from math import erfc, sqrt
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from tests.datasets.dataset_files import (
    TEST,
    write_classes,
    write_images,
    write_mnist_like,
    write_svhn,
)

from distillation_bench.datasets import BadData, Dataset, DatasetArrays, Stream, UnknownDataset
from distillation_bench.datasets.image_files.image_dataset import SYNTHETIC
from distillation_bench.datasets.mnist import KMNIST, MNIST
from distillation_bench.datasets.ood_sets import load_ood, ood_group, ood_identity, ood_missing
from distillation_bench.datasets.svhn import SVHN

Streams = Callable[[int], Stream]


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    write_mnist_like(tmp_path, MNIST.files, 10)
    write_svhn(tmp_path, monkeypatch)
    return tmp_path


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("emnist-letters", ("emnist-letters", "near")),
        ("kmnist", ("kmnist", "far")),
        ("svhn", ("svhn", "far")),
        ("near:svhn", ("svhn", "near")),
        ("far:emnist-letters", ("emnist-letters", "far")),
        ("folder:a:b", ("folder:a:b", "far")),
        ("near:folder:a:b", ("folder:a:b", "near")),
    ],
)
def test_the_group_is_that_of_the_user_or_the_dataset_or_far(
    text: str, expected: tuple[str, str]
) -> None:
    assert ood_group(text, MNIST) == expected


def test_a_dataset_is_not_far_from_itself() -> None:
    with pytest.raises(BadData, match="mnist is the dataset itself"):
        ood_group("near:mnist", MNIST)


def test_missing_files_are_named(root: Path) -> None:
    assert ood_missing("svhn", root) == ""
    assert ood_missing("kmnist", root) == f"no {KMNIST.files[0]} in {root}"
    assert all(ood_missing(name, root) == "" for name in SYNTHETIC)


@pytest.mark.parametrize(
    ("name", "error", "message"),
    [
        ("svnh", UnknownDataset, "no OOD set 'svnh'; did you mean 'svhn'?"),
        ("uniform-nose", UnknownDataset, "did you mean 'uniform-noise'?"),
        ("spiral", BadData, "spiral is no dataset of images"),
        ("folder:nowhere", UnknownDataset, "'folder:nowhere': no folder nowhere"),
    ],
)
def test_unknown_sets_are_refused(
    name: str, error: type[Exception], message: str, root: Path
) -> None:
    for function in (ood_missing, ood_identity):
        with pytest.raises(error) as caught:
            function(name, root)
        assert message in str(caught.value)


def test_colour_becomes_grey_by_luma_and_is_resized_with_antialias(
    root: Path, streams: Streams
) -> None:
    result = load_ood("svhn", MNIST, root, streams(0))
    assert result.shape == (TEST, 1, 28, 28)
    assert result.dtype == np.uint8
    grey = SVHN(root).read("test").x.transpose(0, 2, 3, 1) @ np.array((0.299, 0.587, 0.114))
    for image, expected in zip(result, grey, strict=True):
        resized = Image.fromarray(expected.astype(np.float32)).resize(
            (28, 28), Image.Resampling.BILINEAR
        )
        assert np.abs(image[0] - np.asarray(resized)).max() < 0.51


def test_grey_becomes_colour_by_repetition(root: Path, streams: Streams) -> None:
    result = load_ood("mnist", SVHN, root, streams(0))
    assert result.shape == (TEST, 3, 32, 32)
    assert result.flags.c_contiguous
    np.testing.assert_array_equal(result[:, 0], result[:, 1])
    np.testing.assert_array_equal(result[:, 0], result[:, 2])


def test_images_that_fit_are_left_as_they_are(root: Path, streams: Streams) -> None:
    write_mnist_like(root, KMNIST.files, 10)
    result = load_ood("kmnist", MNIST, root, streams(0))
    np.testing.assert_array_equal(result, KMNIST(root).read("test").x)


@pytest.mark.parametrize(
    "name", ["svhn", "folder", "uniform-noise", "gaussian-noise", "pixel-permutation"]
)
def test_a_limit_takes_the_same_images_for_a_seed(
    name: str, root: Path, tmp_path_factory: pytest.TempPathFactory, streams: Streams
) -> None:
    if name == "folder":
        folder = tmp_path_factory.mktemp("images") / "flat"
        write_images(folder, 9, side=28)
        name = f"folder:{folder}"
    sets = [load_ood(name, MNIST, root, streams(seed), 5) for seed in (0, 0, 1)]
    assert all(images.shape == (5, 1, 28, 28) for images in sets)
    assert sets[0].tobytes() == sets[1].tobytes()
    assert sets[0].tobytes() != sets[2].tobytes()


def test_limited_rows_keep_their_order(root: Path, streams: Streams) -> None:
    full = load_ood("svhn", MNIST, root, streams(0))
    part = load_ood("svhn", MNIST, root, streams(0), 7)
    rows = [next(r for r in range(TEST) if np.array_equal(full[r], image)) for image in part]
    assert rows == sorted(set(rows))


@pytest.mark.parametrize(
    ("tests", "limit", "count"), [(20, None, 20), (20, 7, 7), (12_000, None, 10_000)]
)
@pytest.mark.parametrize("name", ["uniform-noise", "gaussian-noise"])
def test_a_noise_set_has_as_many_images_as_the_test_set(
    name: str,
    tests: int,
    limit: int | None,
    count: int,
    streams: Streams,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    images = np.zeros((tests, 2, 16, 16), np.uint8)
    monkeypatch.setattr(Bright, "test_inputs", lambda self, stream: images)
    assert load_ood(name, Bright, Path(), streams(0), limit).shape == (count, 2, 16, 16)


def test_uniform_noise_is_uniform(streams: Streams) -> None:
    noise = load_ood("uniform-noise", Bright, Path(), streams(0))
    counts = np.bincount(noise.ravel(), minlength=256)
    expected = noise.size / 256
    chi_squared = ((counts - expected) ** 2 / expected).sum()
    assert abs(chi_squared - 255) < 5 * np.sqrt(2 * 255)


class Bright(Dataset):
    """Test images whose channels have known moments: 100 ± 10 and 150 ± 20."""

    name = "bright"
    summary = "bright"
    source = "here"
    task = "classification"
    shape = (2, 16, 16)
    outputs = 2
    examples = 1
    network = {"family": "lenet"}
    recipe = MNIST.recipe
    defaults = MNIST.defaults
    ood_groups = SYNTHETIC
    shifts = ()

    def load(self, stream: Stream) -> DatasetArrays:
        raise AssertionError("the test inputs are enough")

    def test_inputs(self, stream: Stream) -> np.ndarray:
        signs = np.where(np.arange(256).reshape(16, 16) % 2, 1, -1)
        planes = np.stack((100 + 10 * signs, 150 + 20 * signs))
        return np.tile(planes, (1000, 1, 1, 1)).astype(np.uint8)


def test_gaussian_noise_has_the_moments_of_each_channel(streams: Streams) -> None:
    noise = load_ood("gaussian-noise", Bright, Path(), streams(0), 1000)
    for channel, mean, std in ((0, 100, 10), (1, 150, 20)):
        values = noise[:, channel].astype(np.float64)
        assert abs(values.mean() - mean) < 5 * std / np.sqrt(values.size)
        assert values.std() == pytest.approx(np.sqrt(std**2 + 1 / 12), rel=0.01)  # rounded


def test_gaussian_noise_is_clipped_not_wrapped(root: Path, streams: Streams) -> None:
    noise = load_ood("gaussian-noise", MNIST, root, streams(0), 200)
    images = MNIST(root).read("test").x
    z = (images.mean() - 0.5) / images.std()  # values that round to 0 or are negative become 0
    share = erfc(z / sqrt(2)) / 2
    assert (noise == 0).mean() == pytest.approx(share, rel=0.05)


def test_permutation_moves_whole_pixels_and_differs_by_image(root: Path, streams: Streams) -> None:
    images = SVHN(root).read("test").x
    result = load_ood("pixel-permutation", SVHN, root, streams(0))
    assert result.shape == images.shape
    orders = []
    for before, after in zip(images, result, strict=True):
        colours = [np.array(image.reshape(3, -1).T, order="C") for image in (before, after)]
        # A pixel is three bytes; nearly all of an image's are different from one another.
        codes = [c.astype(np.int64) @ np.array((65536, 256, 1)) for c in colours]
        np.testing.assert_array_equal(np.sort(codes[0]), np.sort(codes[1]))
        orders.append(np.argsort(codes[0])[np.argsort(np.argsort(codes[1]))])
    assert not np.array_equal(orders[0], np.arange(1024))
    assert not np.array_equal(orders[0], orders[1])


def test_a_folder_of_classes_gives_its_test_images(
    root: Path, tmp_path_factory: pytest.TempPathFactory, streams: Streams
) -> None:
    folder = tmp_path_factory.mktemp("classes")
    write_classes(folder)
    result = load_ood(f"folder:{folder}", SVHN, root, streams(0))
    assert result.shape == (8, 3, 32, 32)
    with Image.open(folder / "test" / "dog" / "01.png") as image:
        expected = image.resize((32, 32), Image.Resampling.BILINEAR)
    np.testing.assert_array_equal(result[5].transpose(1, 2, 0), np.asarray(expected))


def test_a_flat_folder_gives_all_its_images_at_any_path(
    root: Path, tmp_path_factory: pytest.TempPathFactory, streams: Streams
) -> None:
    folder = tmp_path_factory.mktemp("flat") / "a"
    write_images(folder, 6, side=28)
    shutil.copytree(folder, folder.parent / "b")
    first, second = (f"folder:{folder.parent / name}" for name in "ab")
    assert ood_identity(first, root) == ood_identity(second, root)
    np.testing.assert_array_equal(
        load_ood(first, MNIST, root, streams(0), 3), load_ood(second, MNIST, root, streams(0), 3)
    )
    assert len(load_ood(first, MNIST, root, streams(0))) == 6


def test_class_folders_outside_test_are_refused_with_where_images_belong(
    root: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("classes")
    write_images(folder / "ship", 2, side=28)
    with pytest.raises(BadData, match=r"a folder in it, ship; .* in test/CLASS/"):
        ood_missing(f"folder:{folder}", root)


def test_a_broken_image_or_an_empty_folder_is_named(
    root: Path, tmp_path_factory: pytest.TempPathFactory, streams: Streams
) -> None:
    folder = tmp_path_factory.mktemp("broken")
    with pytest.raises(BadData, match="no images in it"):
        ood_missing(f"folder:{folder}", root)
    (folder / "a.png").write_text("text")
    with pytest.raises(BadData, match=r"a\.png: not an image"):
        load_ood(f"folder:{folder}", MNIST, root, streams(0))
