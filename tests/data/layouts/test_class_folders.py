from __future__ import annotations

import tarfile
from pathlib import Path

import pytest

from data.drawn import as_bytes, draw_into, drawn, zipped
from tunesmith.data.check import check
from tunesmith.data.files import look_up
from tunesmith.data.layouts import layout_of
from tunesmith.data.tree import Tree
from tunesmith.spec.errors import UnreadableData
from tunesmith.spec.job import DatasetRef

NAMES = ["cat/1.png", "cat/2.png", "dog/1.png", "dog/2.png"]


def found(uri: Path) -> dict[str, list[tuple[str, str]]]:
    """Path and class of each row, by side."""
    files = look_up(str(uri)).files
    return {file.side: [(row["image"], row["label"]) for row in file.laid or ()] for file in files}


def test_a_folder_names_the_class_of_its_pictures(tmp_path: Path) -> None:
    assert found(draw_into(tmp_path, NAMES)) == {"": [(name, name.split("/")[0]) for name in NAMES]}


def test_folders_above_the_classes_name_the_sides(tmp_path: Path) -> None:
    sides = {"train": "", "Valid": "validation", "test": "test"}
    draw_into(tmp_path, [f"{side}/{name}" for side in sides for name in NAMES])
    assert found(tmp_path) == {
        meant: [(f"{side}/{name}", name.split("/")[0]) for name in NAMES] for side, meant in sides.items()
    }


def test_an_archive_is_read_like_the_folder_that_was_packed(tmp_path: Path) -> None:
    path = zipped(tmp_path / "set.zip", [f"pets/train/{name}" for name in NAMES])
    [file] = look_up(str(path)).files
    assert file.path == path / "pets" / "train" or file.path == path / "pets"
    assert check([DatasetRef(uri=str(path))]).labels == {"cat": 2, "dog": 2}


def test_a_compressed_tar_is_read_forwards(tmp_path: Path) -> None:
    draw_into(tmp_path / "pets", NAMES)
    with tarfile.open(tmp_path / "pets.tar.gz", "w:gz") as archive:
        for name in reversed(NAMES):
            archive.add(tmp_path / "pets" / name, name)
    assert found(tmp_path / "pets.tar.gz") == {"": [(name, name.split("/")[0]) for name in reversed(NAMES)]}


def test_recordings_have_classes_too(tmp_path: Path) -> None:
    for name in ("yes/1.wav", "no/1.wav"):
        (tmp_path / name).parent.mkdir()
        (tmp_path / name).touch()
    [file] = look_up(str(tmp_path)).files
    assert list(file.laid or ()) == [{"audio": "no/1.wav", "label": "no"}, {"audio": "yes/1.wav", "label": "yes"}]


@pytest.mark.parametrize(
    "names",
    [["cat/1.png", "loose.png"], ["train/1.png", "dog/1.png"], [*NAMES, "metadata.jsonl"], ["a/1.png", "a/1.txt"]],
)
def test_what_is_laid_out_in_another_way_is_left_to_others(names: list[str]) -> None:
    layout = layout_of(Tree.of_names(Path("/set"), names))
    assert layout is None or layout.name != "class_folders"


def test_one_class_alone_is_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(UnreadableData, match="needs two folders of them, and it has: cat"):
        look_up(str(draw_into(tmp_path, ["train/cat/1.png", "val/cat/2.png"])))


@pytest.mark.parametrize("left", [None, "bird/notes.txt"])
def test_a_class_without_pictures_is_refused_by_name(tmp_path: Path, left: str | None) -> None:
    draw_into(tmp_path, NAMES)
    (tmp_path / "bird").mkdir()
    if left:
        (tmp_path / left).touch()
    with pytest.raises(UnreadableData, match="the folder of class 'bird' holds no picture"):
        look_up(str(tmp_path))


def test_a_class_without_pictures_in_an_archive_is_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(UnreadableData, match="the folder of class 'bird' holds no picture"):
        look_up(str(zipped(tmp_path / "set.zip", [*NAMES, "bird/"])))


def test_a_name_that_leads_out_of_the_archive_is_left_out_and_said(tmp_path: Path) -> None:
    path = zipped(tmp_path / "set.zip", NAMES, {"../cat/3.png": as_bytes(drawn(9))})
    assert look_up(str(path)).notes == [f"{path}/../cat/3.png is left out: its name points out of the archive."]
    assert check([DatasetRef(uri=str(path))]).rows == 4
