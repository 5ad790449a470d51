"""Layouts of folders and archives that hold pictures or recordings, one file each; a file with a ``LAYOUT`` is one.

May import ``data.tree``, ``data.media``, ``data.elements`` and spec. To add one, ``make new-layout NAME=foo``:
``sniff`` looks at the names in the tree alone, ``rows`` says what each picture or recording is, as a row of the row
format that ``format`` names, with paths relative to the tree's root. Faults of single pictures are found when their
rows are read, and a row that is none is ``broken``; what is wrong with the layout itself, such as a list of classes
that cannot be read, is raised.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any, Final, Literal

from tunesmith.data.source_file import BROKEN
from tunesmith.data.tree import Tree

Side = Literal["", "validation", "test"]
"""What a row is for; empty: to train on, and to split rows off where no others are held out."""

SIDES: Final[dict[str, Side]] = {
    "train": "",
    "training": "",
    "val": "validation",
    "valid": "validation",
    "validation": "validation",
    "dev": "validation",
    "test": "test",
    "testing": "test",
}
"""Names that folders and files of one side have."""


def side_of(name: str) -> Side:
    """Return the side of a file, by the folders that it lies in."""
    folders = (part.lower() for part in PurePosixPath(name).parts[:-1])
    return next((SIDES[folder] for folder in folders if folder in SIDES), "")


def broken(why: str) -> dict[str, Any]:
    """Return what stands for a row that cannot be read, so that a fault says why."""
    return {BROKEN: why}


def _nothing(tree: Tree) -> list[str]:
    return []


@dataclass(frozen=True)
class Layout:
    """A way in which folders are laid out."""

    name: str
    """As ``--dataset-format`` spells it."""
    summary: str
    format: str
    """Row format of its rows."""
    sniff: Callable[[Tree], int]
    """0 = not laid out like this; else this layout's own number: the more special its names, the higher, to 99."""
    rows: Callable[[Tree], Iterator[tuple[Side, dict[str, Any]]]]
    """Yields each row with the side that it is for.

    Raises:
        UnreadableData: a file that the layout depends on cannot be used.
    """
    notes: Callable[[Tree], list[str]] = _nothing
    """What the user should know of how it is read, one sentence each."""
    yields: bool = False
    """Whether files of rows beside the pictures or recordings come before it."""


def _found() -> dict[str, Layout]:
    modules = (importlib.import_module(f"{__name__}.{module.name}") for module in pkgutil.iter_modules(__path__))
    return {module.LAYOUT.name: module.LAYOUT for module in modules}


LAYOUTS: Final = _found()
"""Every layout by its name."""


def layout_of(tree: Tree) -> Layout | None:
    """Return the most special layout that recognises a tree."""
    best = max(LAYOUTS.values(), key=lambda each: each.sniff(tree))
    return best if best.sniff(tree) else None
