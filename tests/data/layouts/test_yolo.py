from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tunesmith.data.layouts import yolo
from tunesmith.data.mixture import ReadRow, locate, stream
from tunesmith.data.tree import Tree
from tunesmith.spec.errors import BadBox, MediaOutside, RowFault, UnreadableData
from tunesmith.spec.examples import Box, BoxedImage
from tunesmith.spec.job import DatasetRef

NAMES = "names: [square, circle]\nnc: 2\n"


def write(
    folder: Path, yaml: str | None = f"{NAMES}train: images/train\nval: images/val\n", line: str = "1 .5 .5 .2 .4"
) -> Path:
    for name in ("train/1", "train/2", "val/3"):
        picture, label = folder / f"images/{name}.png", folder / f"labels/{name}.txt"
        for file in (picture, label):
            file.parent.mkdir(parents=True, exist_ok=True)
        picture.touch()
        label.write_text(f"{line}\n")
    if yaml is not None:
        (folder / "data.yaml").write_text(yaml)
    return folder


def read(path: Path, **dataset: object) -> list[tuple[str, BoxedImage]]:
    located = locate([DatasetRef(uri=str(path), **dataset)])  # type: ignore[arg-type]
    found = []
    for row in stream(located):
        assert isinstance(row, ReadRow)
        assert isinstance(row.example, BoxedImage)
        side = "val" if located[row.source].dataset.validation else "train"
        found.append((side, row.example))
    return found


def faults(path: Path) -> list[RowFault]:
    return [row for row in stream(locate([DatasetRef(uri=str(path))])) if isinstance(row, RowFault)]


def notes(path: Path, **dataset: object) -> list[str]:
    return [note for each in locate([DatasetRef(uri=str(path), **dataset)]) for note in each.notes]  # type: ignore[arg-type]


def shown(rows: list[tuple[str, BoxedImage]], folder: Path) -> list[tuple[str, str]]:
    return sorted((side, Path(row.image).relative_to(folder).as_posix()) for side, row in rows)


OWN = [("train", "images/train/1.png"), ("train", "images/train/2.png"), ("val", "images/val/3.png")]


def test_reads_both_sides_with_the_names_of_data_yaml(tmp_path: Path) -> None:
    rows = read(write(tmp_path))
    assert shown(rows, tmp_path) == OWN
    assert all(row.names == ("square", "circle") for _, row in rows)
    assert rows[0][1].boxes == (Box("circle", 0.4, 0.3, 0.2, 0.4, True),)
    assert notes(tmp_path) == []


def test_names_may_be_numbered(tmp_path: Path) -> None:
    rows = read(write(tmp_path, "names: {1: circle, 0: square}\ntrain: images/train\nval: images/val\n"))
    assert rows[0][1].names == ("square", "circle")


def test_an_outline_becomes_the_box_around_it(tmp_path: Path) -> None:
    [box] = read(write(tmp_path, line="0 .1 .2 .5 .2 .5 .8"))[0][1].boxes
    assert (box.left, box.top, box.width, box.height) == pytest.approx((0.1, 0.2, 0.4, 0.6))


def test_a_picture_without_a_file_of_labels_shows_nothing(tmp_path: Path) -> None:
    write(tmp_path)
    (tmp_path / "labels/val/3.txt").unlink()
    assert dict(read(tmp_path))["val"].boxes == ()


def test_the_sides_may_come_first(tmp_path: Path) -> None:
    write(tmp_path, f"{NAMES}train: ../train/images\nval: ../valid/images\n")
    for old, new in (("train", "train"), ("val", "valid")):
        (tmp_path / new).mkdir()
        for kind in ("images", "labels"):
            (tmp_path / kind / old).rename(tmp_path / new / kind)
    rows = read(tmp_path)
    assert shown(rows, tmp_path) == [
        ("train", "train/images/1.png"), ("train", "train/images/2.png"), ("val", "valid/images/3.png"),
    ]  # fmt: skip
    assert all(row.boxes for _, row in rows)


def test_without_data_yaml_classes_are_called_by_their_numbers(tmp_path: Path) -> None:
    rows = read(write(tmp_path, None))
    assert shown(rows, tmp_path) == OWN
    assert rows[0][1].boxes[0].label == "1"
    assert notes(tmp_path) == [f"{tmp_path}: no data.yaml names the classes, so they are called by their numbers."]


