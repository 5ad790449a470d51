from __future__ import annotations

from pathlib import Path

from data.drawn import draw_into
from tunesmith.data.mixture import read
from tunesmith.spec.errors import EmptyRow
from tunesmith.spec.examples import CaptionedImage
from tunesmith.spec.job import DatasetRef


def test_each_picture_has_its_text_beside_it(tmp_path: Path) -> None:
    for name, said in {"train/1": "a cat", "train/2": "a\ndog", "val/3": "a cow"}.items():
        draw_into(tmp_path, [f"{name}.png"])
        (tmp_path / f"{name}.txt").write_text(said)
    found = list(read([DatasetRef(uri=str(tmp_path))]))
    assert [(Path(each.image).name, each.caption) for each in found if isinstance(each, CaptionedImage)] == [
        ("1.png", "a cat"), ("2.png", "a dog"), ("3.png", "a cow"),
    ]  # fmt: skip


def test_a_picture_without_a_text_is_a_fault(tmp_path: Path) -> None:
    draw_into(tmp_path, [f"{number}.png" for number in range(3)])
    for number in range(2):
        (tmp_path / f"{number}.txt").write_text("a cat")
    faults = [each for each in read([DatasetRef(uri=str(tmp_path))]) if not isinstance(each, CaptionedImage)]
    assert [type(each) for each in faults] == [EmptyRow]
