from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image, ImageDraw

from tunesmith.data.token_rows import TokenRows
from tunesmith.modalities.parts.boxed_batches import SEEN, BoxedBatches
from tunesmith.modalities.parts.boxed_rows import boxed_row
from tunesmith.modalities.parts.picture_batches import STILL, Variation
from tunesmith.modalities.parts.picture_sizes import PictureSize
from tunesmith.spec.errors import Where
from tunesmith.spec.examples import Box, BoxedImage

SIZE = PictureSize(64, 64, 64, (0.5,) * 3, (0.5,) * 3, crops=False)
CPU = torch.device("cpu")
BOXES = (Box("white", 8, 12, 20, 16), Box("white", 40, 40, 16, 20))


@pytest.fixture
def rows(tmp_path: Path) -> TokenRows:
    """Eight black pictures with two white rectangles each."""
    encoded = []
    for number in range(8):
        picture = Image.new("RGB", (64, 64))
        for box in BOXES:
            ImageDraw.Draw(picture).rectangle(
                (box.left, box.top, box.left + box.width - 1, box.top + box.height - 1), fill="white"
            )
        picture.save(tmp_path / f"{number}.png")
        encoded.append(boxed_row(BoxedImage(str(tmp_path / f"{number}.png"), BOXES, Where("x", 1)), SIZE))
    return TokenRows.of(encoded)


def batches(rows: TokenRows, variation: Variation = STILL) -> BoxedBatches:
    return BoxedBatches(rows, ["black", "white"], device=CPU, size=SIZE, variation=variation, seed=1)


def test_a_still_picture_is_as_it_was_read(rows: TokenRows) -> None:
    batch = batches(rows).batch([0, 3])
    assert batch.pixels.shape == (2, 3, 64, 64)
    assert (float(batch.pixels.min()), float(batch.pixels.max())) == (-1.0, 1.0)
    assert batch.things[1]["class_labels"].tolist() == [1, 1]
    assert batch.things[1]["boxes"].tolist()[0] == pytest.approx([18 / 64, 20 / 64, 20 / 64, 16 / 64])
    assert (batch.labels, batch.tokens, batch.sizes) == (4, 32, [(64, 64)] * 2)


@pytest.mark.parametrize("epoch", range(6))
def test_boxes_follow_what_is_cut_and_mirrored(rows: TokenRows, epoch: int) -> None:
    """Inside each box it is white, and as much of all is white as the boxes cover."""
    varied = batches(rows, Variation(crop_scale=0.35, flip=True))
    batch = varied.batch(range(8), epoch)
    for pixels, things in zip(batch.pixels, batch.things, strict=True):
        covered = torch.zeros(64, 64)
        for x, y, width, height in (things["boxes"] * 64).tolist():
            left, right, top, bottom = (
                round(v) for v in (x - width / 2, x + width / 2, y - height / 2, y + height / 2)
            )
            assert float(pixels[0, top + 1 : bottom - 1, left + 1 : right - 1].mean()) > 0.9
            covered[top:bottom, left:right] = 1
        assert float(((pixels[0] > 0).float() - covered).abs().mean()) < 0.04
    assert varied.labels(range(8), epoch) == batch.labels


def test_parts_and_mirrors_are_drawn_and_the_same_again(rows: TokenRows) -> None:
    varied = batches(rows, Variation(crop_scale=0.35, flip=True, colour=0.2))
    first, again, later = varied.batch(range(8), 0), varied.batch(range(8), 0), varied.batch(range(8), 1)
    assert torch.equal(first.pixels, again.pixels)
    assert not torch.equal(first.pixels, later.pixels)
    shapes = {tuple(np.round(each["boxes"][0].tolist(), 3)) for each in (*first.things, *later.things)}
    assert len(shapes) > 4


def test_no_thing_is_cut_to_pieces(rows: TokenRows) -> None:
    varied = batches(rows, Variation(crop_scale=0.2))
    for epoch in range(10):
        for row in range(8):
            view = varied._view(varied._payload(row), row, epoch)
            _, _, wide, high = view.part
            area = view.boxes[:, 2:].prod(1) * wide * high
            whole = np.array([20 * 16, 16 * 20]) / 64**2
            assert len(view.kept)
            assert (area >= SEEN * whole[view.kept] - 1e-6).all()


def test_a_picture_that_shows_nothing_counts_as_one(tmp_path: Path) -> None:
    Image.new("RGB", (64, 64)).save(tmp_path / "a.png")
    rows = TokenRows.of([boxed_row(BoxedImage(str(tmp_path / "a.png"), (), Where("x", 1)), SIZE)])
    varied = batches(rows, Variation(crop_scale=0.35, flip=True))
    assert varied.labels([0], 0) == varied.batch([0], 0).labels == 1


def test_a_batch_knows_how_much_of_the_training_lies_before_it(rows: TokenRows) -> None:
    held_out, trained = batches(rows), BoxedBatches(rows, ["black", "white"], device=CPU, size=SIZE, passes=5)
    assert [held_out.batch([0], epoch).course for epoch in (0, 4)] == [0, 0]
    assert [trained.batch([0], epoch).course for epoch in (0, 1, 4, 9)] == [0, 0.25, 1, 1]
    assert BoxedBatches(rows, ["black", "white"], device=CPU, size=SIZE, passes=1).batch([0], 0).course == 0
