"""The folders that requests may name, and the way to a file in them that no link and no trick leads out of.

Nothing is decided by how a path is written: it is followed to where it really leads, and that place is compared.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from tunesmith.spec.errors import NobodysHome, PathNotAllowed
from tunesmith.spec.home_paths import expanded

if TYPE_CHECKING:
    from tunesmith.service.accounts.principal import Principal
    from tunesmith.settings import Settings

_FOLDER: Final = os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC | getattr(os, "O_PATH", os.O_RDONLY)


def organisation_folder(settings: Settings, org: str) -> Path:
    """Return the folder of an organisation: data, saved_models and models lie below it."""
    return settings.home / "orgs" / org


def reach_of(settings: Settings, org: str, by: Principal, folder: Path) -> Reach:
    """Return what a request for an organisation may name.

    Whoever runs the server may name whatever its user can reach, relative to ``folder``; an organisation its own
    folder, from which its relative paths start, and those that the settings allow.
    """
    if by.is_operator:
        return Reach(Path(os.path.abspath(folder)), None)
    own = Path(os.path.realpath(organisation_folder(settings, org)))
    return Reach(own, (own, *(Path(os.path.realpath(path)) for path in settings.allowed_paths)))


@dataclass(frozen=True)
class Reach:
    """What a request may name."""

    start: Path
    """What relative paths start from."""
    roots: tuple[Path, ...] | None
    """Real folders outside of which nothing is read or written; None: no such limit."""

    def real(self, written: str) -> Path:
        """Return the absolute path that is meant; within limits it is the real one, without links.

        Raises:
            PathNotAllowed: it leads outside.
        """
        if "\0" in written:
            raise PathNotAllowed(written, "no path holds a zero byte")
        if self.roots is None:
            return self.start / expanded(written)
        if written.startswith("~"):
            raise PathNotAllowed(written, self.shown)
        try:
            place = Path(os.path.realpath(self.start / written))
        except OSError as error:  # What was a link a moment ago is none any more.
            raise PathNotAllowed(written, self.shown) from error
        self._admit(written, place)
        return place

    def found(self, written: str) -> Path | None:
        """Return the absolute path of something that is there; None if nothing is, or it may not be named."""
        try:
            place = self.real(written)
            return place if written and place.exists() else None
        except (PathNotAllowed, NobodysHome, OSError, ValueError):
            return None

    def refuse_links_out(self, folder: Path) -> None:
        """Accept a folder in which no link leads outside.

        Raises:
            PathNotAllowed: one does.
        """
        for here, folders, names in os.walk(folder) if self.roots is not None else ():
            for name in (*folders, *names):
                path = Path(here, name)
                if path.is_symlink():
                    self._admit(str(path), Path(os.path.realpath(path)))

    def open(self, path: Path) -> int:
        """Open a file to read it, part by part of its path, each of which must not be a link; return its descriptor.

        Raises:
            PathNotAllowed: it lies outside, or a part of the path has become a link.
            FileNotFoundError: it is not there.
        """
        if self.roots is None:
            return os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        root = next((root for root in self.roots if path.is_relative_to(root)), None)
        if root is None or ".." in path.parts:
            raise PathNotAllowed(str(path), self.shown)
        *folders, name = path.relative_to(root).parts
        try:
            return _open_below(root, folders, name)
        except FileNotFoundError:
            raise
        except OSError as error:
            raise PathNotAllowed(str(path), self.shown) from error

    @property
    def shown(self) -> str:
        """The limits in words."""
        return "the organisation's own folder" + (" or what the server allows" if len(self.roots or ()) > 1 else "")

    def _admit(self, written: str, place: Path) -> None:
        if not any(place.is_relative_to(root) for root in self.roots or ()):
            raise PathNotAllowed(written, self.shown)


def _open_below(root: Path, folders: list[str], name: str) -> int:
    here = os.open(root, _FOLDER)
    try:
        for folder in folders:
            below = os.open(folder, _FOLDER, dir_fd=here)
            os.close(here)
            here = below
        return os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK, dir_fd=here)
    finally:
        os.close(here)
