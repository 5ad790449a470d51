"""Finds the files that a data set's ``uri`` means.

A uri is a file, an archive, a folder, a glob, a part of a folder or archive that is laid out like a data set of a hub
(``folder:train``, ``folder:config:split``), or several of these with commas between them.
"""

from __future__ import annotations

import glob
import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any, Final

from tunesmith.data import archives
from tunesmith.data.compression import split_suffixes
from tunesmith.data.formats import FORMATS
from tunesmith.data.hub_folder import Layout, layout_of
from tunesmith.data.layouts import LAYOUTS
from tunesmith.data.layouts import Layout as MediaLayout
from tunesmith.data.layouts import layout_of as layout_of_media
from tunesmith.data.lists import list_in
from tunesmith.data.media import is_media
from tunesmith.data.source_file import SourceFile
from tunesmith.data.sources import READERS
from tunesmith.data.tree import Tree, places_in, tree_of_archive, tree_of_folder
from tunesmith.spec.errors import DataNotFound, NobodysHome, RowFault, UnreadableData
from tunesmith.spec.home_paths import expanded

NAMED: Final = 3
"""Files passed over that a note calls by name."""

_KNOWN: Final = (*READERS, *archives.SUFFIXES)
_COMPANIONS: Final = ("readme", "license", "licence", "dataset_info", "dataset_infos", "croissant")
"""Names of files that come with data and are none, in whatever type."""


@dataclass(frozen=True)
class Found:
    """The files behind a uri."""

    files: list[SourceFile] = field(default_factory=list)
    """Each once, in the order of their names."""
    notes: list[str] = field(default_factory=list)
    """What was passed over, one sentence each."""


def find(uri: str) -> list[SourceFile]:
    """Return the files behind a uri; see ``look_up``."""
    return look_up(uri).files


def look_up(uri: str, format: str = "auto", within: tuple[str, ...] | None = None) -> Found:
    """Find the files behind a uri; ``format`` may name a layout, which folders and archives then must have.

    ``within`` are folders outside of which nothing that such a layout names is read; None: whatever may be read.

    Folders are searched in depth; hidden files and types that no reader knows are passed over there. A folder named
    after a row format forces it on what is below.

    Raises:
        DataNotFound: nothing is there.
        UnreadableData: something is there, but no file that can be read.
    """
    found = [_expand(part, format, within) for part in parts(uri)]
    files: dict[tuple[object, ...], SourceFile] = {}
    for file in (file for each in found for file in each.files):
        files.setdefault(_identity(file), file)
    return Found(list(files.values()), [note for each in found for note in each.notes])


def parts(uri: str, there: Callable[[str], bool] | None = None) -> list[str]:
    """Divide a uri at its commas, but not inside the name of something that is ``there``: in the working folder."""
    there = there or is_there
    pieces = uri.split(",")
    found: list[str] = []
    while pieces:
        longest = next((n for n in range(len(pieces), 1, -1) if there(",".join(pieces[:n]).strip())), 1)
        found.append(",".join(pieces[:longest]).strip())
        pieces = pieces[longest:]
    return [part for part in found if part] or [uri]


def layout_at(place: Path) -> Layout | None:
    """Return how a folder or an archive is laid out, if it is like a data set of a hub."""
    return _layout_in(place, archives.look_into(place)) if is_archive_file(place) else _layout_of(place)


def _layout_of(folder: Path) -> Layout | None:
    readme = folder / "README.md"
    try:
        text = readme.read_text(errors="replace") if readme.is_file() else ""
        below = list(_below(folder))
    except OSError:
        return None
    if _media_layout(tree_of_folder(folder, below)) is not None:
        return None  # Text files beside pictures, such as those of their boxes, are no splits.
    names = [path.relative_to(folder).as_posix() for path in below]
    return layout_of([name for name in names if is_rows(name)], text)


def _layout_in(archive: Path, contents: archives.Contents) -> Layout | None:
    tree = tree_of_archive(archive, contents)
    if _media_layout(tree, contents) is not None:
        return None
    try:
        text = tree.content("README.md").decode(errors="replace") if tree.has("README.md") else ""
    except RowFault:
        text = ""
    return layout_of([name for name in tree.names if is_rows(name)], text)


def is_there(name: str) -> bool:
    """Whether a file or folder has this name, whatever the name holds."""
    try:
        return bool(name) and expanded(name).exists()
    except (OSError, ValueError, NobodysHome):
        return False


def is_rows(name: str) -> bool:
    """Whether a file found in a folder holds rows, by its name."""
    return split_suffixes(name)[0] in READERS and not archives.is_archive(name) and not _is_companion(name)


def is_archive_file(path: Path) -> bool:
    """Whether a file is there that is an archive by its name."""
    return archives.is_archive(path.name) and path.is_file()


