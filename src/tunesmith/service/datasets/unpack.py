"""Unpacks an uploaded archive into a folder of its own, whole or not at all; runs as a subtask, in limited memory."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Any, Final

from tunesmith.data import archives, compression
from tunesmith.data.compression import Damaged
from tunesmith.runs.durable import room_for, sync_folder
from tunesmith.spec.errors import ArchiveRefused

_BLOCK: Final = 2**20
_NAME: Final = 255
"""Most bytes that a name may have in most file systems."""


def unpacked(*, archive: str, folder: str, name: str, most: int) -> dict[str, Any]:
    """Unpack into a folder that is made here; return how many files and bytes there are.

    ``name`` is what the user calls the archive, ``most`` is how many bytes may come out of it.

    Raises:
        ArchiveRefused: an entry leads out, is a link, a device or an archive, the limits are exceeded, or it is
            damaged; the folder is gone then.
        DiskFull: there is no room for it; the folder is gone then.
    """
    source, target = Path(archive), Path(folder)
    target.mkdir(parents=True, mode=0o700)
    try:
        with room_for(target, most):
            count, size = _unpack(source, target, name, most)
            sync_folder(target)
        return {"files": count, "bytes": size}
    except OSError as error:
        shutil.rmtree(target, ignore_errors=True)
        raise ArchiveRefused(name, error.strerror or str(error)) from error
    except BaseException:
        shutil.rmtree(target, ignore_errors=True)
        raise
    finally:
        archives.let_go()


def _unpack(source: Path, target: Path, name: str, most: int) -> tuple[int, int]:
    contents = archives.look_into(source)
    broken = [each.broken for each in contents.members if each.broken]
    if why := contents.broken or next(iter([*broken, *contents.notes]), ""):
        raise ArchiveRefused(name, why.replace(f"{source}/", ""))
    if not contents.members:
        raise ArchiveRefused(name, "it holds no file")
    size = 0
    for member in contents.members:
        path = _place(name, target, member.name)
        with archives.opened(source, member) as stream, path.open("xb") as file:
            while block := stream.read(_BLOCK):
                size += len(block)
                if size > most:
                    raise ArchiveRefused(name, f"more than {most:,} bytes come out of it")
                compression.refuse_excess(size, source.stat().st_size)
                file.write(block)
            file.flush()
            os.fsync(file.fileno())
    return len(contents.members), size


def _place(archive: str, target: Path, name: str) -> Path:
    """Make the folders of a file and return its path; nothing in ``target`` is a link, as none is ever made there.

    Raises:
        ArchiveRefused: the name is none that a file can have, or two files have it.
        Damaged: a file lies where a folder must be.
    """
    parts = [part for part in name.split("/") if part not in ("", ".")]
    wrong = [part for part in parts if part == ".." or not part.isprintable() or len(os.fsencode(part)) > _NAME]
    if wrong or not parts:
        raise ArchiveRefused(archive, f"no file can be called {name[:80]!r}")
    path = target.joinpath(*parts)
    if os.path.lexists(path):
        raise ArchiveRefused(archive, f"it holds {name[:80]!r} twice")
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    except (FileExistsError, NotADirectoryError) as error:
        raise Damaged(f"a file lies where the folder of {name[:80]!r} must be") from error
    return path
