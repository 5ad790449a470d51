"""Pictures alone, described by the words of their names: ``a red circle.png``; the last resort.

They may lie in ``images``, with a folder ``prompts`` beside it in which no file has the name of one.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import PurePosixPath
from typing import Any, Final

from tunesmith.data.layouts import SIDES, Layout, Side, side_of
from tunesmith.data.layouts.prompts import ENDINGS, PROMPTS, words
from tunesmith.data.tree import Tree

BESIDE: Final = (".md", ".html", ".ds_store", "license", "thumbs.db", "desktop.ini")
"""Ends of the names of files that say nothing of the pictures."""
FOLDERS: Final = frozenset({"images", *SIDES})
"""Folders that are no classes."""


def sniff(tree: Tree) -> int:
    """Recognise pictures in no folder of a class, and nothing else that could describe them."""
    alone = all(name.lower().endswith(BESIDE) or _is_prompt(name) for name in tree.others) and not tree.sounds
    return 10 if tree.pictures and in_no_class(tree.pictures) and alone else 0


def in_no_class(names: Sequence[str]) -> bool:
    """Whether none of these files lies in a folder that could be that of a class."""
    return all(part.lower() in FOLDERS for name in names for part in PurePosixPath(name).parts[:-1])


def _is_prompt(name: str) -> bool:
    return PurePosixPath(name).parent.name == PROMPTS and name.endswith(ENDINGS)


def rows(tree: Tree) -> Iterator[tuple[Side, dict[str, Any]]]:
    """Yield each picture with the words of its name."""
    for name in tree.pictures:
        yield side_of(name), {"image": name, "caption": words(name)}


def notes(tree: Tree) -> list[str]:
    """Say what describes the pictures."""
    said = [f"Nothing describes the pictures but their names, such as '{words(tree.pictures[0])}'."]
    strays = [name for name in tree.others if _is_prompt(name)]
    return [*said, f"No picture has the name of a file in {PROMPTS}, such as {strays[0]}."] if strays else said


LAYOUT = Layout(
    name="picture_names",
    summary="pictures alone, described by the words of their names",
    format="vision",
    sniff=sniff,
    rows=rows,
    notes=notes,
)