@pytest.mark.parametrize(
    "said", ["train: /gone/images/train\nval: images/val\n", "path: /gone\ntrain: pictures\nval: images/val\n"]
)
def test_a_folder_that_is_not_there_falls_back_to_the_sets_own(tmp_path: Path, said: str) -> None:
    assert shown(read(write(tmp_path, NAMES + said)), tmp_path) == OWN
    assert len(notes(tmp_path)) == 1
    assert "is not in the set, so train is read from 'images/train'." in notes(tmp_path)[0]


def test_a_path_that_leads_outside_falls_back_to_the_sets_own(tmp_path: Path) -> None:
    write(tmp_path / "set", f"{NAMES}path: ../other\ntrain: images/train\nval: images/val\n")
    assert shown(read(tmp_path / "set"), tmp_path / "set") == OWN


def test_an_absolute_folder_that_may_be_read_is_honoured(tmp_path: Path) -> None:
    other = write(tmp_path / "other", None, line="0 .5 .5 .2 .4")
    write(tmp_path / "set", f"{NAMES}train: {other}/images/train\nval: images/val\n")
    rows = read(tmp_path / "set")
    assert shown(rows, tmp_path)[:2] == [("train", "other/images/train/1.png"), ("train", "other/images/train/2.png")]
    assert rows[0][1].boxes[0].label == "square"


def test_of_an_upload_nothing_outside_is_read(tmp_path: Path) -> None:
    other = write(tmp_path / "other", None)
    inside = write(tmp_path / "set", f"{NAMES}path: {other}\ntrain: images/train\nval: images/val\n")
    assert shown(read(inside, within=(str(inside),)), inside) == OWN
    link = inside / "images/train/4.png"
    link.symlink_to(other / "images/train/1.png")
    found = list(stream(locate([DatasetRef(uri=str(inside), within=(str(inside),))])))
    assert [type(row) for row in found if isinstance(row, RowFault)] == [MediaOutside]


LISTS = f"{NAMES}train: train.txt\nval: lists/val.txt\n"


def listed(folder: Path, train: str, val: str = "images/val/3.png\n") -> Path:
    write(folder, LISTS)
    (folder / "lists").mkdir()
    (folder / "train.txt").write_text(train)
    (folder / "lists/val.txt").write_text(val)
    return folder


def test_lists_name_the_pictures_of_a_side(tmp_path: Path) -> None:
    inside = tmp_path / "set"
    listed(inside, f"./images/train/2.png\n\n{inside}/images/val/3.png\n", "../images/train/1.png\n")
    rows = read(inside)
    assert shown(rows, inside) == [
        ("train", "images/train/2.png"), ("train", "images/val/3.png"), ("val", "images/train/1.png"),
    ]  # fmt: skip
    assert all(row.boxes and row.names == ("square", "circle") for _, row in rows)
    assert notes(inside) == []


def test_lists_in_an_archive_are_read_too(tmp_path: Path) -> None:
    listed(tmp_path / "set", "images/train/1.png\n")
    path = Path(shutil.make_archive(str(tmp_path / "set"), "zip", tmp_path / "set"))
    assert shown(read(path), path) == [("train", "images/train/1.png"), ("val", "images/val/3.png")]


def test_a_picture_of_a_list_that_is_not_there_is_a_fault(tmp_path: Path) -> None:
    listed(tmp_path, f"images/train/1.png\nimages/train/9.png\n{'x' * 300}.png\na\0b.png\n")
    found = faults(tmp_path)
    assert "train.txt names 'images/train/9.png', and there is no such picture" in found[0].message
    assert len(found) == 3


def test_a_list_that_leads_nowhere_falls_back_to_the_sets_own(tmp_path: Path) -> None:
    listed(tmp_path, "/gone/images/train/1.png\n")
    assert shown(read(tmp_path), tmp_path) == OWN
    assert "'train.txt' names no picture of the set, so train is read from 'images/train'." in notes(tmp_path)[0]


