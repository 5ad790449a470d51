from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tunesmith.data.media.payload import unpack
from tunesmith.modalities.parts.boxed_rows import boxed_row
from tunesmith.modalities.parts.picture_sizes import PictureSize
from tunesmith.spec.errors import BadBox, UnreadableMedia, Where
from tunesmith.spec.examples import Box, BoxedImage

WHERE = Where("set", 3)
SIZE = PictureSize(64, 32, 64, (0.0,) * 3, (1.0,) * 3, crops=False)


@pytest.fixture
def picture(tmp_path: Path) -> str:
    """100 wide and 50 high."""
    Image.new("RGB", (100, 50), "red").save(tmp_path / "a.png")
    return str(tmp_path / "a.png")


def read(picture: str, *boxes: Box) -> tuple[dict[str, object], list[np.ndarray], int]:
    row = boxed_row(BoxedImage(picture, boxes, WHERE), SIZE)
    payload = unpack(np.frombuffer(row.media, np.uint8))
    return payload.facts, payload.arrays, len(row.ids)


def test_the_whole_picture_is_squeezed_and_its_boxes_become_shares(picture: str) -> None:
    facts, [pixels, boxes], length = read(picture, Box("cat", 10, 5, 20, 10), Box("dog", 0.2, 0.2, 0.4, 0.4, True))
    assert pixels.shape == (64, 32, 3)
    assert length == 8
    assert facts == {"labels": ["cat", "dog"], "size": [50, 100]}
    assert boxes == pytest.approx(np.array([[0.2, 0.2, 0.2, 0.2], [0.4, 0.4, 0.4, 0.4]]))


def test_a_picture_without_boxes_is_a_row(picture: str) -> None:
    facts, [_, boxes], _ = read(picture)
    assert facts["labels"] == []
    assert boxes.shape == (0, 4)


def test_a_box_that_reaches_a_hair_beyond_is_cut(picture: str) -> None:
    _, [_, boxes], _ = read(picture, Box("cat", 90, 40, 10.6, 10.2))
    assert boxes == pytest.approx(np.array([[0.95, 0.9, 0.1, 0.2]]))


@pytest.mark.parametrize(
    ("box", "why"),
    [
        (Box("cat", 90, 5, 20, 10), "box 1 reaches beyond the picture of 100 x 50 pixels: 90 to 110 and 5 to 15"),
        (Box("cat", 0.5, 0.5, 0.7, 0.1, True), "box 1 reaches beyond the picture of 100 x 50 pixels: 50 to 120"),
        (Box("cat", -5, 5, 20, 10), "box 1 reaches beyond the picture"),
        (Box("cat", 500, 5, 20, 10), "box 1 reaches beyond the picture"),
        (Box("cat", 100, 5, 0.5, 10), "box 1 lies outside of the picture"),
    ],
)
def test_a_box_outside_of_the_picture_is_a_fault(picture: str, box: Box, why: str) -> None:
    with pytest.raises(BadBox, match=why):
        read(picture, box)


def test_a_picture_that_is_none_is_a_fault(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(b"\x89PNG")
    with pytest.raises(UnreadableMedia):
        read(str(tmp_path / "a.png"), Box("cat", 0, 0, 1, 1))
