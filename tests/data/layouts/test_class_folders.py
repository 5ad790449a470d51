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


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("dataset_info.json", '{"features": {"image": {"_type": "Image"}, "label": {"names": ["cat", "dog"]}}}'),
        ("class_indices.json", '{"cat": 0, "dog": 1}'),
        ("classes.json", '["cat", "dog"]'),
        ("more/classes.yaml", "names: [cat, dog]\n"),
        ("labels.csv", "id,breed\n1,cat\n"),
        ("labels.csv", "path,label\ntrain/cat/1.png,cat\n"),
        ("empty.jsonl", ""),
    ],
)
@pytest.mark.parametrize("packed", [False, True])
def test_a_file_that_is_no_list_of_rows_is_not_read_and_that_is_said(
    tmp_path: Path, name: str, content: str, packed: bool
) -> None:
    names = [f"{side}/{each}" for side in ("train", "val") for each in NAMES]
    path = zipped(tmp_path / "set.zip", names, {name: content.encode()}) if packed else draw_into(tmp_path, names)
    if not packed:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(content)
    rows = [(f"cat/{number}.png", "cat") for number in (1, 2)] + [(f"dog/{number}.png", "dog") for number in (1, 2)]
    assert found(path) == {
        "": [(f"train/{picture}", label) for picture, label in rows],
        "validation": [(f"val/{picture}", label) for picture, label in rows],
    }
    assert look_up(str(path)).notes == [f"{path}: the folders name the classes, and this is not read: {name}."]


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("metadata.csv", "file_name,label\ncat/1.png,tabby\n"),
        ("rows.jsonl", '{"image": "cat/1.png", "label": "tabby"}\n'),
        ("captions.json", '[{"file_name": "cat/1.png", "text": "a cat"}]'),
    ],
)
@pytest.mark.parametrize("packed", [False, True])
def test_rows_beside_the_folders_come_first(tmp_path: Path, name: str, content: str, packed: bool) -> None:
    path = zipped(tmp_path / "set.zip", NAMES, {name: content.encode()}) if packed else draw_into(tmp_path, NAMES)
    if not packed:
        (tmp_path / name).write_text(content)
    [file] = look_up(str(path)).files
    assert (file.name, file.laid) == (f"{path}/{name}", None)
    assert check([DatasetRef(uri=str(path))]).rows == 1


@pytest.mark.parametrize(
    "names",
    [
        [*NAMES, "annotations/captions_train2017.json"],
        ["photos/1.png", "photos/2.png", "labels.csv"],
        ["a/cat/1.png", "b/dog/1.png", "labels.csv"],
        ["cat/1.png", "cat/1.json", "dog/1.png", "dog/1.json"],
    ],
)
def test_folders_that_may_be_no_classes_are_none_beside_such_a_file(names: list[str]) -> None:
    assert layout_of(Tree.of_names(Path("/set"), names)) is None


def test_classes_of_recordings_are_found_beside_a_file_too(tmp_path: Path) -> None:
    for name in ("yes/1.wav", "no/1.wav"):
        (tmp_path / name).parent.mkdir()
        (tmp_path / name).touch()
    (tmp_path / "class_indices.json").write_text('{"no": 0, "yes": 1}')
    [file] = look_up(str(tmp_path)).files
    assert [row["label"] for row in file.laid or ()] == ["no", "yes"]
    (tmp_path / "said.csv").write_text("path,transcript\nyes/1.wav,yes\n")
    assert str(tmp_path / "said.csv") in [str(file.path) for file in look_up(str(tmp_path)).files]


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
