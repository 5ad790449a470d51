from __future__ import annotations

import json
from pathlib import Path

import pytest

from data.drawn import draw_into, zipped
from tunesmith.cli.main import main
from tunesmith.data.layouts import voc
from tunesmith.data.mixture import ReadRow, locate, stream
from tunesmith.data.tree import Tree
from tunesmith.spec.errors import RowFault
from tunesmith.spec.examples import Box, BoxedImage
from tunesmith.spec.job import DatasetRef

CORNERS = {"xmin": "2", "ymin": "3", "xmax": "11", "ymax": "20"}


def thing(name: str = "cat", *, more: str = "", **corners: str) -> str:
    said = "".join(f"<{each}>{value}</{each}>" for each, value in {**CORNERS, **corners}.items())
    return f"<object><name>{name}</name><difficult>1</difficult>{more}<bndbox>{said}</bndbox></object>"


def annotation(*things: str, filename: str = "1.jpg") -> str:
    size = "<size><width>24</width><height>20</height><depth>3</depth></size>"
    return f"<annotation><folder>VOC</folder><filename>{filename}</filename>{size}{''.join(things)}</annotation>"


def write(folder: Path, files: dict[str, str], *pictures: str) -> Path:
    for name, said in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(said)
    return draw_into(folder, pictures)


def devkit(folder: Path) -> Path:
    """A set as the challenge gave it out: two pictures to train on, one that validates, one that is in no list."""
    files = {f"Annotations/{number}.xml": annotation(thing(), filename=f"{number}.jpg") for number in range(1, 5)}
    lists = {"train": "1\n2\n", "val": "3\n", "trainval": "1\n2\n3\n", "cat_train": "1  1\n2 -1\n"}
    files |= {f"ImageSets/Main/{name}.txt": said for name, said in lists.items()}
    masks = ("SegmentationClass/1.png", "SegmentationObject/1.png")
    return write(folder, files, *(f"JPEGImages/{number}.jpg" for number in range(1, 5)), *masks)


def read(path: Path, **dataset: object) -> list[tuple[str, BoxedImage]]:
    located = locate([DatasetRef(uri=str(path), **dataset)])  # type: ignore[arg-type]
    found = []
    for row in stream(located):
        assert isinstance(row, ReadRow)
        assert isinstance(row.example, BoxedImage)
        ref = located[row.source].dataset
        found.append(("val" if ref.validation else "test" if ref.test else "train", row.example))
    return found


def faults(path: Path, **dataset: object) -> list[str]:
    rows = stream(locate([DatasetRef(uri=str(path), **dataset)]))  # type: ignore[arg-type]
    return [row.message for row in rows if isinstance(row, RowFault)]


def notes(path: Path) -> list[str]:
    return [note for each in locate([DatasetRef(uri=str(path))]) for note in each.notes]


def shown(path: Path) -> list[tuple[str, str]]:
    return sorted((side, Path(row.image).relative_to(path).as_posix()) for side, row in read(path))


def test_reads_the_sides_that_the_lists_name(tmp_path: Path) -> None:
    devkit(tmp_path)
    assert shown(tmp_path) == [
        ("train", "JPEGImages/1.jpg"),
        ("train", "JPEGImages/2.jpg"),
        ("val", "JPEGImages/3.jpg"),
    ]
    left = "1 annotation is in no list of ImageSets/Main and left out, such as Annotations/4.xml"
    assert notes(tmp_path) == [f"{tmp_path}: {left}."]


def test_a_box_reaches_from_the_first_pixel_to_the_last_counted_from_one(tmp_path: Path) -> None:
    [(_, row), *_] = read(devkit(tmp_path))
    assert row.boxes == (Box("cat", 1, 2, 10, 18),)


def test_a_box_of_the_whole_picture_is_one_whether_pixels_count_from_one_or_from_nought(tmp_path: Path) -> None:
    first = thing(xmin="1", ymin="1", xmax="24", ymax="20")
    write(tmp_path, {"Annotations/1.xml": annotation(first, first.replace(">1<", ">0<"))}, "JPEGImages/1.jpg")
    assert read(tmp_path)[0][1].boxes == (Box("cat", 0, 0, 24, 20),) * 2


def test_a_set_in_folders_of_its_own_is_read_like_one_at_the_top(tmp_path: Path) -> None:
    for year in ("VOC2007", "VOC2012"):
        devkit(tmp_path / "VOCdevkit" / year)
    assert [side for side, _ in read(tmp_path)] == ["train"] * 4 + ["val"] * 2
    assert len(notes(tmp_path)) == 2


def test_an_archive_is_read_like_the_folder_that_was_packed(tmp_path: Path) -> None:
    said = {"set/Annotations/1.xml": annotation(thing()).encode(), "set/ImageSets/Main/val.txt": b"1\n"}
    [(side, row)] = read(zipped(tmp_path / "set.zip", ["set/JPEGImages/1.jpg"], said))
    assert (side, row.image) == ("val", str(tmp_path / "set.zip/set/JPEGImages/1.jpg"))


def test_what_is_not_divided_is_trained_on_and_a_name_in_two_lists_is_held_out(tmp_path: Path) -> None:
    devkit(tmp_path)
    (tmp_path / "ImageSets/Main/train.txt").unlink()
    assert shown(tmp_path) == [
        ("train", "JPEGImages/1.jpg"),
        ("train", "JPEGImages/2.jpg"),
        ("val", "JPEGImages/3.jpg"),
    ]


