"""Pictures and recordings that rows name: where they lie, their bytes, and what is decoded of them.

May import ``data.archives`` and spec. ``pictures`` and ``sounds`` decode, ``payload`` is how the token cache keeps what
was decoded. A name is a path as people write it; inside an archive the archive's path goes before the member's name.
"""

from __future__ import annotations

import functools
import os
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Final

from tunesmith.data import archives
from tunesmith.data.archives import Member
from tunesmith.spec.errors import MediaMissing, MediaOutside, NobodysHome, UnreadableMedia, Where
from tunesmith.spec.examples import (
    BoxedImage,
    CaptionedImage,
    Example,
    ImageQuestion,
    LabelledImage,
    LabelledSound,
    PictureTalk,
    Speech,
)
from tunesmith.spec.home_paths import expanded

PICTURES: Final = (".jpg", ".jpeg", ".png", ".webp", ".bmp", ".gif", ".tif", ".tiff", ".ppm", ".pgm")
SOUNDS: Final = (".wav", ".flac", ".ogg", ".oga", ".opus", ".mp3", ".aif", ".aiff", ".au", ".g722")
MAX_BYTES: Final = 256 * 2**20
"""Most bytes of one picture or recording as it is stored."""


def is_picture(name: str) -> bool:
    """Whether a file is a picture, by its name."""
    return name.lower().endswith(PICTURES)


def is_sound(name: str) -> bool:
    """Whether a file is a recording, by its name."""
    return name.lower().endswith(SOUNDS)


def is_media(name: str) -> bool:
    """Whether a file is a picture or a recording, by its name."""
    return name.lower().endswith((*PICTURES, *SOUNDS))


def named(example: Example) -> tuple[str, ...]:
    """Return the names of an example's pictures and recordings."""
    match example:
        case LabelledImage() | BoxedImage() | CaptionedImage() | ImageQuestion():
            return (example.image,)
        case Speech() | LabelledSound():
            return (example.audio,)
        case PictureTalk():
            return example.images
    return ()


def placed(example: Example, beside: Path, within: Sequence[str] | None) -> Example:
    """Return the example with names that are absolute: relative ones are ``beside`` the file (or archive) of the row.

    Whether anything is there is found out when it is read.

    Raises:
        MediaOutside: it really lies outside of the folders that everything must lie ``within``.
    """
    match example:
        case LabelledImage() | BoxedImage() | CaptionedImage() | ImageQuestion():
            return replace(example, image=_place(example.image, beside, within, example.where))
        case Speech() | LabelledSound():
            return replace(example, audio=_place(example.audio, beside, within, example.where))
        case PictureTalk():
            return replace(example, images=tuple(_place(one, beside, within, example.where) for one in example.images))
    return example


def read(name: str, where: Where) -> bytes:
    """Return the bytes of a picture or recording.

    Raises:
        MediaMissing: nothing is there.
        UnreadableMedia: it cannot be read, or is far too large.
    """
    path = Path(name)
    try:
        inside = _archive_of(path)
        if inside is None:
            if not path.is_file():
                raise FileNotFoundError if not path.exists() else UnreadableMedia(where, name, "it is no file")
            if path.stat().st_size > MAX_BYTES:
                raise UnreadableMedia(where, name, f"it has more than {MAX_BYTES >> 20} MiB")
            return path.read_bytes()
        archive, member = inside
        if member.broken:
            raise UnreadableMedia(where, name, member.broken)
        with archives.opened(archive, member) as stream:
            found = stream.read(MAX_BYTES + 1)
        if len(found) > MAX_BYTES:
            raise UnreadableMedia(where, name, f"it has more than {MAX_BYTES >> 20} MiB")
        return found
    except FileNotFoundError:
        raise MediaMissing(where, name) from None
    except OSError as error:
        raise UnreadableMedia(where, name, error.strerror or str(error)) from None


def stamp(name: str) -> tuple[str, int, int]:
    """Return the file on disk that holds a picture or recording, its size and its time of change.

    That tells later whether it is the same; for all that lies in an archive it is the archive.
    """
    path = Path(name)
    inside = _archive_of(path)
    file = path if inside is None else inside[0]
    stat = file.stat()
    return str(file), stat.st_size, stat.st_mtime_ns


def is_as_stamped(stamps: Iterable[tuple[str, int, int]]) -> bool:
    """Whether the files are what they were."""
    try:
        for name, size, changed in stamps:
            stat = os.stat(name)
            if (stat.st_size, stat.st_mtime_ns) != (size, changed):
                return False
    except OSError:
        return False
    return True


def _place(name: str, beside: Path, within: Sequence[str] | None, where: Where) -> str:
    try:
        start = expanded(name) if name.startswith("~") and within is None else beside / name
        path = Path(os.path.normpath(start))
        if within is not None:
            real = _real(path)
            if not any(real.is_relative_to(os.path.realpath(root)) for root in within):
                raise MediaOutside(where, name)
    except (OSError, ValueError, NobodysHome):  # A zero byte, a name that is too long, a user that nobody is.
        raise MediaMissing(where, name) from None
    return str(path)


def _real(path: Path) -> Path:
    inside = _archive_of(path)
    return (path if inside is None else inside[0]).resolve()


def _archive_of(path: Path) -> tuple[Path, Member] | None:
    """Return the archive that a name leads into, and the file there; None for a name of a file on disk."""
    if path.is_file():
        return None
    for parent in path.parents:
        if parent.is_file():
            if not archives.is_archive(parent.name):
                return None
            member = _members(parent, parent.stat().st_mtime_ns).get(path.relative_to(parent).as_posix())
            return None if member is None else (parent, member)
        if parent.is_dir():
            return None
    return None


@functools.lru_cache(maxsize=8)
def _members(archive: Path, changed: int) -> dict[str, Member]:
    return {os.path.normpath(member.name): member for member in archives.look_into(archive).members}
