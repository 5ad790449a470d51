from __future__ import annotations

from pathlib import Path

import pytest

from data.drawn import draw_into, zipped
from data.layouts.test_prompts import captions
from tunesmith.data.check import check
from tunesmith.data.files import look_up
from tunesmith.spec.errors import UnreadableData
from tunesmith.spec.job import DatasetRef

LIST = 'prompt,image_path\n"a cat, black",images/1.png\na dog,2.png\n'


def test_a_list_names_the_pictures_beside_it_or_in_images(tmp_path: Path) -> None:
    draw_into(tmp_path, ["images/1.png", "images/2.png"])
    (tmp_path / "data.csv").write_text(LIST)
    assert captions(tmp_path) == {"": [("images/1.png", "a cat, black"), ("images/2.png", "a dog")]}


def test_a_picture_that_is_not_there_is_a_fault_of_its_row(tmp_path: Path) -> None:
    draw_into(tmp_path, ["images/1.png"])
    (tmp_path / "data.csv").write_text(LIST)
    found = check([DatasetRef(uri=str(tmp_path))])
    assert (found.rows, found.faults.count) == (1, 1)
    assert "2.png" in found.faults.first[0].message


def test_an_archive_is_read_like_the_folder_that_was_packed(tmp_path: Path) -> None:
    path = zipped(tmp_path / "set.zip", ["images/1.png", "images/2.png"], {"data.csv": LIST.encode()})
    assert [caption for _, caption in captions(path)[""]] == ["a cat, black", "a dog"]


def test_a_list_that_is_no_csv_is_told(tmp_path: Path) -> None:
    draw_into(tmp_path, ["images/1.png"])
    (tmp_path / "data.csv").write_text('prompt,image_path\n"a cat"x,images/1.png\n')
    with pytest.raises(UnreadableData, match="it is no CSV"):
        [list(file.laid or ()) for file in look_up(str(tmp_path)).files]
