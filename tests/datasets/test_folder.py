from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from tests.datasets.dataset_files import pixels, write_classes, write_images

from distillation_bench.bench.common.paths import IMPORT_FOLDER
from distillation_bench.datasets import BadData, Stream, UnknownDataset, get
from distillation_bench.datasets.folder import (
    _training_defaults,
    folder_dataset,
    parse_spec,
    statistics,
)

Streams = Callable[[int], Stream]


@pytest.fixture
def root(tmp_path: Path) -> Path:
    write_classes(tmp_path)
    return tmp_path


def test_twenty_tiny_images(root: Path, streams: Streams) -> None:
    cls = get(f"folder:{root}[size=8]")
    data = cls().load(streams(0))
    assert (cls.shape, cls.outputs, cls.examples) == ((3, 8, 8), 2, 11)
    assert [len(s) for s in (data.train, data.validation, data.test)] == [11, 1, 8]
    assert data.test.y.tolist() == [0] * 4 + [1] * 4
    expected = np.concatenate([pixels((4, 8, 8, 3), seed) for seed in (10, 11)])
    np.testing.assert_array_equal(data.test.x, expected.transpose(0, 3, 1, 2))
    assert data.test.x.flags.c_contiguous
    assert data.mean == pytest.approx(data.train.x.mean((0, 2, 3)) / 255)
    assert data.std == pytest.approx(data.train.x.std((0, 2, 3)) / 255)


def test_name_is_the_spec_as_given_and_the_class_is_made_once(root: Path) -> None:
    for name in (f"folder:{root}", f"folder:{root}[colour=grey,size=12]"):
        assert get(name).name == name
        assert get(name) is get(name)


def test_defaults_depend_on_the_colour(root: Path) -> None:
    rgb, grey = get(f"folder:{root}"), get(f"folder:{root}[colour=grey]")
    assert (rgb.shape, grey.shape) == ((3, 32, 32), (1, 32, 32))
    assert (rgb.network["family"], grey.network["family"]) == ("lenet", "lenet")


@pytest.mark.parametrize(
    ("size", "examples", "family", "epochs"),
    [
        ("32", 100, "lenet", 100),
        ("32", 3_000, "lenet", 100),
        ("32x20", 10_000, "lenet", 30),
        ("28", 54_000, "lenet", 20),
        ("32", 200_000, "resnet", 200),
        ("33", 100, "resnet", 200),
        ("32x64", 100, "resnet", 200),
    ],
)
def test_the_network_depends_on_size_and_number_of_images(
    size: str, examples: int, family: str, epochs: int, tmp_path: Path
) -> None:
    chosen = _training_defaults(parse_spec(f"folder:{tmp_path}[size={size}]"), examples)
    assert (chosen["network"]["family"], chosen["recipe"]["epochs"]) == (family, epochs)
    assert chosen["recipe"]["learning_rate"] == {"lenet": 0.001, "resnet": 0.01}[family]


@pytest.mark.parametrize(
    ("size", "batch"), [("32x64", 128), ("64", 64), ("33x8", 256), ("512", 16)]
)
def test_batches_of_larger_images_are_smaller(size: str, batch: int, tmp_path: Path) -> None:
    chosen = _training_defaults(parse_spec(f"folder:{tmp_path}[size={size}]"), 1_000)
    assert chosen["recipe"]["batch_size"] == batch


def test_grey_and_scaling_equal_pillows(root: Path, streams: Streams) -> None:
    data = get(f"folder:{root}[size=16,colour=grey]")().load(streams(0))
    with Image.open(root / "test" / "cat" / "02.png") as image:
        expected = image.convert("L").resize((16, 16), Image.Resampling.BILINEAR)
    np.testing.assert_array_equal(data.test.x[2, 0], np.asarray(expected))


@pytest.mark.parametrize("called", ["val", "valid", "validation"])
def test_a_val_folder_is_used_as_the_validation_split(
    called: str, root: Path, streams: Streams
) -> None:
    for name in ("cat", "dog"):
        write_images(root / called / name, 2, seed=30)
    cls = get(f"folder:{root}[size=8]")
    data = cls().load(streams(0))
    assert cls.examples == len(data.train) == 12
    assert data.validation.y.tolist() == [0, 0, 1, 1]


def test_hidden_files_are_left_out(root: Path, streams: Streams) -> None:
    (root / "train" / ".git").mkdir()
    (root / "test" / "cat" / ".DS_Store").write_text("no image")
    assert len(get(f"folder:{root}")().load(streams(0)).test) == 8


def test_a_text_file_named_png_is_named(root: Path, streams: Streams) -> None:
    file = root / "train" / "dog" / "03.png"
    file.write_text("not an image at all")
    with pytest.raises(BadData, match=r"train/dog/03\.png: not an image"):
        get(f"folder:{root}")().load(streams(0))


def test_a_truncated_image_is_named(root: Path, streams: Streams) -> None:
    file = root / "test" / "cat" / "00.png"
    file.write_bytes(file.read_bytes()[:120])
    with pytest.raises(BadData, match=r"test/cat/00\.png: not a whole image"):
        get(f"folder:{root}")().load(streams(0))


