"""COCO's layout: a JSON file of ``images``, ``annotations`` and ``categories`` for each side, and the pictures.

The side is a word of the file's name or folder (``instances_train2017.json``, ``valid/_annotations.coco.json``).
Annotations of crowds (``iscrowd``) mark regions, not things, and are left out.
"""

from __future__ import annotations

import json
import re
from collections import defaultdict
from collections.abc import Iterator, Mapping
from pathlib import PurePosixPath
from typing import Any, Final

from tunesmith.data.layouts import SIDES, Layout, Side, broken
from tunesmith.data.tree import Tree
from tunesmith.spec.errors import UnreadableData

_NAMES: Final = re.compile(
    r"(^|/)annotations?/[^/]*\.json$|instances[^/]*\.json$|coco[^/]*\.json$|(^|/)annotations\.json$"
)
_OTHERS: Final = re.compile(r"(captions|person_keypoints|stuff|panoptic|image_info)[^/]*\.json$")
_IDS: Final = ("id", "image_id", "category_id")


def sniff(tree: Tree) -> int:
    """Recognise pictures with a file of annotations."""
    return 71 if tree.pictures and _files(tree) else 0


def rows(tree: Tree) -> Iterator[tuple[Side, dict[str, Any]]]:
    """Yield each picture with its boxes."""
    files = _files(tree)
    if not files:
        raise UnreadableData(str(tree.root), "it has no annotations/*.json", ())
    places = _Places(tree)
    for file in files:
        side = _side(file)
        for row in _rows_of(tree, file, places):
            yield side, row


def _rows_of(tree: Tree, file: str, places: _Places) -> Iterator[dict[str, Any]]:
    said = _read(tree, file)
    names = {each.get("id"): str(each.get("name", each.get("id"))) for each in said["categories"]}
    if len(set(names.values())) < len(said["categories"]):
        raise UnreadableData(str(tree.root / file), "it gives two categories the same id or name", ())
    order = list(names.values())
    boxes: defaultdict[object, list[dict[str, Any]]] = defaultdict(list)
    for each in said["annotations"]:
        if not each.get("iscrowd"):
            label = names.get(each.get("category_id"))
            beyond = f"category {each.get('category_id')}, which the file does not list"
            boxes[each.get("image_id")].append(
                {"label": label if label is not None else [beyond], "box": each.get("bbox")}
            )
    for each in said["images"]:
        name = str(each.get("file_name", ""))
        yield {"image": places.of(name, file), "boxes": boxes.get(each.get("id"), []), "names": order}
    listed = {each.get("id") for each in said["images"]}
    strays = [image for image in boxes if image not in listed]
    if strays:
        count, first = sum(len(boxes[image]) for image in strays), strays[0]
        yield broken(f"{count} annotation(s) are of pictures that {file} does not list, such as image_id {first}")


def _read(tree: Tree, file: str) -> dict[str, list[dict[str, Any]]]:
    try:
        said = json.loads(tree.text(file))
    except (ValueError, RecursionError) as error:
        raise UnreadableData(str(tree.root / file), f"it is not JSON ({error})", ()) from None
    parts = {
        key: said.get(key) if isinstance(said, Mapping) else None for key in ("images", "annotations", "categories")
    }
    for key, value in parts.items():
        if not isinstance(value, list) or not all(isinstance(each, Mapping) for each in value):
            raise UnreadableData(str(tree.root / file), f"it has no list of {key}, as annotations of COCO have", ())
        if any(isinstance(each.get(id), list | dict) for each in value for id in _IDS):
            raise UnreadableData(str(tree.root / file), f"an id in its {key} is neither a number nor a text", ())
    return parts  # type: ignore[return-value]


class _Places:
    """Where pictures lie, by what an annotation file calls them."""

    def __init__(self, tree: Tree) -> None:
        self._tree = tree
        self._by_name: defaultdict[str, list[str]] = defaultdict(list)
        for name in tree.pictures:
            self._by_name[PurePosixPath(name).name].append(name)

    def of(self, name: str, file: str) -> str:
        """Return the picture that a file of annotations means, its own name where there is none in the set."""
        beside = (PurePosixPath(file).parent / name).as_posix()
        for place in (beside, name):
            if self._tree.has(place):
                return place
        known = [each for each in self._by_name[PurePosixPath(name).name] if each == name or each.endswith(f"/{name}")]
        of_side = [each for each in known if _side(each) == _side(file)]
        return next(iter(of_side or known), name)


def _files(tree: Tree) -> list[str]:
    return [name for name in tree.others if _NAMES.search(name.lower()) and not _OTHERS.search(name.lower())]


def _side(name: str) -> Side:
    words = re.findall(r"[a-z]+", name.lower())
    return next((SIDES[word] for word in reversed(words) if word in SIDES), "")


LAYOUT = Layout(
    name="coco",
    summary="pictures with annotations/instances_train.json, as COCO has them",
    format="boxes",
    sniff=sniff,
    rows=rows,
)
