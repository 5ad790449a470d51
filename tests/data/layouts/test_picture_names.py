from __future__ import annotations

from pathlib import Path

import pytest

from data.drawn import draw_into, zipped
from data.layouts.test_prompts import captions
from tunesmith.data.files import look_up
from tunesmith.data.layouts import layout_of
from tunesmith.data.tree import Tree


def test_pictures_alone_are_described_by_their_names_and_that_is_said(tmp_path: Path) -> None:
    draw_into(tmp_path, ["a_red_circle.png", "a blue square.jpg"])
    assert captions(tmp_path) == {
        "": [("a blue square.jpg", "a blue square"), ("a_red_circle.png", "a red circle")],
    }
    assert look_up(str(tmp_path)).notes == ["Nothing describes the pictures but their names, such as 'a blue square'."]


def test_folders_of_classes_are_none_of_these(tmp_path: Path) -> None:
    found = layout_of(Tree.of_names(tmp_path, ["cat/1.png", "dog/1.png"]))
    assert found is not None and found.name == "class_folders"


@pytest.mark.parametrize("top", ["", "set/"])
@pytest.mark.parametrize("packed", [False, True])
def test_the_folder_of_images_is_no_class(tmp_path: Path, packed: bool, top: str) -> None:
    names = [f"{top}images/a red circle.png", f"{top}images/b.png"]
    uri = zipped(tmp_path / "set.zip", names) if packed else draw_into(tmp_path / "folder", names)
    assert captions(uri) == {"": [("images/a red circle.png", "a red circle"), ("images/b.png", "b")]}


@pytest.mark.parametrize("names", [("images/train/a cat.png", "images/val/a dog.png"),
                                   ("train/images/a cat.png", "val/images/a dog.png")])  # fmt: skip
@pytest.mark.parametrize("packed", [False, True])
def test_sides_may_stand_above_or_below_images(tmp_path: Path, names: tuple[str, str], packed: bool) -> None:
    uri = zipped(tmp_path / "set.zip", names) if packed else draw_into(tmp_path / "set", names)
    assert captions(uri) == {"": [(names[0], "a cat")], "validation": [(names[1], "a dog")]}


@pytest.mark.parametrize("packed", [False, True])
def test_prompts_of_which_none_fits_are_told(tmp_path: Path, packed: bool) -> None:
    if packed:
        uri = zipped(tmp_path / "set.zip", ["images/a cat.png"], {"prompts/7.txt": b"a dog"})
    else:
        uri = draw_into(tmp_path, ["images/a cat.png"])
        (tmp_path / "prompts").mkdir()
        (tmp_path / "prompts" / "7.txt").write_text("a dog")
    assert captions(uri) == {"": [("images/a cat.png", "a cat")]}
    assert look_up(str(uri)).notes == [
        "Nothing describes the pictures but their names, such as 'a cat'.",
        "No picture has the name of a file in prompts, such as prompts/7.txt.",
    ]


def test_pictures_beside_rows_are_left_to_these(tmp_path: Path) -> None:
    assert layout_of(Tree.of_names(tmp_path, ["1.png", "rows.jsonl"])) is None