def divided(part: str) -> tuple[Path, list[str]] | None:
    """Divide ``folder:split`` or ``folder:config:split`` into the folder or archive, which is there, and the rest."""
    pieces = part.split(":")
    for length in range(len(pieces) - 1, max(0, len(pieces) - 3), -1):
        base = expanded(":".join(pieces[:length]))
        if pieces[0] and (base.is_dir() or is_archive_file(base)):
            return base, pieces[length:]
    return None


def _identity(file: SourceFile) -> tuple[object, ...]:
    """Two ways to the same file are one file; two names of the same bytes, as in the hub's cache, are two."""
    return os.path.realpath(file.path.parent), file.path.name, file.member, file.side


def _expand(part: str, format: str, within: tuple[str, ...] | None) -> Found:
    path = expanded(part)
    if is_there(part):
        return _folder(path, format, within) if path.is_dir() else _named(path, format, within)
    if chosen := divided(part):
        return _chosen(part, *chosen, within)
    if not glob.has_magic(part):
        raise DataNotFound(part)
    matches = [Path(name) for name in sorted(glob.glob(str(path), recursive=True))]
    if not matches:
        raise DataNotFound(part, "No file matches; quote the glob so that the shell leaves it alone")
    folders = [path for path in matches if path.is_dir()]
    found = _collected([path for path in matches if path.is_file()], None)
    for folder in folders:
        below = _collected(list(_below(folder)), folder)
        found = Found(found.files + below.files, found.notes + below.notes)
    if not found.files:
        raise UnreadableData(part, _why("no file that matches is of a known type", found), _KNOWN)
    return found


def _named(path: Path, format: str, within: tuple[str, ...] | None) -> Found:
    if not path.is_file():
        raise UnreadableData(str(path), "it is neither a file nor a folder", _KNOWN)
    if archives.is_archive(path.name):
        contents = archives.look_into(path)
        laid = _laid(tree_of_archive(path, contents, within), format, contents, places_in(path, contents))
        if laid is not None:
            rest = [SourceFile(path, broken=contents.broken)] if contents.broken else []
            return Found(laid.files + rest, contents.notes + laid.notes)
        found = _archive(path, None)
        if not found.files:
            raise _nothing_in(path, "archive", found, (each.name for each in contents.members))
        return found
    if split_suffixes(path.name)[0] not in READERS:
        raise UnreadableData(str(path), f"its type '{path.suffix}' is not known", _KNOWN)
    return Found([SourceFile(path)])


def _folder(path: Path, format: str = "auto", within: tuple[str, ...] | None = None) -> Found:
    try:
        below = list(_below(path))
        laid = _laid(tree_of_folder(path, below, within), format)
        if laid is not None:
            return laid
        found = _collected(below, path)
    except OSError as error:
        raise UnreadableData(str(error.filename or path), f"the system says '{error.strerror}'", _KNOWN) from error
    if not found.files:
        raise _nothing_in(path, "folder", found, (file.name for file in below))
    return found


def _nothing_in(path: Path, what: str, found: Found, names: Iterable[str]) -> UnreadableData:
    """Say why nothing in a folder or an archive can be read."""
    if not any(map(is_media, names)):
        return UnreadableData(str(path), _why(f"the {what} holds no file of a known type", found), _KNOWN)
    ways = "put each class into a folder of its own, or add a list such as metadata.jsonl"
    return UnreadableData(str(path), f"it holds pictures or recordings, and nothing says what they are: {ways}", ())


def _laid(
    tree: Tree, format: str, contents: archives.Contents | None = None, places: Mapping[str, int] | None = None
) -> Found | None:
    """Return the rows that the layout of a tree gives; None where it is not laid out.

    ``contents`` and ``places`` are those of an archive's files: rows come in the order of their files there, for a
    compressed tar can only be read forwards.

    Raises:
        UnreadableData: the layout that was named, or found, cannot be read.
    """
    layout = LAYOUTS.get(format) or (_media_layout(tree, contents) if format == "auto" else None)
    if layout is None:
        return None
    sides: dict[str, list[dict[str, Any]]] = {}
    for side, row in layout.rows(tree):
        sides.setdefault(side, []).append(row)
    if places:
        for rows in sides.values():
            rows.sort(key=lambda row: min(_found_at(row, str(tree.root), places), default=0))
    if not sides:
        raise UnreadableData(str(tree.root), f"nothing in it is laid out as {layout.name} ({layout.summary})", ())
    files = [SourceFile(tree.root, layout.format, side=side, laid=tuple(rows)) for side, rows in sides.items()]
    return Found(files, layout.notes(tree))


