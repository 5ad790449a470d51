"""Checkpoints: staged, put on the disk, listed in a manifest with sizes and sha256, renamed, and only then announced.

checkpoints/
├── checkpoint-20/        visible, therefore complete
│   ├── manifest.json     {"step", "meta", "files": {name: {"bytes", "sha256"}}}
│   └── ...
├── best -> checkpoint-20
├── last -> checkpoint-40
└── .staging-..., .aside-..., .trash-...   what a kill left behind; swept at the next start
"""

from __future__ import annotations

import hashlib
import os
import re
import secrets
import shutil
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from tunesmith.runs.durable import disk_full, is_no_room, read_json, sync, sync_folder, write_json
from tunesmith.runs.folder import RunFolder

MANIFEST: Final = "manifest.json"
BEST: Final = "best"
LAST: Final = "last"
_VISIBLE: Final = re.compile(r"checkpoint-(\d+)")
_ASIDE: Final = re.compile(r"\.aside-(\d+)-[0-9a-f]+")
_HIDDEN: Final = re.compile(r"\.(staging|aside|trash)-(\d+)-[0-9a-f]+|\.pointer-[0-9a-f]+")


@dataclass(frozen=True)
class Checkpoint:
    """A committed checkpoint."""

    path: Path
    step: int
    meta: Mapping[str, Any] = field(default_factory=dict)
    """What the writer noted with it, such as the fingerprint of the data."""
    bytes: int = 0

    @property
    def name(self) -> str:
        """Name of the folder."""
        return self.path.name


class Staging:
    """A checkpoint in the making: write files below ``path``, then ``commit``."""

    def __init__(self, folder: Path, step: int) -> None:
        self._folder = folder
        self._step = step
        self.path = folder / _hidden("staging", step)

    def commit(self, meta: Mapping[str, Any] | None = None) -> Checkpoint:
        """Make the checkpoint visible, whole; one of the same step is replaced."""
        files = {str(file.relative_to(self.path)): _seal(file) for file in _files(self.path)}
        write_json(self.path / MANIFEST, {"step": self._step, "meta": dict(meta or {}), "files": files})
        for folder in [path for path in self.path.rglob("*") if path.is_dir()]:
            sync_folder(folder)
        target = self._folder / f"checkpoint-{self._step}"
        aside = self._folder / _hidden("aside", self._step)
        if target.exists():
            os.rename(target, aside)  # A folder cannot be renamed onto one that holds files.
        os.rename(self.path, target)
        sync_folder(self._folder)
        shutil.rmtree(aside, ignore_errors=True)
        committed = read_checkpoint(target)
        assert committed is not None
        return committed


@contextmanager
def stage(run: RunFolder, step: int) -> Iterator[Staging]:
    """Stage a run's checkpoint of a step; without a commit nothing of it stays.

    Raises:
        DiskFull: there is no room for it. Checkpoints that were there before are untouched.
    """
    folder = run.checkpoints_dir
    staging = Staging(folder, step)
    try:
        staging.path.mkdir(parents=True)
        yield staging
    except Exception as error:
        if is_no_room(error):
            raise disk_full(folder, max(_size(staging.path), _size_of_newest(folder))) from error
        raise
    finally:
        shutil.rmtree(staging.path, ignore_errors=True)


def read_checkpoint(path: Path) -> Checkpoint | None:
    """Return the checkpoint in a folder; None if it has no readable manifest. Its files are not looked at."""
    match read_json(path / MANIFEST):
        case {"step": int(step), "meta": dict(meta), "files": dict(files)}:
            return Checkpoint(path, step, meta, sum(int(entry["bytes"]) for entry in files.values()))
    return None


def at(path: Path) -> Checkpoint | None:
    """Return the checkpoint in a folder, if it is one and verifies."""
    return read_checkpoint(path) if verify(path) else None


def verify(path: Path) -> bool:
    """Whether a checkpoint holds exactly what its manifest promises, byte for byte."""
    match read_json(path / MANIFEST):
        case {"files": dict(files)}:
            return all(_is_sealed(path / name, seal) for name, seal in files.items())
    return False


def listed(run: RunFolder) -> list[Checkpoint]:
    """Return the run's own checkpoints by step, the newest last."""
    return _in(run.checkpoints_dir)


def newest_verified(run: RunFolder) -> Checkpoint | None:
    """Return the newest of the run's own checkpoints that verifies."""
    return next((checkpoint for checkpoint in reversed(listed(run)) if verify(checkpoint.path)), None)


