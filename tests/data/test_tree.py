from __future__ import annotations

from pathlib import Path

import pytest

from data.drawn import zipped
from tunesmith.data import archives
from tunesmith.data.tree import Tree, tree_of_archive, tree_of_folder
from tunesmith.spec.errors import UnreadableData


def test_the_only_folder_of_an_archive_is_its_root(tmp_path: Path) -> None:
    path = zipped(tmp_path / "set.zip", ["pets/new/cat/1.png", "pets/new/dog/1.png", "pets/new/bird/"])
    tree = tree_of_archive(path, archives.look_into(path))
    assert tree.root == path / "pets" / "new"
    assert tree.names == ("cat/1.png", "dog/1.png")
    assert tree.empty == ("bird",)


def test_a_folder_whose_name_says_something_stays() -> None:
    assert Tree.of_names(Path("/set"), ["train/cat/1.png", "train/dog/1.png"]).names[0] == "train/cat/1.png"


def test_tells_pictures_from_recordings_and_the_rest() -> None:
    tree = Tree.of_names(Path("/set"), ["a/1.JPG", "a/2.wav", "b/3.txt", "4.png"])
    assert (tree.pictures, tree.sounds, tree.others) == (["4.png", "a/1.JPG"], ["a/2.wav"], ["b/3.txt"])
    assert tree.by_folder == {".": ["4.png"], "a": ["a/1.JPG", "a/2.wav"], "b": ["b/3.txt"]}
    assert tree.has("4.png")
    assert not tree.has("5.png")


def test_knows_the_folders_that_hold_nothing(tmp_path: Path) -> None:
    for name in ("cat", "dog/deep", ".hidden"):
        (tmp_path / name).mkdir(parents=True)
    (tmp_path / "cat" / "1.png").touch()
    tree = tree_of_folder(tmp_path, [tmp_path / "cat" / "1.png"])
    assert (tree.names, tree.empty) == (("cat/1.png",), ("dog", "dog/deep"))


def test_reads_the_text_that_says_what_the_pictures_are(tmp_path: Path) -> None:
    path = zipped(tmp_path / "set.zip", ["1.png"], {"list.csv": b"\xef\xbb\xbfa,b\n", "bad.csv": b"\xff\xfe\xfa"})
    tree = tree_of_archive(path, archives.look_into(path))
    assert tree.text("list.csv") == "a,b\n"
    with pytest.raises(UnreadableData, match="it is not UTF-8 at byte 1"):
        tree.text("bad.csv")
