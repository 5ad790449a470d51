"""Recordings and lists of them: ``metadata.csv`` or ``.jsonl`` beside them, ``manifest.jsonl``, ``train.tsv`` + clips.

A list says of each recording what is said in it (``transcription``, ``transcript``, ``sentence``, ``text``), or its
class (``label``). The recording's column is ``file_name``, ``path``, ``audio`` and the like; it is looked for beside
the list, below the root, and in a folder ``clips``, ``wavs`` or ``audio`` of either.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator, Mapping
from pathlib import PurePosixPath
from typing import Any

from tunesmith.data.layouts import SIDES, Layout, Side, side_of
from tunesmith.data.tree import Tree
from tunesmith.spec.errors import UnreadableData

_NAMES = ("metadata", "manifest", "audio_data", "data", *SIDES)
_KINDS = (".csv", ".tsv", ".jsonl", ".json")
_COLUMNS = ("audio", "file_name", "path", "file", "filename", "audio_path", "audio_filepath", "wav", "sound")
_FOLDERS = (".", "clips", "wavs", "audio")


def sniff(tree: Tree) -> int:
    """Recognise recordings beside a list with one of the usual names."""
    return 50 if tree.sounds and not tree.pictures and _lists(tree) else 0


def rows(tree: Tree) -> Iterator[tuple[Side, dict[str, Any]]]:
    """Yield the rows of all lists, with the recording's path from the root as ``audio``."""
    for name in _lists(tree):
        path = PurePosixPath(name)
        side = SIDES.get(path.stem.lower()) or side_of(name)
        places = [base / each for base in (path.parent, PurePosixPath()) for each in _FOLDERS]
        for row in _read(tree, name):
            column = next((each for each in _COLUMNS if _path(row.get(each)) is not None), None)
            if column is not None:
                row = {"audio": tree.place_of(_path(row.pop(column)) or "", places), **row}
            yield side, row


def _path(value: object) -> str | None:
    """Return the path that a column holds, itself or below ``path``."""
    value = value.get("path") if isinstance(value, Mapping) else value
    return value if isinstance(value, str) else None


def _lists(tree: Tree) -> list[str]:
    """Return the names of the lists; where there are lists of sides, others beside them repeat these."""
    found = [name for name in tree.others if PurePosixPath(name).suffix.lower() in _KINDS]
    found = [name for name in found if PurePosixPath(name).stem.lower() in _NAMES]
    sides = [name for name in found if PurePosixPath(name).stem.lower() in SIDES]
    return sides or found


def _read(tree: Tree, name: str) -> Iterator[dict[str, Any]]:
    text, suffix = tree.text(name), PurePosixPath(name).suffix.lower()
    try:
        if suffix == ".csv":
            found: Any = csv.DictReader(io.StringIO(text, newline=""), strict=True)
        elif suffix == ".tsv":
            found = _divided(text)
        elif suffix == ".jsonl":
            found = (json.loads(line) for line in text.splitlines() if line.strip())
        else:
            found = json.loads(text)
        for row in found:
            if not isinstance(row, dict):
                raise ValueError("a row of it is no record")
            yield {str(key): value for key, value in row.items() if key is not None}
    except csv.Error as error:
        raise UnreadableData(str(tree.root / name), f"it is no CSV ({error})", ()) from None
    except (ValueError, TypeError, RecursionError) as error:
        raise UnreadableData(str(tree.root / name), str(error), ()) from None


def _divided(text: str) -> Iterator[dict[str | None, Any]]:
    """Yield the records of a TSV: a quote is one like any other character where there are tabs."""
    stream = io.StringIO(text, newline="")
    if "\t" in text.partition("\n")[0]:
        return csv.DictReader(stream, delimiter="\t", quoting=csv.QUOTE_NONE)
    return csv.DictReader(stream, strict=True)


LAYOUT = Layout(
    name="sound_lists",
    summary="recordings with a list of them: metadata.csv, manifest.jsonl, train.tsv",
    format="",
    sniff=sniff,
    rows=rows,
)