def start_of(run: RunFolder) -> Checkpoint | None:
    """Return the checkpoint to go on from: the run's own, else the one it was told, else its parents'."""
    own = newest_verified(run)
    if own is not None:
        return own
    told = run.header().start
    if told is not None:
        return at(Path(told))
    parent = run.parent()
    return start_of(parent) if parent is not None else None


def point(run: RunFolder, name: str, checkpoint: str) -> None:
    """Let ``best`` or ``last`` mean another checkpoint, in one step."""
    folder = run.checkpoints_dir
    draft = folder / f".pointer-{secrets.token_hex(4)}"
    try:
        os.symlink(checkpoint, draft)
        os.replace(draft, folder / name)
    except OSError as error:
        draft.unlink(missing_ok=True)
        if is_no_room(error):
            raise disk_full(folder, 4096) from error
        raise
    sync_folder(folder)


def pointed(run: RunFolder, name: str) -> Checkpoint | None:
    """Return what ``best`` or ``last`` means in this run."""
    path = run.checkpoints_dir / name
    return read_checkpoint(path.resolve()) if path.is_symlink() else None


def prune(run: RunFolder, keep: int, protect: Collection[str] = ()) -> list[str]:
    """Remove all but the newest ``keep`` checkpoints, the protected ones, best and last; return the removed names."""
    safe = {*protect, *(found.name for name in (BEST, LAST) if (found := pointed(run, name)))}
    return _remove(run, [checkpoint for checkpoint in listed(run)[:-keep] if checkpoint.name not in safe])


def clear(run: RunFolder, keep_step: int | None) -> list[str]:
    """Remove the checkpoints of a run that another one went on with, but for that of a step; return their names."""
    removed = _remove(run, [checkpoint for checkpoint in listed(run) if checkpoint.step != keep_step])
    for name in (BEST, LAST):
        pointer = run.checkpoints_dir / name
        if pointer.is_symlink() and not pointer.exists():
            pointer.unlink(missing_ok=True)
    return removed


def _remove(run: RunFolder, old: Sequence[Checkpoint]) -> list[str]:
    for checkpoint in old:
        # Renamed first, so that a half-removed checkpoint is never visible.
        trash = run.checkpoints_dir / _hidden("trash", checkpoint.step)
        os.rename(checkpoint.path, trash)
        shutil.rmtree(trash, ignore_errors=True)
    return [checkpoint.name for checkpoint in old]


def sweep(run: RunFolder) -> list[str]:
    """Clear away what a killed writer left, and put back a checkpoint that was just being replaced.

    Only for the run's one writer, before it writes.
    """
    folder, swept = run.checkpoints_dir, []
    for entry in sorted(folder.iterdir()) if folder.is_dir() else []:
        aside = _ASIDE.fullmatch(entry.name)
        if aside and not (folder / f"checkpoint-{aside[1]}").exists():
            os.rename(entry, folder / f"checkpoint-{aside[1]}")
        elif entry.is_symlink() and _HIDDEN.fullmatch(entry.name):
            entry.unlink()
        elif _HIDDEN.fullmatch(entry.name):
            shutil.rmtree(entry, ignore_errors=True)
        else:
            continue
        swept.append(entry.name)
    return swept


def _in(folder: Path) -> list[Checkpoint]:
    visible = [entry for entry in folder.iterdir() if _VISIBLE.fullmatch(entry.name)] if folder.is_dir() else []
    found = [checkpoint for path in visible if (checkpoint := read_checkpoint(path)) is not None]
    return sorted(found, key=lambda checkpoint: checkpoint.step)


def _hidden(what: str, step: int) -> str:
    return f".{what}-{step}-{secrets.token_hex(4)}"


def _files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.is_file())


def _size(folder: Path) -> int:
    return sum(file.stat().st_size for file in _files(folder))


def _size_of_newest(folder: Path) -> int:
    there = _in(folder)
    return there[-1].bytes if there else 0


def _seal(file: Path) -> dict[str, Any]:
    """Put a file on the disk and describe it."""
    sync(file)
    return {"bytes": file.stat().st_size, "sha256": _sha256(file)}


def _is_sealed(file: Path, seal: Mapping[str, Any]) -> bool:
    try:
        return bool(file.stat().st_size == seal["bytes"] and _sha256(file) == seal["sha256"])
    except OSError:
        return False


def _sha256(file: Path) -> str:
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