def test_formats_that_run_programs_are_not_opened(root: Path, streams: Streams) -> None:
    (root / "test" / "cat" / "00.png").write_text(
        "%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 8 8\n"
    )
    with pytest.raises(BadData, match="format not read: EPS; formats that are read: JPEG, PNG"):
        get(f"folder:{root}")().load(streams(0))


def test_images_without_contrast_are_refused(tmp_path: Path, streams: Streams) -> None:
    write_classes(tmp_path)
    for file in (tmp_path / "train").rglob("*.png"):
        Image.new("RGB", (8, 8)).save(file)
    with pytest.raises(BadData, match="train: a channel is the same in every pixel"):
        get(f"folder:{tmp_path}")().load(streams(0))


def break_layout(root: Path, how: str) -> None:
    match how:
        case "no train" | "no test":
            shutil.rmtree(root / how.removeprefix("no "))
        case "no classes":
            shutil.rmtree(root / "train")
            write_images(root / "train", 12)
        case "empty class":
            for file in (root / "train" / "dog").iterdir():
                file.unlink()
        case "empty test":
            shutil.rmtree(root / "test" / "dog")
            shutil.rmtree(root / "test" / "cat")
        case "misspelt in test":
            (root / "test" / "dog").rename(root / "test" / "Dog")
        case "unknown in test":
            write_images(root / "test" / "cow", 2)
        case "two validations":
            write_images(root / "val" / "cat", 2)
            write_images(root / "valid" / "cat", 2)
        case "nested":
            write_images(root / "train" / "cat" / "more", 2)
        case "few":
            for number in range(4):
                (root / "train" / "dog" / f"{number:02}.png").unlink()


@pytest.mark.parametrize(
    ("how", "message"),
    [
        ("no train", "{root}: no folder train/ of class folders in it"),
        ("no test", "{root}: no folder test/ of class folders in it"),
        ("no classes", "{root}/train: needs at least two class folders"),
        ("empty class", "{root}/train/dog: no images in it"),
        ("empty test", "{root}/test: no images in it"),
        (
            "misspelt in test",
            "{root}/test/Dog: no class of train/; of those it lacks dog",
        ),
        ("unknown in test", "{root}/test/cow: no class of train/"),
        (
            "two validations",
            "{root}: val/ and valid/ are two validation sets; keep one",
        ),
        ("nested", "{root}/train/cat/more: a folder where images are expected"),
        ("few", "{root}/train: fewer than 10 images and no val/ beside it"),
    ],
)
def test_wrong_layouts_are_named_before_anything_is_decoded(
    root: Path, how: str, message: str
) -> None:
    break_layout(root, how)
    with pytest.raises(BadData) as caught:
        get(f"folder:{root}")
    assert str(caught.value) == message.format(root=root)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("folder:nowhere", "'folder:nowhere': no folder nowhere"),
        ("folder:", "is not folder:PATH or folder:PATH[size=N,colour=rgb|grey]"),
        (
            "folder:x[size=4]",
            "'size=4' is not size=N or size=WIDTHxHEIGHT (at least 8) or colour=rgb|grey",
        ),
        ("folder:x[size=16x4]", "'size=16x4' is not size=N or size=WIDTHxHEIGHT (at least 8)"),
        ("folder:x[size=16x]", "'size=16x' is not size=N"),
        ("folder:x[size=8x8x3]", "'size=8x8x3' is not size=N"),
        ("folder:x[color=red]", "'color=red' is not size=N or size=WIDTHxHEIGHT (at least 8)"),
        ("folder:~nobody-of-this-name", "no folder ~nobody-of-this-name"),
        (f"folder:{'x' * 5000}", "no folder xxx"),
    ],
)
def test_wrong_specs_are_explained(name: str, message: str) -> None:
    with pytest.raises(UnknownDataset) as caught:
        get(name)
    assert message in str(caught.value)


def test_spec_may_have_spaces_and_a_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    assert parse_spec("folder:~[ size = 9 , colour = grey ]").shape == (1, 9, 9)


