from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tunesmith.data.layouts import coco
from tunesmith.data.mixture import ReadRow, locate, stream
from tunesmith.data.tree import Tree
from tunesmith.spec.errors import BadBox, UnreadableData, UnreadableRow
from tunesmith.spec.examples import Box, BoxedImage
from tunesmith.spec.job import DatasetRef

CATEGORIES = [{"id": 7, "name": "square"}, {"id": 3, "name": "circle"}]


def annotations(name: str, *boxes: dict[str, Any]) -> dict[str, Any]:
    return {
        "images": [{"id": 11, "file_name": name, "width": 40, "height": 30}],
        "annotations": [{"id": place, "image_id": 11, **box} for place, box in enumerate(boxes)],
        "categories": CATEGORIES,
    }


CIRCLE = {"category_id": 3, "bbox": [1, 2, 10, 20], "iscrowd": 0}


def write(folder: Path, files: dict[str, Any], *pictures: str) -> Path:
    for name, said in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(said if isinstance(said, str) else json.dumps(said))
    for name in pictures:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()
    return folder


def read(path: Path) -> list[tuple[bool, BoxedImage]]:
    located = locate([DatasetRef(uri=str(path))])
    rows = [row for row in stream(located) if isinstance(row, ReadRow)]
    return [
        (located[row.source].dataset.validation, row.example) for row in rows if isinstance(row.example, BoxedImage)
    ]


@pytest.mark.parametrize(
    ("files", "pictures"),
    [
        (("annotations/instances_train2017.json", "annotations/instances_val.json"), ("train2017/a.jpg", "val/a.jpg")),
        (("train/_annotations.coco.json", "valid/_annotations.coco.json"), ("train/a.jpg", "valid/a.jpg")),
        (("annotations/train.json", "annotations/val.json"), ("images/train/a.jpg", "images/val/a.jpg")),
    ],
)  # fmt: skip
def test_reads_both_sides_with_their_own_pictures(
    tmp_path: Path, files: tuple[str, str], pictures: tuple[str, str]
) -> None:
    write(tmp_path, dict.fromkeys(files, annotations("a.jpg", CIRCLE)), *pictures)
    rows = read(tmp_path)
    assert [(held_out, Path(row.image).relative_to(tmp_path).as_posix()) for held_out, row in rows] == [
        (False, pictures[0]), (True, pictures[1]),
    ]  # fmt: skip
    assert all(row.boxes == (Box("circle", 1, 2, 10, 20),) for _, row in rows)
    assert all(row.names == ("square", "circle") for _, row in rows)


def test_a_crowd_is_no_thing(tmp_path: Path) -> None:
    write(tmp_path, {"annotations/train.json": annotations("a.jpg", {**CIRCLE, "iscrowd": 1})}, "a.jpg")
    assert read(tmp_path)[0][1].boxes == ()


def test_boxes_of_pictures_that_are_not_listed_are_one_fault_of_their_file(tmp_path: Path) -> None:
    strays = [{**CIRCLE, "image_id": 77}, {**CIRCLE, "image_id": 78}, {**CIRCLE, "image_id": 79, "iscrowd": 1}]
    write(tmp_path, {"annotations/train.json": annotations("a.jpg", CIRCLE, *strays)}, "a.jpg")
    row, fault = stream(locate([DatasetRef(uri=str(tmp_path))]))
    assert isinstance(row, ReadRow) and isinstance(row.example, BoxedImage) and len(row.example.boxes) == 1
    assert isinstance(fault, UnreadableRow)
    assert "2 annotation(s) are of pictures that annotations/train.json does not list, such as" in fault.message
    assert "image_id 77" in fault.message


def test_other_annotations_are_passed_over(tmp_path: Path) -> None:
    said = {"annotations/instances_train.json": annotations("a.jpg", CIRCLE), "annotations/captions_train.json": "{}"}
    assert len(read(write(tmp_path, said, "a.jpg"))) == 1


def test_a_category_that_is_not_listed_is_a_fault_of_its_picture(tmp_path: Path) -> None:
    write(tmp_path, {"annotations/train.json": annotations("a.jpg", {**CIRCLE, "category_id": 5})}, "a.jpg")
    [fault] = stream(locate([DatasetRef(uri=str(tmp_path))]))
    assert isinstance(fault, BadBox)
    assert "category 5, which the file does not list" in fault.message


def test_a_picture_that_is_not_there_keeps_its_name(tmp_path: Path) -> None:
    write(tmp_path, {"annotations/train.json": annotations("gone.jpg", CIRCLE)}, "a.jpg")
    assert Path(read(tmp_path)[0][1].image).name == "gone.jpg"


@pytest.mark.parametrize(
    ("said", "why"),
    [
        ("{", "it is not JSON"),
        ("[]", "it has no list of images"),
        ({"images": [], "annotations": []}, "it has no list of categories"),
        ({"images": [], "annotations": [], "categories": [{"id": 1, "name": "a"}] * 2}, "the same id or name"),
        ({"images": [], "annotations": [], "categories": [{"id": [1]}]}, "an id in its categories is neither"),
        ({"images": [{"id": {}}], "annotations": [], "categories": []}, "an id in its images is neither"),
        ({"images": [], "annotations": [{"image_id": [1]}], "categories": []}, "an id in its annotations is neither"),
        ({"images": [], "annotations": [{"category_id": {}}], "categories": []}, "in its annotations is neither"),
    ],
)  # fmt: skip
def test_annotations_that_cannot_be_used_are_one_sentence(tmp_path: Path, said: object, why: str) -> None:
    write(tmp_path, {"annotations/train.json": said}, "a.jpg")
    with pytest.raises(UnreadableData) as caught:
        read(tmp_path)
    assert why in caught.value.message


def test_is_recognised_by_its_names() -> None:
    assert coco.sniff(Tree(Path("set"), ("a.jpg", "annotations/instances_val.json"))) == 71
    assert coco.sniff(Tree(Path("set"), ("a.jpg", "annotations/captions_val.json"))) == 0
    assert coco.sniff(Tree(Path("set"), ("a.jpg", "settings.json"))) == 0
