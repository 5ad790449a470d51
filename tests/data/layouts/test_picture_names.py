from __future__ import annotations

from pathlib import Path

from data.drawn import draw_into
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


def test_pictures_beside_rows_are_left_to_these(tmp_path: Path) -> None:
    assert layout_of(Tree.of_names(tmp_path, ["1.png", "rows.jsonl"])) is None
