"""A job's result as one ZIP file, made while it is sent: neither in memory nor on the disk as a whole."""

from __future__ import annotations

import io
import os
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Final

from tunesmith.runs.folder import RunFolder
from tunesmith.service.jobs.work import exported_folder
from tunesmith.spec.errors import Conflict, NotFound
from tunesmith.spec.states import JOB_OVER, RunState
from tunesmith.spec.work import ExportSpec
from tunesmith.store.jobs import Job

if TYPE_CHECKING:
    from tunesmith.service.context import Service

PIECE: Final = 1 << 20
"""Bytes read at once."""


def result_folder(service: Service, job: Job) -> Path:
    """Return the folder that holds what a job made.

    Raises:
        Conflict: the job has not succeeded.
        NotFound: its result lies on another machine, or was removed.
    """
    if job.state is not RunState.SUCCEEDED:
        todo = "Look at it to see how it ended." if job.state in JOB_OVER else "Wait until it is completed."
        raise Conflict(f"Task {job.id} is {job.state} and has no result.", todo)
    if isinstance(job.work, ExportSpec):
        return exported_folder(job)
    if job.run is not None:
        kept = RunFolder(service.settings.runs_dir / job.run)
        if kept.artifacts_dir.is_dir() and any(kept.artifacts_dir.iterdir()):
            return kept.artifacts_dir
    raise NotFound("result of task", job.id)


def zipped(folder: Path) -> Iterator[bytes]:
    """Yield the ZIP file of a folder, piece by piece; weights hardly get smaller, so nothing is compressed."""
    written = _Pieces()
    with zipfile.ZipFile(written, "w", zipfile.ZIP_STORED, allowZip64=True) as archive:
        for path in _files(folder):
            info = zipfile.ZipInfo.from_file(path, str(path.relative_to(folder)), strict_timestamps=False)
            with path.open("rb") as file, archive.open(info, "w", force_zip64=True) as entry:
                while piece := file.read(PIECE):
                    entry.write(piece)
                    yield from written.taken()
    yield from written.taken()


def _files(folder: Path) -> list[Path]:
    """Return the files below a folder; links stay behind, they may lead anywhere."""
    found = []
    for parent, folders, names in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        paths = (Path(parent) / name for name in sorted(names))
        found += [path for path in paths if path.is_file() and not path.is_symlink()]
    return found


class _Pieces(io.RawIOBase):
    """A file that cannot go back, and gives away what was written to it."""

    def __init__(self) -> None:
        self._pieces: list[bytes] = []

    def writable(self) -> bool:
        """Whether it can be written: always."""
        return True

    def write(self, piece: object) -> int:
        """Keep a piece until it is taken."""
        kept = bytes(piece)  # type: ignore[call-overload]
        self._pieces.append(kept)
        return len(kept)

    def taken(self) -> Iterator[bytes]:
        """Yield what was written since it was last taken."""
        pieces, self._pieces = self._pieces, []
        yield from pieces
