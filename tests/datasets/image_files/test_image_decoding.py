"""Decoding of images: rotated, transparent, 16 bits, in any format, broken."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from tests.datasets.dataset_files import pixels

from distillation_bench.datasets.base import BadData
from distillation_bench.datasets.image_files.folder_listing import image_files
from distillation_bench.datasets.image_files.image_decoding import check_signatures, decoded
from distillation_bench.datasets.image_files.image_formats import FORMATS, UNREAD

SHAPE = (3, 8, 12)
CORNER = np.zeros((8, 12, 3), np.uint8)
CORNER[:4, :6] = (250, 20, 90)


def read(file: Path, shape: tuple[int, int, int] = SHAPE) -> np.ndarray:
    """[H, W] or [H, W, 3] of one picture."""
    check_signatures([file])
    picture: np.ndarray = decoded([file], shape)[0][0].transpose(1, 2, 0).squeeze()
    return picture


# Where the red corner of a picture is, so that it is upper left once the picture is upright.
ORIENTATIONS: dict[int, Callable[[np.ndarray], np.ndarray]] = {
    1: lambda x: x,
    2: lambda x: x[:, ::-1],
    3: lambda x: x[::-1, ::-1],
    4: lambda x: x[::-1],
    5: lambda x: x.swapaxes(0, 1),
    6: lambda x: np.rot90(x, 1),
    7: lambda x: np.rot90(x, 2).swapaxes(0, 1),
    8: lambda x: np.rot90(x, -1),
}


@pytest.mark.parametrize("ending", ["png", "jpg", "tif", "webp"])
@pytest.mark.parametrize("orientation", ORIENTATIONS)
def test_the_orientation_of_a_picture_is_applied(
    orientation: int, ending: str, tmp_path: Path
) -> None:
    stored = np.ascontiguousarray(ORIENTATIONS[orientation](CORNER))
    exif = Image.Exif()
    exif[0x0112] = orientation
    options = {"lossless": True} if ending == "webp" else {"quality": 95, "subsampling": 0}
    Image.fromarray(stored).save(tmp_path / f"a.{ending}", exif=exif, **options)
    np.testing.assert_allclose(read(tmp_path / f"a.{ending}"), CORNER, atol=30)


def with_alpha(file: Path, kind: str) -> None:
    """Write an image that is red on the left and transparent on the right."""
    is_left = np.arange(12) < 6
    rgba = np.zeros((8, 12, 4), np.uint8)
    rgba[..., 0], rgba[..., 3] = 200, np.where(is_left, 255, 0)
    match kind:
        case "RGBA":
            Image.fromarray(rgba).save(file)
        case "LA":
            Image.fromarray(rgba[..., [0, 3]]).save(file)
        case "palette":
            image = Image.fromarray(np.tile(np.where(is_left, 1, 0), (8, 1)).astype(np.uint8), "P")
            image.putpalette([0, 0, 0, 200, 0, 0])
            image.save(file, transparency=0)
        case "colour key":
            rgb = np.where(is_left[None, :, None], (200, 0, 0), (1, 2, 3)).astype(np.uint8)
            rgb = np.ascontiguousarray(np.broadcast_to(rgb, (8, 12, 3)))
            Image.fromarray(rgb).save(file, transparency=(1, 2, 3))


@pytest.mark.parametrize("kind", ["RGBA", "LA", "palette", "colour key"])
def test_transparent_pixels_become_white(kind: str, tmp_path: Path) -> None:
    file = tmp_path / "a.png"
    with_alpha(file, kind)
    picture = read(file)
    assert (picture[:, 6:] == 255).all()
    assert (picture[:, :6] == ((200, 200, 200) if kind == "LA" else (200, 0, 0))).all()
    assert (read(file, (1, 8, 12))[:, 6:] == 255).all()
    assert decoded([file], SHAPE)[1].tolist() == [True]


def test_half_transparent_pixels_are_blended_with_white(tmp_path: Path) -> None:
    for name, alpha in (("half", 128), ("opaque", 255)):
        Image.new("RGBA", (12, 8), (0, 0, 0, alpha)).save(tmp_path / f"{name}.png")
    images, transparent = decoded([tmp_path / "half.png", tmp_path / "opaque.png"], SHAPE)
    assert transparent.tolist() == [True, False]
    assert images[:, 0, 0, 0].tolist() == [127, 0]


@pytest.mark.parametrize("ending", ["png", "tif", "pgm"])
def test_grey_of_16_bits_is_scaled(ending: str, tmp_path: Path) -> None:
    deep = np.linspace(0, 65535, 96).round().astype(np.uint16).reshape(8, 12)
    Image.fromarray(deep).save(tmp_path / f"a.{ending}")
    expected = (deep / 257).round().astype(np.uint8)
    np.testing.assert_array_equal(read(tmp_path / f"a.{ending}", (1, 8, 12)), expected)
    np.testing.assert_array_equal(read(tmp_path / f"a.{ending}")[..., 2], expected)


def test_colour_of_16_bits_is_scaled(tmp_path: Path) -> None:
    deep = np.random.default_rng(0).integers(65536, size=(8, 12, 3), dtype=np.uint16)
    # PPM of 16 bits: big-endian numbers behind a line of text.
    (tmp_path / "a.ppm").write_bytes(b"P6 12 8 65535\n" + deep.astype(">u2").tobytes())
    np.testing.assert_allclose(read(tmp_path / "a.ppm").astype(int), deep / 257, atol=1)


def test_integer_and_float_pixels_are_scaled_if_white_is_known(tmp_path: Path) -> None:
    values = np.linspace(0, 1, 96).reshape(8, 12)
    Image.fromarray((values * 65535).astype(np.int32)).save(tmp_path / "whole.tif")
    Image.fromarray(values.astype(np.float32)).save(tmp_path / "real.tif")
    for name in ("whole", "real"):
        picture = read(tmp_path / f"{name}.tif", (1, 8, 12))
        np.testing.assert_allclose(picture, values * 255, atol=0.51)
    for wrong, value_range in ((-1.0, "from -1 to 1"), (2.0, "from .* to 2"), (np.nan, "nan")):
        values[0, 0] = wrong
        Image.fromarray(values.astype(np.float32)).save(tmp_path / "wrong.tif")
        with pytest.raises(BadData, match=f"mode F: values {value_range}|mode F: values from nan"):
            read(tmp_path / "wrong.tif")


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA", "CMYK", "YCbCr"])
def test_every_mode_becomes_colour_and_grey(mode: str, tmp_path: Path) -> None:
    plain = Image.fromarray(pixels((8, 12, 3)))
    file = tmp_path / ("a.tif" if mode in ("CMYK", "YCbCr") else "a.png")
    plain.convert(mode).save(file)
    assert read(file).shape == (8, 12, 3) and read(file, (1, 8, 12)).shape == (8, 12)


def test_formats_and_their_endings_are_those_of_pillow(tmp_path: Path) -> None:
    Image.init()
    assert set(FORMATS) <= set(Image.OPEN)
    assert all(Image.OPEN[name][1] is not None for name in FORMATS)
    endings = {ending for of_format in FORMATS.values() for ending in of_format}
    assert not endings & UNREAD
    for ending, name in Image.registered_extensions().items():
        assert name not in FORMATS or ending in endings


@pytest.mark.parametrize(
    "name",
    [
        *("JPEG", "PNG", "GIF", "BMP", "DIB", "TIFF", "WEBP", "AVIF", "JPEG2000", "PPM", "PCX"),
        *("QOI", "SGI", "MSP", "XBM", "DDS"),
    ],
)
def test_formats_that_pillow_writes_are_read_back(name: str, tmp_path: Path) -> None:
    Image.init()
    mode = {"MSP": "1", "XBM": "1"}.get(name, "RGB")
    white = np.ascontiguousarray((CORNER > 0).any(-1).astype(np.uint8) * 255)
    Image.fromarray(white).convert(mode).save(tmp_path / f"a{FORMATS[name][0]}", name)
    picture = read(tmp_path / f"a{FORMATS[name][0]}", (1, 8, 12))
    assert picture.shape == (8, 12) and picture[0, 0] > picture[7, 11]


def test_all_bad_files_are_named_at_once(tmp_path: Path) -> None:
    Image.fromarray(CORNER).save(tmp_path / "good.png")
    for number in range(7):
        (tmp_path / f"{number}.png").write_text("no picture")
    (tmp_path / "empty.jpg").touch()
    (tmp_path / "photo.jpg").write_bytes(b"\0\0\0\x18ftypheic" + bytes(40))
    for check in (check_signatures, lambda files: decoded(files, SHAPE)):
        with pytest.raises(BadData) as caught:
            check(image_files(tmp_path))
        text = str(caught.value)
        assert len(text.splitlines()) == 1
        assert text.startswith(f"9 files: {tmp_path}/0.png: not an image, {tmp_path}/1.png: ")
        assert f"{tmp_path}/4.png: not an image and 4 more; formats that are read: JPEG" in text
    with pytest.raises(BadData, match="format not read: HEIC"):
        check_signatures([tmp_path / "photo.jpg"])
    with pytest.raises(BadData, match=r"empty\.jpg: empty"):
        check_signatures([tmp_path / "empty.jpg"])


def test_a_truncated_picture_is_found_when_it_is_decoded(tmp_path: Path) -> None:
    file = tmp_path / "a.png"
    Image.fromarray(pixels((40, 40, 3))).save(file)
    file.write_bytes(file.read_bytes()[:2000])
    check_signatures([file])
    with pytest.raises(BadData, match=r"a\.png: not a whole image \("):
        decoded([file], SHAPE)


def test_pictures_of_formats_that_are_not_read_are_named(tmp_path: Path) -> None:
    for name in ("a.HEIC", "b.svg"):
        (tmp_path / name).touch()
    with pytest.raises(BadData) as caught:
        image_files(tmp_path)
    assert str(caught.value).startswith(
        f"2 files: {tmp_path}/a.HEIC: format not read: .heic, {tmp_path}/b.svg: format not read: "
    )


def test_pipes_sockets_and_broken_links_are_refused_without_waiting(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.png")
    (tmp_path / "link.png").symlink_to(tmp_path / "nowhere")
    (tmp_path / "device.png").symlink_to("/dev/zero")
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(os.path.relpath(tmp_path / "socket.png"))
    with pytest.raises(BadData) as caught:
        image_files(tmp_path)
    text = str(caught.value)
    assert "link.png: a broken link" in text
    for name in ("pipe", "device", "socket"):
        assert f"{name}.png: not a regular file" in text
    # Files that replaced a picture after it was listed.
    for name, reason in (
        ("pipe", "not a regular"),
        ("device", "not a regular"),
        ("link", "No such"),
    ):
        for check in (check_signatures, lambda files: decoded(files, SHAPE)):
            with pytest.raises(BadData, match=f"{name}.png: {reason}"):
                check([tmp_path / f"{name}.png"])


def test_a_name_that_is_not_utf8_is_reported_in_one_line(tmp_path: Path) -> None:
    (tmp_path / os.fsdecode(b"caf\xe9.png")).touch()
    with pytest.raises(BadData) as caught:
        image_files(tmp_path)
    assert str(caught.value) == f"{tmp_path}: a name in it is no UTF-8: b'caf\\xe9.png'"


def test_a_folder_of_other_files_says_what_it_skipped(tmp_path: Path) -> None:
    for name in ("Thumbs.db", "a.csv", "b.csv", ".DS_Store"):
        (tmp_path / name).touch()
    with pytest.raises(BadData) as caught:
        image_files(tmp_path)
    assert str(caught.value) == (
        f"{tmp_path}: no images in it; 4 files are skipped, since their names are not those of "
        "images: .csv (2), .DS_Store (1), .db (1)"
    )
