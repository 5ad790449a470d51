"""Fetch a Node package with npm, check that it is the one that was meant, and take files out of it."""

from __future__ import annotations

import fnmatch
import gzip
import re
import shutil
import tarfile
import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path, PurePosixPath
from typing import Final

from tunesmith.service.models.aliases import NpmPackage
from tunesmith.service.models.fetching import MOST_BYTES, Progress, check, copy, fetch
from tunesmith.spec.errors import PullFailed

_UNREACHABLE: Final = re.compile("ENOTFOUND|EAI_AGAIN|ECONNREFUSED|ETIMEDOUT|ENETUNREACH|EHOSTUNREACH")


def download(package: NpmPackage, folder: Path, progress: Progress, *, name: str) -> Path:
    """Let npm download the package into ``folder`` (the user's own npm configuration decides from where).

    Raises:
        PullFailed: npm is not installed, finds no such package, or brings another file than the one that is pinned.
    """
    npm = shutil.which("npm")
    if npm is None:
        raise PullFailed(name, "npm is needed to fetch it and is not installed (it comes with Node.js)")
    target = folder / "npm"
    target.mkdir()
    command = [npm, "pack", "--silent", "--pack-destination", str(target), f"{package.package}@{package.version}"]
    status, lines = fetch([*command, "--cache", str(folder / "npm-cache")], package, folder, progress)
    file = next(target.glob("*.tgz"), None)
    if status != 0 or file is None:
        raise PullFailed(name, why_npm_failed(lines))
    check(file, package.sha256, name)
    return file


def why_npm_failed(lines: Sequence[str]) -> str:
    """Say in a few words what npm's output means."""
    if any(_UNREACHABLE.search(line) for line in lines):
        return "no package registry can be reached"
    errors = [re.sub("^npm (ERR!|error) ?", "", line) for line in lines if line.startswith("npm ")]
    said = next((line for line in errors if line and not line.startswith("code")), lines[-1] if lines else "nothing")
    return f"npm says: {said.rstrip('.')}"


def unpack(file: Path, members: Sequence[str], folder: Path, *, name: str, most: int = MOST_BYTES) -> list[Path]:
    """Write the members that match, each under its own last name, into ``folder``; return them in order of name.

    Raises:
        PullFailed: a pattern matches nothing, two files have one name, or the files are larger than ``most`` bytes.
    """
    try:
        with tarfile.open(file, "r:gz") as archive:
            found = dict(_extracted(archive, members, folder, name, most))
    except (tarfile.TarError, EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise PullFailed(name, f"{file.name} is damaged ({error})") from error
    for pattern in members:
        if not any(fnmatch.fnmatch(member, pattern) for member in found):
            raise PullFailed(name, f"the package holds no {pattern}")
    return [found[member] for member in sorted(found)]


def _extracted(
    archive: tarfile.TarFile, members: Sequence[str], folder: Path, name: str, most: int
) -> Iterator[tuple[str, Path]]:
    left = most
    for member in archive:
        if not member.isfile() or not any(fnmatch.fnmatch(member.name, pattern) for pattern in members):
            continue
        target = folder / PurePosixPath(member.name).name
        source = archive.extractfile(member)
        if source is None or target.parent != folder or target.exists():
            raise PullFailed(name, f"the package holds a file that may not be unpacked ({member.name!r})")
        with source, target.open("xb") as sink:
            left = copy(source, sink, left)
        if left < 0:
            raise PullFailed(name, f"its files are larger than {most / 1e9:.1f} GB")
        yield member.name, target
