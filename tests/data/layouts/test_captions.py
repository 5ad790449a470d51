from __future__ import annotations

from pathlib import Path

import pytest

from data.drawn import draw_into
from tunesmith.data.mixture import read
from tunesmith.spec.errors import UnreadableData
from tunesmith.spec.examples import CaptionedImage
from tunesmith.spec.job import DatasetRef


def captions(folder: Path) -> list[tuple[str, str]]:
    found = read([DatasetRef(uri=str(folder))])
    named = (each for each in found if isinstance(each, CaptionedImage))
    return [(Path(each.image).relative_to(folder).as_posix(), each.caption) for each in named]


def test_a_list_names_pictures_beside_it_or_in_the_folder_of_images(tmp_path: Path) -> None:
    draw_into(tmp_path, ["images/1.png", "images/2.png"])
    (tmp_path / "captions.csv").write_text('image_path,caption\nimages/1.png,"a cat, asleep"\n2.png,a dog\n')
    assert captions(tmp_path) == [("images/1.png", "a cat, asleep"), ("images/2.png", "a dog")]


def test_a_quote_that_is_never_closed_is_told(tmp_path: Path) -> None:
    draw_into(tmp_path, ["a.png", "b.png", "c.png"])
    (tmp_path / "captions.csv").write_text('image_path,caption\na.png,"a cat\nb.png,a dog\nc.png,a cow\n')
    with pytest.raises(UnreadableData, match=r"captions\.csv.*it is no CSV"):
        captions(tmp_path)


def test_sides_have_lists_of_their_own(tmp_path: Path) -> None:
    for side in ("train", "val"):
        draw_into(tmp_path / side, ["images/1.png"])
        (tmp_path / side / "captions.csv").write_text(f"image_path,caption\n1.png,{side}\n")
    assert captions(tmp_path) == [("train/images/1.png", "train"), ("val/images/1.png", "val")]
