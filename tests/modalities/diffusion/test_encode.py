from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tunesmith.data.media.payload import unpack
from tunesmith.modalities.diffusion.encode import CaptionedEncoder
from tunesmith.spec.errors import BadValue, KindRefused, UnreadableMedia, Where
from tunesmith.spec.examples import CaptionedImage, LabelledImage

HERE = Where("data.csv", 2)


@pytest.fixture
def pipeline(tmp_path: Path) -> Path:
    """The two configurations that say at what size a pipeline makes pictures."""
    for name, config in {"unet": {"sample_size": 8}, "vae": {"block_out_channels": [8, 8, 16]}}.items():
        (tmp_path / name).mkdir()
        (tmp_path / name / "config.json").write_text(json.dumps(config))
    return tmp_path


def picture(folder: Path, width: int, height: int) -> CaptionedImage:
    """A picture that is dark on its left half."""
    pixels = np.full((height, width, 3), 255, np.uint8)
    pixels[:, : width // 2] = 0
    Image.fromarray(pixels).save(folder / "1.png")
    return CaptionedImage(str(folder / "1.png"), "a half", HERE)


def test_the_size_is_the_pipelines_own_unless_another_is_given(pipeline: Path) -> None:
    assert CaptionedEncoder(pipeline).side == 32
    assert CaptionedEncoder(pipeline, resolution=64).side == 64


def test_a_pipeline_that_does_not_say_makes_pictures_of_512(tmp_path: Path) -> None:
    assert CaptionedEncoder(tmp_path).side == 512


def test_a_size_that_makes_no_whole_latent_is_refused(pipeline: Path) -> None:
    with pytest.raises(BadValue, match="a multiple of 4, the pixels that make one latent"):
        CaptionedEncoder(pipeline, resolution=50)


def test_a_row_is_the_middle_of_a_picture_with_where_it_was_cut(pipeline: Path) -> None:
    [row] = CaptionedEncoder(pipeline)(picture(pipeline, 80, 40))
    found = unpack(np.frombuffer(row.media, np.uint8))
    assert found.arrays[0].shape == (32, 32, 3)
    assert found.facts == {"caption": "a half", "size": [40, 80], "crop": [0, 16], "crop_mirrored": [0, 16]}
    assert found.arrays[0][:, 0].max() == 0 < found.arrays[0][:, -1].min()
    assert len(row.ids) == 4 and row.mask == [False, True, False, False]


def test_other_sizes_have_other_fingerprints(pipeline: Path) -> None:
    assert CaptionedEncoder(pipeline).fingerprint != CaptionedEncoder(pipeline, resolution=64).fingerprint


def test_a_picture_without_a_caption_is_refused(pipeline: Path) -> None:
    with pytest.raises(KindRefused, match="it learns to make pictures from their captions"):
        CaptionedEncoder(pipeline)(LabelledImage("1.png", "cat", HERE))


def test_a_broken_picture_is_a_fault_of_its_row(pipeline: Path) -> None:
    example = picture(pipeline, 80, 40)
    Path(example.image).write_bytes(Path(example.image).read_bytes()[:60])
    with pytest.raises(UnreadableMedia):
        CaptionedEncoder(pipeline)(example)
