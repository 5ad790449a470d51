"""Which files beside pictures or recordings are lists of rows, and which only say something of the data set."""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterable, Mapping
from typing import Final

from tunesmith.data.archives import Contents
from tunesmith.data.columns import has, has_any
from tunesmith.data.detect import format_of
from tunesmith.data.formats.labelled_media import FORMAT as LABELLED
from tunesmith.data.pictures import COLUMNS
from tunesmith.data.recordings import COLUMNS as SOUNDS
from tunesmith.data.source_file import SourceFile
from tunesmith.data.sources import RawRow, read_file
from tunesmith.data.tree import Tree
from tunesmith.spec.errors import RowFault

_TYPES: Final = (".jsonl", ".csv", ".yaml", ".json", ".tsv")
_LOOKED_AT: Final = 100
"""Rows of a file that are read to find one that is none of its faults."""


def list_in(tree: Tree, names: Iterable[str], contents: Contents | None) -> str | None:
    """Return the first of some files whose rows are in a format that is known.

    ``contents`` are those of the archive that the tree is of, if it is of one.
    """
    return next((name for name in names if name.endswith(_TYPES) and _is_list(_file(tree, name, contents))), None)


def _file(tree: Tree, name: str, contents: Contents | None) -> SourceFile:
    place = tree.root / name
    if contents is None:
        return SourceFile(place)
    archive = next(parent for parent in place.parents if parent.is_file())
    inside = place.relative_to(archive).as_posix()
    member = next(each for each in contents.members if os.path.normpath(each.name) == inside)
    return SourceFile(archive, member=member, broken=member.broken)


def _is_list(file: SourceFile) -> bool:
    read = itertools.islice(read_file(file), _LOOKED_AT)
    first = next((row for row in read if isinstance(row, RawRow)), None)
    if first is None or not isinstance(first.values, Mapping):  # A list of names alone is one of classes.
        return False
    if has(first.values, "images", "annotations"):  # What COCO says of a whole set.
        return True
    try:
        found = format_of(first.values, first.where)
    except RowFault:
        return False
    return found is not LABELLED or has_any(first.values, *COLUMNS, *SOUNDS)
