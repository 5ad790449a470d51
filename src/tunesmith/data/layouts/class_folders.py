"""A folder for each class: ``cats/1.jpg``, or ``train/cats/1.jpg`` and ``val/cats/2.jpg``; pictures or recordings.

Files that say something else of the data set may lie there too (``dataset_info.json``); rows come before the folders.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import PurePosixPath
from typing import Any, Final

from tunesmith.data import media
from tunesmith.data.layouts import SIDES, Layout, Side
from tunesmith.data.layouts.picture_names import in_no_class
from tunesmith.data.tree import Tree
from tunesmith.spec.errors import UnreadableData

_ROWS: Final = (".jsonl", ".csv", ".yaml", ".json", ".tsv")
"""Endings of files that may say more of the pictures or recordings."""
_NAMED: Final = 3
"""Files not read that a note calls by name."""


def sniff(tree: Tree) -> int:
    """Recognise pictures or recordings that all lie in folders, and no list that says more of them by its name."""
    held = [*tree.pictures, *tree.sounds]
    places = [_place(name) for name in held]
    if not held or None in places or in_no_class(held):
        return 0
    if any(tree.beside(name, (".txt", ".json")) for name in held[:100]) or any(map(_is_list, tree.others)):
        return 0
    return 30 if not beside(tree) or _are_plain(held, places) else 0


def beside(tree: Tree) -> list[str]:
    """Return the files that may hold rows."""
    return [name for name in tree.others if name.endswith(_ROWS)]


def _is_list(name: str) -> bool:
    return name.endswith(_ROWS) and (PurePosixPath(name).stem == "metadata" or "annotation" in name.lower())


def _are_plain(held: list[str], places: list[tuple[Side, str] | None]) -> bool:
    """Whether all lie in the folder of their class itself, and there are several: then it is one beside any file."""
    direct = all(place and PurePosixPath(name).parts[-2] == place[1] for name, place in zip(held, places, strict=True))
    return direct and len({place[1] for place in places if place}) > 1


def rows(tree: Tree) -> Iterator[tuple[Side, dict[str, Any]]]:
    """Yield each picture or recording with the name of its folder."""
    held = [*tree.pictures, *tree.sounds]
    classes = {place[1] for name in held if (place := _place(name))}
    empty = sorted({name for name in _folders(tree)} - classes)
    if len(classes) < 2:
        only = next(iter(classes), "none")
        raise UnreadableData(str(tree.root), f"telling classes apart needs two folders of them, and it has: {only}", ())
    if empty:
        raise UnreadableData(str(tree.root), f"the folder of class '{empty[0]}' holds no picture or recording", ())
    for name in held:
        place = _place(name)
        if place is not None:
            yield place[0], {"image" if media.is_picture(name) else "audio": name, "label": place[1]}


def notes(tree: Tree) -> list[str]:
    """Say which files beside the folders are not read."""
    left = beside(tree)
    if not left:
        return []
    more = f" and {len(left) - _NAMED} more" if len(left) > _NAMED else ""
    return [f"{tree.root}: the folders name the classes, and this is not read: {', '.join(left[:_NAMED])}{more}."]


def _place(name: str) -> tuple[Side, str] | None:
    """Return the side and the class of a picture or recording; None where no folder names a class."""
    parts = PurePosixPath(name).parts[:-1]
    if parts and parts[0].lower() in SIDES and len(parts) > 1:
        return SIDES[parts[0].lower()], parts[1]
    if not parts or parts[0].lower() in SIDES:
        return None
    return "", parts[0]


def _folders(tree: Tree) -> Iterator[str]:
    """Yield the classes whose folders are there, whatever they hold but files that may hold rows."""
    others = (name for name in tree.others if not name.endswith(_ROWS))
    for name in (*others, *(f"{folder}/" for folder in tree.empty)):
        place = _place(f"{name}x")
        if place is not None:
            yield place[1]


LAYOUT = Layout(
    name="class_folders",
    summary="a folder for each class, with or without train and val above them",
    format="labelled_media",
    sniff=sniff,
    rows=rows,
    notes=notes,
    yields=True,
)
