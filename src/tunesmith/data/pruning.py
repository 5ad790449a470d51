"""Keeps the token cache within its size: the entries that nobody used for longest go first."""

from __future__ import annotations

import shutil
from contextlib import suppress
from pathlib import Path
from typing import Final

from tunesmith.data import locks

STAGING: Final = ".staging-"
"""Begins the names of folders that are being written, or removed."""
LOCK: Final = ".lock-"
"""Begins the names of the files that whoever writes an entry holds."""
NAMED: Final = 16
"""Characters of an entry's name that those names carry."""


def lock_of(folder: Path) -> Path:
    """Return the file that is held while an entry is written."""
    return folder.parent / f"{LOCK}{folder.name[:NAMED]}"


def prune(cache_dir: Path, limit: float) -> list[Path]:
    """Remove entries, least recently used first, until the others take at most ``limit`` bytes; return the removed.

    An entry that any process has open stays.
    """
    entries = sorted((path for path in cache_dir.iterdir() if (path / "entry.json").is_file()), key=_used)
    sizes = {entry: _size(entry) for entry in entries}
    total, removed = sum(sizes.values()), []
    for entry in entries:
        if total <= limit:
            break
        if _remove(entry):
            total -= sizes[entry]
            removed.append(entry)
    return removed


def sweep(cache_dir: Path, *, own: Path) -> None:
    """Remove what writers that were killed left behind; the caller holds the lock of its ``own`` entry."""
    for path in cache_dir.glob(f"{STAGING}*"):
        lock = cache_dir / (LOCK + path.name.removeprefix(STAGING)[:NAMED])
        if lock == lock_of(own):
            shutil.rmtree(path, ignore_errors=True)
            continue
        with suppress(OSError):
            if (held := locks.alone(lock)) is not None:
                shutil.rmtree(path, ignore_errors=True)
                lock.unlink(missing_ok=True)
                held.close()


def _remove(entry: Path) -> bool:
    """Remove an entry, unless somebody has it open; nobody sees half of it."""
    with suppress(OSError):
        held = locks.alone(entry / "entry.json")
        if held is not None:
            aside = entry.with_name(f"{STAGING}{entry.name[:NAMED]}-pruned")
            entry.rename(aside)
            shutil.rmtree(aside, ignore_errors=True)
            held.close()
            return True
    return False


def _used(entry: Path) -> float:
    """Return when an entry was last opened; one that vanishes meanwhile counts as long ago."""
    try:
        return (entry / "entry.json").stat().st_mtime
    except OSError:
        return 0.0


def _size(entry: Path) -> int:
    total = 0
    for file in entry.iterdir():
        with suppress(OSError):
            total += file.stat().st_size
    return total
