"""Files that are either as they were or as they should be, whatever moment the machine chooses to stop."""

from __future__ import annotations

import errno
import json
import os
import shutil
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO, Final

from tunesmith.spec.errors import DiskFull

NO_ROOM: Final = frozenset({errno.ENOSPC, errno.EDQUOT})
"""What the system says of a full disk, or of a used-up quota."""
_NO_ROOM_TEXTS: Final = tuple(os.strerror(number) for number in NO_ROOM)


def write_json(path: Path, content: Any) -> None:
    """Replace a file by JSON in one step; a reader finds the old content or the new, also after a power cut."""
    with replacing(path) as file:
        file.write(f"{json.dumps(content, indent=2, ensure_ascii=False)}\n".encode())


@contextmanager
def replacing(path: Path) -> Iterator[BinaryIO]:
    """Lend a file to write to that takes the place of ``path`` in one step, once all of it is on the disk."""
    draft = path.with_name(f".{path.name}.{uuid.uuid4().hex[:8]}")
    try:
        with draft.open("wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.replace(draft, path)
    except BaseException:
        draft.unlink(missing_ok=True)
        raise
    sync_folder(path.parent)


def read_json(path: Path) -> Any:
    """Return what ``write_json`` wrote; None if there is no such file or it is no JSON."""
    try:
        return json.loads(path.read_bytes())
    except (FileNotFoundError, NotADirectoryError, ValueError):
        return None


def sync(path: Path) -> None:
    """Have a file's content on the disk before going on."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def sync_folder(path: Path) -> None:
    """Have the names in a folder on the disk before going on."""
    try:
        sync(path)
    except OSError as error:
        # Some network file systems know no fsync of a folder; there the rename is all that can be had.
        if error.errno not in (errno.EINVAL, errno.EBADF):
            raise


def is_no_room(error: BaseException) -> bool:
    """Whether an error, or what it came from, is a full disk; libraries written in Rust only tell it by their text."""
    seen: BaseException | None = error
    while seen is not None:
        if isinstance(seen, OSError) and seen.errno in NO_ROOM:
            return True
        if any(text in str(seen) for text in _NO_ROOM_TEXTS):
            return True
        seen = seen.__cause__ or seen.__context__
    return False


def disk_full(path: Path, needed: int) -> DiskFull:
    """Make the error of a full disk, with what is free where ``path`` lies (or would lie)."""
    there = next(folder for folder in (path, *path.absolute().parents) if folder.is_dir())
    return DiskFull(path, needed, shutil.disk_usage(there).free)


@contextmanager
def room_for(path: Path, needed: int) -> Iterator[None]:
    """Turn a full disk into ``DiskFull``; ``needed`` is what the work inside writes, in bytes."""
    try:
        yield
    except DiskFull:
        raise
    except Exception as error:
        if is_no_room(error):
            raise disk_full(path, needed) from error
        raise
