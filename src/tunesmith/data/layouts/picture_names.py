"""Pictures alone, described by the words of their names: ``a red circle.png``; the last resort."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import PurePosixPath
from typing import Any, Final

from tunesmith.data.layouts import SIDES, Layout, Side, side_of
from tunesmith.data.layouts.prompts import words
from tunesmith.data.tree import Tree

BESIDE: Final = (".md", ".html", ".ds_store", "license", "thumbs.db", "desktop.ini")
"""Ends of the names of files that say nothing of the pictures."""
FOLDERS: Final = frozenset({"images", *SIDES})
"""Folders that are no classes."""


def sniff(tree: Tree) -> int:
    """Recognise pictures in no folder of a class, and nothing else that could describe them."""
    plain = all(part.lower() in FOLDERS for name in tree.pictures for part in PurePosixPath(name).parts[:-1])
    alone = all(name.lower().endswith(BESIDE) for name in tree.others) and not tree.sounds
    return 10 if tree.pictures and plain and alone else 0


def rows(tree: Tree) -> Iterator[tuple[Side, dict[str, Any]]]:
    """Yield each picture with the words of its name."""
    for name in tree.pictures:
        yield side_of(name), {"image": name, "caption": words(name)}


def notes(tree: Tree) -> list[str]:
    """Say what describes the pictures."""
    return [f"Nothing describes the pictures but their names, such as '{words(tree.pictures[0])}'."]


LAYOUT = Layout(
    name="picture_names",
    summary="pictures alone, described by the words of their names",
    format="vision",
    sniff=sniff,
    rows=rows,
    notes=notes,
)
