"""A folder for each class: ``cats/1.jpg``, or ``train/cats/1.jpg`` and ``val/cats/2.jpg``; pictures or recordings."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import PurePosixPath
from typing import Any

from tunesmith.data import media
from tunesmith.data.layouts import SIDES, Layout, Side
from tunesmith.data.tree import Tree
from tunesmith.spec.errors import UnreadableData


def sniff(tree: Tree) -> int:
    """Recognise pictures or recordings that all lie in folders, and no list that says more of them."""
    held = [*tree.pictures, *tree.sounds]
    if not held or any(name.endswith((".jsonl", ".csv", ".yaml", ".json", ".tsv")) for name in tree.others):
        return 0
    if any(PurePosixPath(name).with_suffix(".txt").as_posix() in tree.names for name in held[:100]):
        return 0
    return 30 if all(_place(name) is not None for name in held) else 0


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


def _place(name: str) -> tuple[Side, str] | None:
    """Return the side and the class of a picture or recording; None where no folder names a class."""
    parts = PurePosixPath(name).parts[:-1]
    if parts and parts[0].lower() in SIDES and len(parts) > 1:
        return SIDES[parts[0].lower()], parts[1]
    if not parts or parts[0].lower() in SIDES:
        return None
    return "", parts[0]


def _folders(tree: Tree) -> Iterator[str]:
    """Yield the classes whose folders are there, whatever they hold."""
    for name in (*tree.others, *(f"{folder}/" for folder in tree.empty)):
        place = _place(f"{name}x")
        if place is not None:
            yield place[1]


LAYOUT = Layout(
    name="class_folders",
    summary="a folder for each class, with or without train and val above them",
    format="labelled_media",
    sniff=sniff,
    rows=rows,
)
