"""A picture and the things in it: ``{"image", "boxes": [{"label", "box": [x, y, width, height]}]}``, in pixels.

``objects`` of data sets of a hub is read as well: ``{"bbox": [[x, y, width, height], ...], "categories": [...]}``, as
``metadata.jsonl`` has it beside ``file_name``. Layouts that keep boxes as shares of a picture say ``relative``; those
that number their classes say the ``names``, and a number is then a place among them. A picture without boxes is a row
too: it shows what nothing is.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from tunesmith.data.columns import Row, chosen, has_any
from tunesmith.data.formats import RowFormat
from tunesmith.data.pictures import COLUMNS, picture
from tunesmith.spec.errors import BadBox, EmptyRow, MissingColumn, Where, WrongType
from tunesmith.spec.examples import Box, BoxedImage, Example

_OBJECTS: Final = ("objects",)
_SIDES: Final = ("bbox", "bboxes", "boxes")
_CLASSES: Final = ("categories", "category", "labels", "label")


def sniff(row: Row) -> int:
    """Recognise a picture with boxes."""
    return 89 if has_any(row, *COLUMNS) and has_any(row, "boxes", *_OBJECTS) else 0


def examples(row: Row, where: Where) -> Iterator[Example]:
    """Make one picture with its boxes."""
    names = tuple(map(str, _list(row.get("names") or [], "names", where)))
    relative = bool(row.get("relative"))
    pairs = enumerate(_pairs(row, where), 1)
    boxes = tuple(_box(number, label, sides, names, relative, where) for number, (label, sides) in pairs)
    yield BoxedImage(picture(row, where), boxes, where, names)


def _pairs(row: Row, where: Where) -> list[tuple[object, object]]:
    """Return what stands for the class and what for the sides of each box."""
    column = chosen(row, "boxes", *_OBJECTS)
    if column not in row:
        raise MissingColumn(column, where, [str(name) for name in row])
    value = row[column]
    if value is None:
        raise EmptyRow(column, where)
    if isinstance(value, Mapping):
        sides = _list(value.get(chosen(value, *_SIDES)), f"{column}.bbox", where)
        classes = _list(value.get(chosen(value, *_CLASSES)), f"{column}.categories", where)
        if len(sides) != len(classes):
            raise BadBox(where, min(len(sides), len(classes)) + 1, "has sides or a class, but not both")
        return list(zip(classes, sides, strict=True))
    found = []
    for each in _list(value, column, where):
        if not isinstance(each, Mapping):
            raise WrongType(column, where, each, "boxes with their label, {'label': ..., 'box': [x, y, width, height]}")
        found.append((each.get(chosen(each, *_CLASSES[::-1])), each.get(chosen(each, "box", *_SIDES))))
    return found


def _box(number: int, label: object, sides: object, names: Sequence[str], relative: bool, where: Where) -> Box:
    if not isinstance(sides, Sequence) or isinstance(sides, str) or len(sides) != 4 or not all(map(_is_number, sides)):
        raise BadBox(where, number, f"is not four numbers, x, y, width and height, but {str(sides)[:60]}")
    left, top, width, height = (float(each) for each in sides)
    if not all(map(math.isfinite, (left, top, width, height))):
        raise BadBox(where, number, "has a side that is not a number")
    if width <= 0 or height <= 0:
        raise BadBox(where, number, f"is empty: {width:g} wide and {height:g} high")
    return Box(_label(number, label, names, where), left, top, width, height, relative)


def _label(number: int, label: object, names: Sequence[str], where: Where) -> str:
    if isinstance(label, bool) or label is None or (isinstance(label, str) and not label.strip()):
        raise BadBox(where, number, "has no class")
    if isinstance(label, int | float):
        if label != int(label) if math.isfinite(label) else True:
            raise BadBox(where, number, f"has the class {label}, which is no whole number")
        if names and not 0 <= label < len(names):
            raise BadBox(where, number, f"has the class {int(label)}, and the classes are 0 to {len(names) - 1}")
        if label < 0:
            raise BadBox(where, number, f"has the class {int(label)}, and classes are numbered from 0")
        return names[int(label)] if names else str(int(label))
    if not isinstance(label, str):
        raise BadBox(where, number, f"has a class that is neither a name nor a number, but {str(label)[:60]}")
    return label.strip()


def _list(value: object, column: str, where: Where) -> list[Any]:
    if not isinstance(value, list | tuple):
        raise WrongType(column, where, value, "a list")
    return list(value)


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


FORMAT = RowFormat(
    name="boxes",
    summary="a picture and the boxes around what is in it",
    columns=("image", "boxes"),
    optional=("image_path", "file_name", "objects", "relative", "names"),
    produces="boxed image",
    sniff=sniff,
    examples=examples,
)