def _media_layout(tree: Tree, contents: archives.Contents | None = None) -> MediaLayout | None:
    """Return the layout of pictures or recordings; None where files beside them hold rows, which come first."""
    layout = layout_of_media(tree)
    if layout is None or not layout.yields:
        return layout
    return layout if list_in(tree, [name for name in tree.others if is_rows(name)], contents) is None else None


def _found_at(row: Mapping[str, Any], root: str, places: Mapping[str, int]) -> Iterator[int]:
    """Yield where the files that a row names begin in their archive."""
    for value in row.values():
        for name in value if isinstance(value, list | tuple) else [value]:
            if isinstance(name, str) and (place := places.get(f"{root}/{name}")) is not None:
                yield place


def _chosen(part: str, place: Path, choice: list[str], within: tuple[str, ...] | None) -> Found:
    contents = archives.look_into(place) if is_archive_file(place) else None
    layout = _layout_of(place) if contents is None else _layout_in(place, contents)
    if layout is None:
        if choice == ["train"]:
            return _folder(place, within=within) if contents is None else _named(place, "auto", within)
        raise DataNotFound(part, f"'{place}' has no splits: name {'the folder' if contents is None else 'it'} alone")
    names = layout.chosen(choice)
    if not names:
        raise DataNotFound(part, layout.offer(str(place)))
    if contents is None:
        return _collected([place / name for name in names], place)
    root = tree_of_archive(place, contents).root
    return _archive(place, None, contents, frozenset(str(root / name) for name in names))


def _why(why: str, found: Found) -> str:
    return f"{why} ({found.notes[0].rstrip('.')})" if found.notes else why


def _collected(paths: list[Path], top: Path | None) -> Found:
    """Take the files of rows and what archives hold; note what is passed over."""
    files: list[SourceFile] = []
    notes: list[str] = []
    unknown: list[str] = []
    for path in paths:
        folders = [top.absolute().name, *path.relative_to(top).parts[:-1]] if top else []
        forced = next((name for name in reversed(folders) if name in FORMATS), None)
        if archives.is_archive(path.name):
            inside = _archive(path, forced)
            files += inside.files
            notes += inside.notes
        elif is_rows(path.name):
            files.append(SourceFile(path, forced))
        elif not _is_silent(path.name):
            unknown.append(str(path))
    return Found(files, notes + _passed_over(unknown))


def _archive(
    path: Path, forced: str | None, contents: archives.Contents | None = None, chosen: frozenset[str] | None = None
) -> Found:
    """Take the files in an archive; where it is damaged, those before that, and a fault for the rest.

    ``chosen`` are the places of those that are meant, where not all are; what is beside them is not told of.
    """
    contents = contents or archives.look_into(path)
    rows = [each for each in contents.members if is_rows(each.name)]
    members = [each for each in rows if chosen is None or _place_of(path, each) in chosen]
    files = [
        SourceFile(path, next((name for name in _folders_of(each.name) if name in FORMATS), forced), each, each.broken)
        for each in members
    ]
    if contents.broken and contents.within not in rows:
        files.append(SourceFile(path, forced, broken=contents.broken))
    if chosen is not None:
        return Found(files, contents.notes)
    unknown = [
        f"{path}/{each.name}" for each in contents.members if not is_rows(each.name) and not _is_silent(each.name)
    ]
    return Found(files, contents.notes + _passed_over(unknown))


def _place_of(archive: Path, member: archives.Member) -> str:
    return str(archive.absolute() / os.path.normpath(member.name))


def _folders_of(name: str) -> list[str]:
    return [folder.name for folder in PurePosixPath(name).parents]


def _passed_over(unknown: list[str]) -> list[str]:
    if not unknown:
        return []
    more = f" and {len(unknown) - NAMED} more" if len(unknown) > NAMED else ""
    return [f"Passed over, as these are no rows: {', '.join(unknown[:NAMED])}{more}."]


def _is_companion(name: str) -> bool:
    return PurePosixPath(name.lower()).name.split(".")[0] in _COMPANIONS


def _is_silent(name: str) -> bool:
    """Whether nobody needs to be told that the file is passed over."""
    if is_media(name):
        return True
    return _is_companion(name) and split_suffixes(name)[0] not in (".txt", ".csv", ".jsonl")


def _below(folder: Path) -> Iterator[Path]:
    """Yield the files below a folder in the order of their names; links are followed, but nowhere twice."""
    seen: set[str] = set()
    found: list[Path] = []
    folders, linked = [folder], list[Path]()
    while folders or linked:
        here = folders.pop() if folders else linked.pop()
        if (real := os.path.realpath(here)) in seen:
            continue
        seen.add(real)
        for name in os.listdir(here):
            path = here / name
            if name.startswith("."):
                continue
            if os.path.isdir(path):
                (linked if path.is_symlink() else folders).append(path)
            elif os.path.isfile(path):
                found.append(path)
    yield from sorted(found)