def test_without_lists_every_annotation_counts_and_folders_are_the_sides(tmp_path: Path) -> None:
    names = ("train/Annotations/1", "valid/Annotations/1", "test/Annotations/1")
    pictures = ("train/JPEGImages/1.jpg", "valid/JPEGImages/1.jpg", "test/JPEGImages/1.jpg")
    write(tmp_path, {f"{name}.xml": annotation(thing()) for name in names}, *pictures)
    assert shown(tmp_path) == [("test", pictures[2]), ("train", pictures[0]), ("val", pictures[1])]


def test_an_annotation_may_lie_beside_its_picture(tmp_path: Path) -> None:
    write(tmp_path, {"train/a.rf.7.xml": annotation(), "val/b.xml": annotation()}, "train/a.rf.7.JPG", "val/b.png")
    assert shown(tmp_path) == [("train", "train/a.rf.7.JPG"), ("val", "val/b.png")]


def test_a_picture_may_be_called_as_its_annotation_says(tmp_path: Path) -> None:
    write(tmp_path, {"annotations/7.xml": annotation(filename="C:\\pictures\\cat.png")}, "images/cat.png")
    assert shown(tmp_path) == [("train", "images/cat.png")]


def test_parts_of_things_are_no_things_and_nothing_is_nothing(tmp_path: Path) -> None:
    hand = "<part><name>hand</name><bndbox><xmin>4</xmin></bndbox></part>"
    write(
        tmp_path,
        {"Annotations/1.xml": annotation(thing("person", more=hand)), "Annotations/2.xml": annotation()},
        "JPEGImages/1.jpg",
        "JPEGImages/2.jpg",
    )
    assert [[box.label for box in row.boxes] for _, row in read(tmp_path)] == [["person"], []]


@pytest.mark.parametrize(
    ("said", "why"),
    [
        ("<annotation><object></annotation>", "Annotations/1.xml: not XML: mismatched tag in line 1"),
        ("", "Annotations/1.xml: the file is empty"),
        ("<svg><g/></svg>", "Annotations/1.xml is no annotation of Pascal VOC: it has no object, filename, size"),
        ('<!DOCTYPE a [<!ENTITY x SYSTEM "file:///etc/hostname">]><annotation><filename>&x;</filename></annotation>',
         "Annotations/1.xml: it declares the entity 'x', and entities are not expanded"),
        (annotation(thing(xmin="left")), "is not four numbers, x, y, width and height, but xmin left, ymin 3, xmax 11"),
        (annotation("<object><name>cat</name></object>"), "but xmin missing, ymin missing"),
        (annotation(thing(), thing("")), "box 2 has no class"),
        (annotation(thing(xmax="1")), "box 1 is empty: 0 wide and 18 high"),
        (annotation(thing(ymax="nan")), "box 1 has a side that is not a number"),
    ],
)  # fmt: skip
def test_an_annotation_that_cannot_be_used_is_a_fault_of_its_picture(tmp_path: Path, said: str, why: str) -> None:
    write(
        tmp_path, {"Annotations/1.xml": said, "Annotations/2.xml": annotation()}, "JPEGImages/1.jpg", "JPEGImages/2.jpg"
    )
    [fault] = faults(tmp_path)
    assert why in fault
    assert fault.startswith(f"{tmp_path}/train:1: ")
    assert "\n" not in fault


@pytest.mark.parametrize("name", ["7", "../secret", "/etc/hostname"])
def test_a_name_that_is_not_in_the_set_is_a_fault(tmp_path: Path, name: str) -> None:
    write(tmp_path / "other", {"Annotations/7.xml": annotation()}, "JPEGImages/7.jpg")
    devkit(tmp_path / "set")
    (tmp_path / "set/ImageSets/Main/train.txt").write_text(f"1\n{name}\n")
    [fault] = faults(tmp_path / "set")
    assert f"ImageSets/Main names '{name}', and there is no Annotations/{name}.xml" in fault


def test_nothing_outside_of_the_set_is_read_whatever_an_annotation_says(tmp_path: Path) -> None:
    draw_into(tmp_path, ["secret.jpg"])
    inside = write(tmp_path / "set", {"Annotations/1.xml": annotation(filename="../../secret.jpg")}, "JPEGImages/2.jpg")
    assert [Path(row.image) for _, row in read(inside, within=(str(inside),))] == [inside / "JPEGImages/secret.jpg"]


def test_a_check_names_the_picture_that_is_missing_and_counts_the_things_in_the_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("TUNESMITH_HOME", str(tmp_path / "home"))
    devkit(tmp_path / "set")
    (tmp_path / "set/JPEGImages/2.jpg").unlink()
    assert main(["data", "check", str(tmp_path / "set"), "--json"]) == 65
    report = json.loads(capsys.readouterr().out)
    assert (report["rows"], report["by_format"], report["labels"]) == (2, {"boxes": 2}, {"cat": 2})
    [fault] = report["faults"]["first"]
    assert fault["code"] == "media_missing"
    assert "JPEGImages/2.jpg" in fault["message"]


@pytest.mark.parametrize(
    ("names", "found"),
    [
        (("Annotations/1.xml", "JPEGImages/1.jpg"), 73),
        (("a/annotations/1.xml", "a/images/1.jpg"), 73),
        (("1.jpg", "1.xml"), 73),
        (("1.jpg", "2.jpg", "3.jpg", "1.xml"), 0),
        (("1.jpg", "settings.xml"), 0),
        (("Annotations/1.json", "1.jpg"), 0),
        (("Annotations/1.xml",), 0),
    ],
)
def test_is_recognised_by_its_names(names: tuple[str, ...], found: int) -> None:
    assert voc.sniff(Tree(Path("set"), names)) == found