def test_a_list_reads_outside_only_where_that_may_be_read(tmp_path: Path) -> None:
    other = write(tmp_path / "other", None, line="0 .5 .5 .2 .4")
    (other / "all.txt").write_text("./images/train/1.png\n")
    inside = listed(tmp_path / "set", f"images/train/1.png\n{other}/images/train/2.png\n../other/images/val/3.png\n")
    anywhere = [name for side, name in shown(read(inside), tmp_path) if side == "train"]
    assert anywhere == ["other/images/train/2.png", "other/images/val/3.png", "set/images/train/1.png"]
    located = locate([DatasetRef(uri=str(inside), within=(str(inside),))])
    within = [row.example.image for row in stream(located) if isinstance(row, ReadRow)]  # type: ignore[union-attr]
    assert all(Path(name).is_relative_to(inside) for name in within)
    assert sum(isinstance(row, RowFault) for row in stream(located)) == 2
    (inside / "data.yaml").write_text(f"{NAMES}train: {other}/all.txt\nval: images/val\n")
    assert shown(read(inside), tmp_path)[0] == ("train", "other/images/train/1.png")
    assert shown(read(inside, within=(str(inside),)), inside) == OWN


def test_nothing_of_its_own_and_a_path_outside_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "set/pictures").mkdir(parents=True)
    (tmp_path / "set/pictures/1.png").touch()
    (tmp_path / "set/data.yaml").write_text(f"{NAMES}path: ../../elsewhere\ntrain: images/train\n")
    with pytest.raises(UnreadableData, match="leads to no pictures of the set, and it has no images/train"):
        read(tmp_path / "set")


@pytest.mark.parametrize(
    ("said", "why"),
    [
        ("names: !!python/object/apply:os.system ['true']\n", "it is not plain YAML: could not determine"),
        ("names: [a\n", "it is not plain YAML"),
        ("[1]\n", "it holds no keys"),
        ("names: [a, b]\nnc: 3\n", "nc is 3, and there are 2 names"),
        ("names: [a, a]\n", "it gives two classes the same name"),
        ("names: {0: a, 2: b}\n", "the numbers of its names must be 0 to 1"),
        ("names: a\n", "names must be a list of names"),
        ("names: [a]\ntrain: 3\n", "train must be a folder, or a list of folders"),
        ("names: [a]\npath: [b]\n", "path must be a folder"),
        ("names: [a]\nmade: 2020-99-99\n", "it is not plain YAML: month must be in 1..12"),
        ("nc: 3000000\n", "nc is 3000000; 100000 classes are the most"),
        ("a: &a [1, &b [*a]]\n", "stands inside of what it means"),
        ("a0: &a0 [x]\n" + "".join(f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]\n" for n in range(1, 8)),
         "its aliases unfold to more than 100 times what is written"),
    ],
)  # fmt: skip
def test_a_data_yaml_that_cannot_be_used_is_one_sentence(tmp_path: Path, said: str, why: str) -> None:
    with pytest.raises(UnreadableData) as caught:
        read(write(tmp_path, said))
    assert why in caught.value.message
    assert "\n" not in caught.value.message


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ("2 .5 .5 .2 .4", "box 1 has the class 2, and the classes are 0 to 1"),
        ("0 .5 .5 nan .4", "box 1 has a side that is not a number"),
        ("0 .5 .5 0 .4", "box 1 is empty"),
        ("-1 .5 .5 .2 .2", "box 1 has the class -1, and the classes are 0 to 1"),
        ("0 .5 .5", "box 1 is not four numbers"),
        ("square .5 .5 .1 .1", "box 1 is not four numbers"),
    ],
)
def test_a_line_that_is_no_box_is_a_fault_of_its_picture(tmp_path: Path, line: str, why: str) -> None:
    found = faults(write(tmp_path, line=line))
    assert [type(fault) for fault in found] == [BadBox] * 3
    assert why in found[0].message


def test_a_class_below_0_is_a_fault_without_names_too(tmp_path: Path) -> None:
    found = faults(write(tmp_path, None, line="-1 .5 .5 .2 .2"))
    assert ["has the class -1, and classes are numbered from 0" in fault.message for fault in found] == [True] * 3


@pytest.mark.parametrize(
    ("names", "found"),
    [
        (("images/train/1.png", "labels/train/1.txt"), 72),
        (("1.png", "data.yaml"), 72),
        (("cats/1.png", "dogs/2.png"), 0),
        (("1.png", "1.txt"), 0),
        (("data.yaml",), 0),
    ],
)
def test_is_recognised_by_its_names(names: tuple[str, ...], found: int) -> None:
    assert yolo.sniff(Tree(Path("set"), names)) == found
