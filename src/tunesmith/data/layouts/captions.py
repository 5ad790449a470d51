"""A list of captions beside the pictures: ``captions.csv`` with ``image_path`` and ``caption``, and ``images/``.

A path is relative to the list; a bare name may also lie in the folder ``images`` beside it. ``train`` and ``val`` may
stand above, each with a list of its own.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from pathlib import PurePosixPath
from typing import Any, Final

from tunesmith.data.layouts import Layout, Side, side_of
from tunesmith.data.tree import Tree
from tunesmith.spec.errors import UnreadableData

LIST: Final = "captions.csv"
IMAGES: Final = "images"


def sniff(tree: Tree) -> int:
    """Recognise a list of captions by its name, and pictures."""
    return 74 if tree.pictures and _lists(tree) else 0


def rows(tree: Tree) -> Iterator[tuple[Side, dict[str, Any]]]:
    """Yield each line of the lists, its picture where it lies; what else a line says is left to its row.

    Raises:
        UnreadableData: a list is no CSV.
    """
    for name in _lists(tree):
        folder = PurePosixPath(name).parent
        for line in _lines(tree, name):
            row = {str(key).strip(): value for key, value in line.items() if key is not None and value is not None}
            path = row.get("image_path", "").strip()
            if path:
                row["image_path"] = tree.place_of(path, (folder, folder / IMAGES))
            yield side_of(name), row


def _lines(tree: Tree, name: str) -> Iterator[dict[str | None, Any]]:
    try:
        yield from csv.DictReader(io.StringIO(tree.text(name), newline=""), strict=True)
    except csv.Error as error:
        raise UnreadableData(str(tree.root / name), f"it is no CSV ({error})", ()) from None


def _lists(tree: Tree) -> list[str]:
    return [name for name in tree.others if PurePosixPath(name).name.lower() == LIST]


LAYOUT = Layout(
    name="captions",
    summary="captions.csv with image_path and caption, and the pictures in images/",
    format="vision",
    sniff=sniff,
    rows=rows,
)
