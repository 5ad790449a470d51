from __future__ import annotations

import os
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from data.drawn import as_bytes, drawn, zipped
from tunesmith.data.media.pictures import decode, scaled, squeezed
from tunesmith.spec.errors import MediaMissing, UnreadableMedia, Where

WHERE = Where("set.jsonl", 3)


def written(path: Path, content: bytes) -> str:
    path.write_bytes(content)
    return str(path)


def header_of_a_png(width: int, height: int) -> bytes:
    """A PNG that claims a size and holds next to nothing."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(b"")) + chunk(b"IEND", b"")


def test_reads_a_picture_as_rgb(tmp_path: Path) -> None:
    found = decode(written(tmp_path / "a.png", as_bytes(drawn(1))), WHERE)
    assert np.array_equal(np.asarray(found), np.asarray(drawn(1)))


def test_turns_a_picture_as_its_camera_says(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    drawn(1).save(tmp_path / "a.jpg", exif=exif)
    assert decode(str(tmp_path / "a.jpg"), WHERE).size == (20, 24)


def test_what_is_transparent_lies_on_white(tmp_path: Path) -> None:
    Image.new("RGBA", (4, 4), (0, 0, 0, 0)).save(tmp_path / "a.png")
    assert np.asarray(decode(str(tmp_path / "a.png"), WHERE)).min() == 255


@pytest.mark.parametrize("mode", ["1", "L", "P", "CMYK", "I;16", "LA"])
def test_every_mode_becomes_rgb(tmp_path: Path, mode: str) -> None:
    picture = (
        Image.fromarray(np.full((4, 4), 999, np.uint16)) if mode == "I;16" else drawn(1).convert("RGB").convert(mode)
    )
    picture.save(tmp_path / "a.tif" if mode in ("CMYK", "I;16") else tmp_path / "a.png")
    assert decode(str(next(tmp_path.iterdir())), WHERE).mode == "RGB"


@pytest.mark.parametrize("brightest", [199, 299, 40_000, 65_535])
@pytest.mark.parametrize("name", ["a.png", "a.tif", "a.pgm"])
def test_16_bits_are_as_bright_however_bright_the_picture_is(tmp_path: Path, name: str, brightest: int) -> None:
    values = np.linspace(0, brightest, 256).astype(np.uint16).reshape(16, 16)
    if name == "a.pgm":
        written(tmp_path / name, b"P5 16 16 65535\n" + values.astype(">u2").tobytes())
    else:
        Image.fromarray(values).save(tmp_path / name)
    found = np.asarray(decode(str(tmp_path / name), WHERE))
    assert np.array_equal(found, np.stack([np.rint(values / 257)] * 3, -1))


@pytest.mark.parametrize("brightest", [1.0, 0.25, 200.0, 255.0])
def test_fractions_are_shares_or_bytes(tmp_path: Path, brightest: float) -> None:
    values = np.linspace(0, brightest, 256, dtype=np.float32).reshape(16, 16)
    Image.fromarray(values).save(tmp_path / "a.tif")
    found = np.asarray(decode(str(tmp_path / "a.tif"), WHERE))[:, :, 0]
    assert np.array_equal(found, np.rint(values.astype(np.float64) * (255 if brightest <= 1 else 1)))


@pytest.mark.parametrize(
    ("values", "why"),
    [
        ([-3.0, 900.0], "its values lie between -3 and 900; scale them to 0 to 1 or to 0 to 255"),
        ([0.0, float("nan")], "scale them to 0 to 1"),
        (np.array([0, 70_000], np.int32), "its values lie between 0 and 70000; scale them to 0 to 65,535"),
    ],
)
def test_values_of_no_known_scale_are_a_fault_that_says_what_to_do(tmp_path: Path, values: object, why: str) -> None:
    made = np.asarray(values) if isinstance(values, np.ndarray) else np.asarray(values, np.float32)
    Image.fromarray(made.reshape(1, 2)).save(tmp_path / "a.tif")
    with pytest.raises(UnreadableMedia, match=why):
        decode(str(tmp_path / "a.tif"), WHERE)


def test_reads_a_picture_in_an_archive(tmp_path: Path) -> None:
    path = zipped(tmp_path / "set.zip", ["x/1.png", "x/2.png"])
    assert np.array_equal(np.asarray(decode(f"{path}/x/2.png", WHERE)), np.asarray(drawn(1)))


def test_a_large_jpeg_is_decoded_smaller_and_looks_the_same(tmp_path: Path) -> None:
    drawn(1, width=8, height=8).resize((1600, 1200), Image.Resampling.BICUBIC).save(tmp_path / "a.jpg")
    whole, small = (decode(str(tmp_path / "a.jpg"), WHERE, shortest=shortest) for shortest in (None, 100))
    assert whole.size == (1600, 1200)
    assert 200 <= min(small.size) < 400
    assert np.abs(scaled(whole, 100).astype(int) - scaled(small, 100).astype(int)).mean() < 2


def test_the_shorter_side_is_scaled_and_very_long_pictures_are_cut() -> None:
    assert scaled(drawn(width=60, height=30), 12).shape == (12, 24, 3)
    assert scaled(drawn(width=30, height=3), 12).shape == (12, 48, 3)
    assert squeezed(drawn(width=60, height=30), 5, 7).shape == (5, 7, 3)


def test_a_picture_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(MediaMissing, match=r"^set\.jsonl:3: there is no file '.*none\.png'"):
        decode(str(tmp_path / "none.png"), WHERE)
    path = zipped(tmp_path / "set.zip", ["x/1.png"])
    with pytest.raises(MediaMissing, match=r"x/9\.png"):
        decode(f"{path}/x/9.png", WHERE)


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"", "the file is empty"),
        (b"not a picture at all", "it is no picture that can be read"),
        (as_bytes(drawn(1, width=300, height=300), "JPEG")[:4000], "truncated"),
        (as_bytes(drawn(1))[:-600], "truncated|incomplete|broken"),
        (header_of_a_png(40_000, 40_000), "pixels"),
        (header_of_a_png(11_000, 11_000), "it has 11000 x 11000 pixels; 100,000,000 is the most"),
    ],
    ids=["empty", "text", "half a jpeg", "half a png", "40,000 x 40,000", "11,000 x 11,000"],
)
def test_a_broken_picture_is_a_fault_of_its_row(tmp_path: Path, content: bytes, why: str) -> None:
    with pytest.raises(UnreadableMedia, match=f"^set.jsonl:3: .*a.jpg'? cannot be used: .*({why}).*Replace the file"):
        decode(written(tmp_path / "a.jpg", content), WHERE)


def test_a_picture_that_unpacks_without_end_is_a_fault_of_its_row(tmp_path: Path) -> None:
    import zipfile

    with zipfile.ZipFile(tmp_path / "set.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("x/1.png", b"\0" * 2**28)
    with pytest.raises(UnreadableMedia, match=r"x/1\.png'? cannot be used"):
        decode(f"{tmp_path}/set.zip/x/1.png", WHERE)


def test_a_folder_is_no_picture(tmp_path: Path) -> None:
    os.mkdir(tmp_path / "a.png")
    with pytest.raises((UnreadableMedia, MediaMissing)):
        decode(str(tmp_path / "a.png"), WHERE)
