"""The files below a folder or in an archive, by their names: what layouts look at."""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path, PurePosixPath

from tunesmith.data import archives, media
from tunesmith.spec.errors import UnreadableData, Where


@dataclass(frozen=True)
class Tree:
    """Names of files below a root, which is a folder, an archive, or a folder in an archive."""

    root: Path
    names: tuple[str, ...]
    """Relative to the root, with slashes, in order."""
    empty: tuple[str, ...] = ()
    """Folders without a file below them."""
    within: tuple[str, ...] | None = None
    """Folders outside of which nothing that its files name is read; None: whatever may be read."""

    @classmethod
    def of_names(
        cls, root: Path, names: Sequence[str], folders: Sequence[str] = (), within: tuple[str, ...] | None = None
    ) -> Tree:
        """Make a tree; where everything lies in one folder below the root, that folder is the root.

        ``folders`` are those that are known, whether or not they hold anything.
        """
        names = sorted(names)
        held = {parent.as_posix() for name in names for parent in PurePosixPath(name).parents}
        empty = sorted({name for name in folders if name not in held})
        while names and len({name.partition("/")[0] for name in names}) == 1 and all("/" in name for name in names):
            top = names[0].partition("/")[0]
            if top.lower() in _MEANINGFUL or any(not name.startswith(f"{top}/") for name in empty):
                break
            root, names = root / top, [name.partition("/")[2] for name in names]
            empty = [name.partition("/")[2] for name in empty if name.startswith(f"{top}/")]
        return cls(root, tuple(names), tuple(empty), within)

    @cached_property
    def pictures(self) -> list[str]:
        """Names of its pictures."""
        return [name for name in self.names if media.is_picture(name)]

    @cached_property
    def sounds(self) -> list[str]:
        """Names of its recordings."""
        return [name for name in self.names if media.is_sound(name)]

    @cached_property
    def others(self) -> list[str]:
        """Names of what is neither."""
        return [name for name in self.names if not media.is_media(name)]

    @cached_property
    def by_folder(self) -> dict[str, list[str]]:
        """Names by the folder that they lie in; the root's is ``.``."""
        found: defaultdict[str, list[str]] = defaultdict(list)
        for name in self.names:
            found[str(PurePosixPath(name).parent)].append(name)
        return dict(found)

    def has(self, name: str) -> bool:
        """Whether a file of this name is there."""
        return name in self._set

    @cached_property
    def _set(self) -> frozenset[str]:
        return frozenset(self.names)

    def may_read(self, path: Path) -> bool:
        """Whether what lies elsewhere on disk may be read."""
        real = Path(os.path.realpath(path))
        return self.within is None or any(real.is_relative_to(os.path.realpath(root)) for root in self.within)

    def beside(self, name: str, endings: Sequence[str]) -> str | None:
        """Return the file of the same name with the first of other endings that is there."""
        path = PurePosixPath(name)
        return next((found for end in endings if self.has(found := path.with_suffix(end).as_posix())), None)

    def place_of(self, name: str, folders: Sequence[PurePosixPath]) -> str:
        """Return where a file lies that a list names: in the first of these folders that has it, else in the first."""
        places = [(folder / name).as_posix() for folder in folders]
        return next((place for place in places if self.has(place)), places[0])

    def content(self, name: str) -> bytes:
        """Return the bytes of a file.

        Raises:
            MediaMissing, UnreadableMedia: it is not there, or cannot be read.
        """
        place = str(self.root / name)
        return media.read(place, Where(place, 1))

    def text(self, name: str) -> str:
        """Return the text of a file.

        Raises:
            UnreadableData: it cannot be read, or is no text.
        """
        try:
            return self.content(name).decode("utf-8-sig")
        except UnicodeDecodeError as error:
            raise UnreadableData(str(self.root / name), f"it is not UTF-8 at byte {error.start + 1}", ()) from None


_MEANINGFUL = frozenset({"train", "val", "valid", "validation", "test", "images", "labels", "prompts"})
"""Names of folders that say something themselves."""


def tree_of_folder(folder: Path, files: Sequence[Path], within: tuple[str, ...] | None = None) -> Tree:
    """Make the tree of the files below a folder."""
    below = (Path(here) / name for here, names, _ in os.walk(folder) for name in names)
    folders = [path.relative_to(folder).as_posix() for path in below]
    seen = [name for name in folders if not any(part.startswith(".") for part in name.split("/"))]
    return Tree.of_names(folder.absolute(), [file.relative_to(folder).as_posix() for file in files], seen, within)


def tree_of_archive(archive: Path, contents: archives.Contents, within: tuple[str, ...] | None = None) -> Tree:
    """Make the tree of an archive's files."""
    names = [os.path.normpath(member.name) for member in contents.members]
    return Tree.of_names(archive.absolute(), names, [os.path.normpath(name) for name in contents.folders], within)


def places_in(archive: Path, contents: archives.Contents) -> dict[str, int]:
    """Return where each file of an archive begins in it, by its absolute name."""
    top = str(archive.absolute())
    return {f"{top}/{os.path.normpath(member.name)}": member.start for member in contents.members}
