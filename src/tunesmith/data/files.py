"""Finds the files that a data set's ``uri`` means: a file, a folder, a glob, or several with commas between them."""

from __future__ import annotations

import glob
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tunesmith.data.formats import FORMATS
from tunesmith.data.sources import READERS
from tunesmith.spec.errors import DataNotFound, UnreadableData


@dataclass(frozen=True, slots=True)
class SourceFile:
    """A file of rows."""

    path: Path
    format: str | None = None
    """Row format that the name of its folder forces."""


def find(uri: str) -> list[SourceFile]:
    """Return the files behind a uri, each once, in the order of their names.

    Folders are searched in depth; hidden files and types that no reader knows are passed over there. A folder named
    after a row format forces it on what is below.

    Raises:
        DataNotFound: nothing is there.
        UnreadableData: something is there, but no file that can be read.
    """
    found = dict.fromkeys(file for part in _parts(uri) for file in _expand(part))
    return list(found)


def _parts(uri: str) -> list[str]:
    if "," not in uri or Path(uri).expanduser().exists():
        return [uri]
    return [part.strip() for part in uri.split(",") if part.strip()]


def _expand(part: str) -> list[SourceFile]:
    path = Path(part).expanduser()
    if path.is_dir():
        return _folder(path)
    if path.exists():
        return [_named(path)]
    if not glob.has_magic(part):
        raise DataNotFound(part)
    matches = [Path(name) for name in sorted(glob.glob(str(path), recursive=True))]
    files = [file for match in matches for file in _matched(match)]
    if not matches:
        raise DataNotFound(part, "No file matches; quote the glob so that the shell leaves it alone")
    if not files:
        raise UnreadableData(part, "no file that matches is of a known type", READERS)
    return files


def _named(path: Path) -> SourceFile:
    if not path.is_file():
        raise UnreadableData(str(path), "it is neither a file nor a folder", READERS)
    if path.suffix.lower() not in READERS:
        raise UnreadableData(str(path), f"its type '{path.suffix}' is not known", READERS)
    return SourceFile(path)


def _matched(path: Path) -> Iterator[SourceFile]:
    if path.is_dir():
        yield from _rows_below(path, path)
    elif path.is_file() and path.suffix.lower() in READERS:
        yield SourceFile(path)


def _folder(path: Path) -> list[SourceFile]:
    files = list(_rows_below(path, path))
    if not files:
        raise UnreadableData(str(path), "the folder holds no file of a known type", READERS)
    return files


def _rows_below(folder: Path, top: Path) -> Iterator[SourceFile]:
    for path in sorted(folder.rglob("*")):
        below = path.relative_to(top)
        hidden = any(name.startswith(".") for name in below.parts)
        if not hidden and path.suffix.lower() in READERS and path.is_file():
            yield SourceFile(path, _forced_format([top.absolute().name, *below.parts[:-1]]))


def _forced_format(folders: list[str]) -> str | None:
    return next((name for name in reversed(folders) if name in FORMATS), None)
