"""A list of prompts beside its pictures: ``data.csv`` with the columns ``prompt`` and ``image_path``.

Paths are relative to the list; those that are not there are looked for in ``images``.
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

LIST: Final = "data.csv"
PROMPT: Final = "prompt"
PATH: Final = "image_path"
IMAGES: Final = "images"


def sniff(tree: Tree) -> int:
    """Recognise lists with these columns, and pictures beside them."""
    lists = _lists(tree)
    return 75 if tree.pictures and lists and all({PROMPT, PATH} <= set(_header(tree, name)) for name in lists) else 0


def rows(tree: Tree) -> Iterator[tuple[Side, dict[str, Any]]]:
    """Yield each picture that a list names with its prompt.

    Raises:
        UnreadableData: a list is no CSV.
    """
    for name in _lists(tree):
        folder, side = PurePosixPath(name).parent, side_of(name)
        try:
            for row in csv.DictReader(io.StringIO(tree.text(name)), strict=True):
                path = row.get(PATH) or ""
                place = tree.place_of(path, (folder, folder / IMAGES)) if path else ""
                yield side, {"image": place, "caption": row.get(PROMPT) or ""}
        except csv.Error as error:
            raise UnreadableData(str(tree.root / name), f"it is no CSV ({error})", ()) from None


def _lists(tree: Tree) -> list[str]:
    return [name for name in tree.others if PurePosixPath(name).name == LIST]


def _header(tree: Tree, name: str) -> list[str]:
    lines = tree.text(name).splitlines()
    return next(csv.reader(lines[:1]), [])


LAYOUT = Layout(
    name="prompt_list",
    summary="data.csv with prompt and image_path, and the pictures beside it",
    format="vision",
    sniff=sniff,
    rows=rows,
)