def test_the_identity_depends_on_files_and_decoding_but_not_on_the_path(
    root: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    identity = get(f"folder:{root}")().identity()
    assert str(root) not in str(identity)
    moved = tmp_path_factory.mktemp("elsewhere") / "copy"
    shutil.copytree(root, moved)  # with times of change
    assert get(f"folder:{moved}")().identity() == identity
    assert get(f"folder:{moved}[size=16]")().identity() != identity
    assert get(f"folder:{moved}[colour=grey]")().identity() != identity
    os.utime(moved / "test" / "cat" / "00.png", ns=(0, 1))
    assert get(f"folder:{moved}")().identity() != identity


def test_another_process_knows_the_name(root: Path) -> None:
    code = (
        "import sys; from distillation_bench import datasets; cls = datasets.get(sys.argv[1])\n"
        "print(cls.examples, cls.__module__)\n"
        "assert not {'torch', 'torchvision', 'PIL'} & set(sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, f"folder:{root}"],
        cwd=IMPORT_FOLDER,
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.split() == ["11", folder_dataset.__module__]


def test_statistics_equal_numpys() -> None:
    images = pixels((5, 3, 6, 7))
    mean, std = statistics(images)
    assert mean == pytest.approx(images.mean((0, 2, 3)) / 255)
    assert std == pytest.approx(images.std((0, 2, 3)) / 255)


def test_a_size_is_width_by_height(root: Path, streams: Streams) -> None:
    cls = get(f"folder:{root}[size=12x20]")
    data = cls().load(streams(0))
    assert cls.shape == (3, 20, 12) and data.test.x.shape == (8, 3, 20, 12)
    assert cls.summary == "images of 2 kinds, 12x20 rgb"
    with Image.open(root / "test" / "cat" / "02.png") as image:
        expected = np.asarray(image.resize((12, 20), Image.Resampling.BILINEAR))
    np.testing.assert_array_equal(data.test.x[2], expected.transpose(2, 0, 1))
    assert (
        get(f"folder:{root}[size=12x20]")().identity()
        != get(f"folder:{root}[size=20x12]")().identity()
    )


def test_a_folder_may_have_brackets_in_its_name(tmp_path: Path) -> None:
    for name in ("my[photos]", "plain", "plain[size=9]", "odd[a=b]", "my[photos][x]"):
        (tmp_path / name).mkdir()
    expected = {
        "my[photos]": ("my[photos]", 32),
        "my[photos][size=16]": ("my[photos]", 16),
        "my[photos][x]": ("my[photos][x]", 32),
        "plain": ("plain", 32),
        "plain[size=9]": ("plain", 9),
        "plain[]": ("plain", 32),
        "odd[a=b]": ("odd[a=b]", 32),
        "odd[a=b][size=9]": ("odd[a=b]", 9),
    }
    for text, (folder, width) in expected.items():
        spec = parse_spec(f"folder:{tmp_path / text}")
        assert (spec.path, spec.width) == (tmp_path / folder, width), text
    with pytest.raises(UnknownDataset, match=r"no folder .*photos"):
        parse_spec(f"folder:{tmp_path / 'photos[size=9]'}")


def test_rare_classes_get_a_remark(tmp_path: Path, streams: Streams) -> None:
    write_classes(tmp_path, ("ant", "bee", "cow", "dog"))
    for number in range(1, 6):
        (tmp_path / "train" / "bee" / f"{number:02}.png").unlink()
    shutil.rmtree(tmp_path / "test" / "cow")
    for file in (tmp_path / "test" / "dog").iterdir():
        file.unlink()
    dataset = folder_dataset(f"folder:{tmp_path}[size=8]")()
    assert dataset.remarks() == [
        "classes of fewer than 2 training examples: bee",
        "classes without a test example: cow, dog",
    ]
    for seed in range(5):
        train = dataset.load(streams(seed)).train
        assert np.bincount(train.y).min() == 1 and len(train) == dataset.examples == 18
    np.testing.assert_array_equal(np.unique(dataset.read("test").y), [0, 1])


def test_skipped_files_are_counted(root: Path) -> None:
    (root / "train" / "cat" / "Thumbs.db").write_bytes(b"x")
    (root / "train" / "cat" / ".DS_Store").write_bytes(b"x")
    (root / "test" / "dog" / "desktop.ini").write_bytes(b"x")
    (root / "test" / "dog" / "__MACOSX").mkdir()
    (root / "train" / "__MACOSX").mkdir()
    (root / "train" / "labels.csv").write_text("x")
    dataset = get(f"folder:{root}")
    assert (dataset.outputs, dataset.examples) == (2, 11)
    (line,) = dataset().remarks()
    assert line.startswith("6 files are skipped, since their names are not those of images: ")
    assert "__macosx (2)" in line.lower() and ".csv (1)" in line


def test_duplicate_pictures_are_counted(root: Path, streams: Streams) -> None:
    for name in ("cat", "dog"):
        write_images(root / "val" / name, 3, seed=40)
    shutil.copy(root / "train/cat/00.png", root / "test/cat/00.png")
    # The same pixels in other bytes, in another class.
    with Image.open(root / "train/cat/01.png") as image:
        image.save(root / "test/dog/00.bmp")
    data = get(f"folder:{root}[size=8]")().load(streams(0))
    assert list(data.remarks) == [
        "2 of 9 images of test/ are in train/ too, such as test/cat/00.png and train/cat/00.png",
        "images under more than one class: 4, such as test/dog/00.bmp and train/cat/01.png",
    ]


def test_errors_of_names_and_contents_are_reported_together(root: Path) -> None:
    (root / "train" / "cat" / "photo.heic").touch()
    (root / "test" / "dog" / "02.png").write_text("no image")
    with pytest.raises(BadData) as caught:
        get(f"folder:{root}")
    assert str(caught.value).startswith(
        f"2 files: {root}/train/cat/photo.heic: format not read: .heic, "
        f"{root}/test/dog/02.png: not an image; formats that are read: "
    )
