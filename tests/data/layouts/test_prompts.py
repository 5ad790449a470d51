from __future__ import annotations

from pathlib import Path

import pytest

from data.drawn import draw_into, zipped
from tunesmith.data.files import look_up
from tunesmith.data.layouts.prompts import words


def captions(uri: Path) -> dict[str, list[tuple[str, str]]]:
    """Path and caption of each row, by side."""
    return {file.side: [(row["image"], row["caption"]) for row in file.laid or ()] for file in look_up(str(uri)).files}


def laid_out(folder: Path, prompts: dict[str, str]) -> Path:
    (folder / "prompts").mkdir(parents=True, exist_ok=True)
    for name, prompt in prompts.items():
        (folder / "prompts" / name).write_text(prompt)
    return folder


def test_a_prompt_stands_in_a_file_of_the_pictures_name(tmp_path: Path) -> None:
    draw_into(tmp_path, ["images/1.png", "images/2.jpg", "images/3.png"])
    laid_out(tmp_path, {"1.txt": "a cat\n", "2.prompt": "a dog", "3.caption": "a cow"})
    assert captions(tmp_path) == {"": [("images/1.png", "a cat"), ("images/2.jpg", "a dog"), ("images/3.png", "a cow")]}


def test_a_picture_without_a_prompt_is_described_by_its_name_and_that_is_said(tmp_path: Path) -> None:
    laid_out(draw_into(tmp_path, ["images/1.png", "images/a_red-cat.png"]), {"1.txt": "a cat"})
    assert captions(tmp_path)[""][1] == ("images/a_red-cat.png", "a red cat")
    assert look_up(str(tmp_path)).notes == [
        "1 picture has no file in prompts: the words of their names describe them, such as 'a red cat'."
    ]


def test_sides_have_folders_of_their_own(tmp_path: Path) -> None:
    for side in ("train", "val"):
        laid_out(draw_into(tmp_path / side, ["images/1.png"]), {})
        laid_out(tmp_path / side, {"1.txt": side})
    assert captions(tmp_path) == {
        "": [("train/images/1.png", "train")], "validation": [("val/images/1.png", "val")],
    }  # fmt: skip


def test_an_archive_is_read_like_the_folder_that_was_packed(tmp_path: Path) -> None:
    path = zipped(tmp_path / "set.zip", ["set/images/1.png"], {"set/prompts/1.txt": b"a cat"})
    assert captions(path) == {"": [("images/1.png", "a cat")]}


@pytest.mark.parametrize(("name", "said"), [("a_red-circle.png", "a red circle"), ("7.png", "7"), ("__.png", "__")])
def test_words_of_a_name(name: str, said: str) -> None:
    assert words(name) == said
