"""Archives of files (zip and tar, compressed or not): what is inside, and each file as a stream.

Nothing is unpacked to disk: there is no path to escape from, no link to follow, and no disk to fill. What an archive
claims to hold and what really comes out of it are both counted.
"""

from __future__ import annotations

import io
import lzma
import os
import tarfile
import threading
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from io import BufferedReader
from pathlib import Path, PurePosixPath
from typing import Any, Final

from tunesmith.data import compression
from tunesmith.data.compression import Damaged, Excessive

MAX_FILES: Final = 100_000
"""Most entries of an archive that are looked at."""
MAX_HEADER: Final = 2**20
"""Most bytes that a tar's header for one file may have."""

MAX_LIST: Final = 200 * MAX_FILES
"""Most bytes that the list of a zip's files may have: it is read whole, whatever number of files it claims."""

_TARS: Final = {
    ".tar": "",
    ".tar.gz": ".gz",
    ".tgz": ".gz",
    ".tar.bz2": ".bz2",
    ".tbz2": ".bz2",
    ".tar.xz": ".xz",
    ".txz": ".xz",
    ".tar.zst": ".zst",
}
SUFFIXES: Final = (".zip", *_TARS)
"""Endings of archives."""


@dataclass(frozen=True, slots=True)
class Member:
    """A file in an archive."""

    name: str
    start: int
    """Where its bytes begin in the unpacked tar, or its header in the zip file."""
    size: int
    """Bytes, unpacked."""
    packed: int
    """Bytes that it takes in the archive."""
    broken: str = ""
    """Why it is not to be read, if it is not."""


@dataclass
class Contents:
    """What an archive holds, as far as it could be looked into."""

    members: list[Member] = field(default_factory=list)
    """Its files, in their order there."""
    folders: list[str] = field(default_factory=list)
    """Folders that a zip lists by themselves: one that holds no file is known by that alone."""
    notes: list[str] = field(default_factory=list)
    """A sentence for each entry that is left out."""
    broken: str = ""
    """Why there may be more in it than was found."""
    within: Member | None = None
    """The file in which it breaks off, if that is where; whoever reads that file finds the break as well."""


def is_archive(name: str) -> bool:
    """Whether a file is an archive, by its name."""
    return name.lower().endswith(SUFFIXES)


def look_into(path: Path) -> Contents:
    """Return what is in an archive; of one that is damaged or exceeds the limits, what was found before that."""
    found = Contents()
    try:
        for number, entry in enumerate(_zipped(path) if _is_zip(path) else _tarred(path), 1):
            if number > MAX_FILES:
                raise Damaged(f"it holds more than {MAX_FILES:,} files")
            _take(entry, found, path)
    except _BrokenOff as error:
        found.broken, found.within = str(error), error.within
    except OSError as error:
        found.broken = error.strerror or str(error)
    return found


def _take(entry: Member | str, found: Contents, path: Path) -> None:
    if isinstance(entry, str):
        found.notes.append(entry)
    elif entry.name.endswith("/"):
        found.folders.append(entry.name.rstrip("/"))
    elif why := _left_out(entry.name):
        found.notes.append(f"{path}/{entry.name} is left out: {why}.")
    elif not any(part.startswith(".") or part == "__MACOSX" for part in PurePosixPath(entry.name).parts):
        found.members.append(entry)


class _BrokenOff(Damaged):
    """A tar ends, or cannot be unpacked, within a file that it has named."""

    def __init__(self, why: str, within: Member) -> None:
        super().__init__(why)
        self.within = within


def _is_zip(path: Path) -> bool:
    return path.name.lower().endswith(".zip")


def _left_out(name: str) -> str:
    if is_archive(name):
        return "it is an archive inside an archive; unpack it yourself"
    if name.startswith(("/", "\\")) or ".." in PurePosixPath(name.replace("\\", "/")).parts:
        return "its name points out of the archive"
    return ""


def _zipped(path: Path) -> Iterator[Member | str]:
    unpacked = 0
    with _zip(path) as archive:
        for info in archive.infolist():
            if info.is_dir():
                yield Member(info.filename.rstrip("/") + "/", info.header_offset, 0, 0)
                continue
            member = _zip_entry(info)
            if not member.broken:
                unpacked += info.file_size
                compression.refuse_excess(unpacked, path.stat().st_size)
            if info.flag_bits & 1:
                yield f"{path}/{info.filename} is left out: it needs a password."
            elif (info.external_attr >> 16) & 0o170000 not in (0, 0o100000):
                yield f"{path}/{info.filename} is left out: it is a link or a device."
            else:
                yield member


def _zip_entry(info: zipfile.ZipInfo) -> Member:
    """Return a file of a zip; one that claims too much beside what it takes there is not to be read."""
    member = Member(info.filename, info.header_offset, info.file_size, info.compress_size)
    try:
        compression.refuse_excess(info.file_size, info.compress_size)
    except Excessive as error:
        return replace(member, broken=str(error))
    return member


def _zip(path: Path) -> zipfile.ZipFile:
    try:
        with path.open("rb") as file:
            # What ``zipfile`` itself goes by; it says nothing of it before it has read the list.
            end = zipfile._EndRecData(file)  # type: ignore[attr-defined]
        if end and end[zipfile._ECD_SIZE] > MAX_LIST:  # type: ignore[attr-defined]
            raise Damaged(f"it holds more than {MAX_FILES:,} files")
        return zipfile.ZipFile(path)
    except (zipfile.BadZipFile, ValueError, NotImplementedError) as error:
        raise Damaged(f"it is not a zip file, or damaged ({error})") from error


def _tarred(path: Path) -> Iterator[Member | str]:
    with _Unpacked(path) as unpacked:
        last: Member | str = ""
        try:
            for entry in _tar_entries(path, unpacked):
                if last:
                    yield last
                last = entry
        except Excessive as error:
            raise Damaged(str(error)) from error  # what came last is what unpacks without end
        except (tarfile.TarError, EOFError, OSError) as error:
            if last:
                yield last
            if isinstance(last, Member) and unpacked.ends_before(last.start + last.size):
                raise _BrokenOff("the archive ends early, or is damaged there", last) from error
            if isinstance(error, OSError):
                raise
            raise Damaged(f"it is not a tar file, or damaged ({error})") from error
        if last:
            yield last


def _tar_entries(path: Path, unpacked: _Unpacked) -> Iterator[Member | str]:
    headers = _HeadersOnly(unpacked)
    with tarfile.open(fileobj=headers, mode="r:") as archive:  # type: ignore[call-overload]
        while info := archive.next():
            archive.members = []  # it would remember every entry
            if info.isreg() and not info.issparse():
                yield Member(info.name, info.offset_data, info.size, info.size)
            elif not info.isdir():
                yield f"{path}/{info.name} is left out: it is a link, a device or has holes."
    if any(headers.last):  # tarfile takes a header that it cannot read for the end
        raise Damaged("what follows is no header of a file")


class _Unpacked:
    """A tar without its compression; it can only be read forwards where there is one."""

    def __init__(self, path: Path) -> None:
        suffix = next(_TARS[end] for end in sorted(_TARS, key=len, reverse=True) if path.name.lower().endswith(end))
        self._file = path.open("rb")
        self.stream = compression.unpacked(self._file, suffix) if suffix else self._file
        self._seekable = not suffix

    def __enter__(self) -> _Unpacked:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the file."""
        self.stream.close()
        self._file.close()

    def can_reach(self, position: int) -> bool:
        """Whether ``go_to`` can go there."""
        return self._seekable or position >= self.stream.tell()

    def ends_before(self, position: int) -> bool:
        """Whether it ends, or has got no further, before a position."""
        return (os.fstat(self._file.fileno()).st_size if self._seekable else self.stream.tell()) < position

    def go_to(self, position: int) -> None:
        """Go forwards to a position, or to the end if that comes first."""
        if self._seekable:
            self.stream.seek(position)
            return
        while (ahead := position - self.stream.tell()) > 0 and self.stream.read(min(ahead, 2**20)):
            pass


class _HeadersOnly:
    """What ``tarfile`` reads headers from: no header is so long that it fills the memory."""

    def __init__(self, unpacked: _Unpacked) -> None:
        self._unpacked = unpacked
        self.last = b""

    def read(self, size: int) -> bytes:
        if size > MAX_HEADER:
            raise Damaged("a header in it is too long")
        self.last = self._unpacked.stream.read(size)
        return self.last

    def tell(self) -> int:
        return self._unpacked.stream.tell()

    def seek(self, position: int) -> None:
        self._unpacked.go_to(position)


@contextmanager
def opened(path: Path, member: Member) -> Iterator[BufferedReader]:
    """Open a file of an archive.

    Raises:
        OSError: the archive cannot be read; ``Damaged`` also while it is read.
    """
    if _is_zip(path):
        raw = compression.bounded(_zip_member(_last.zip(path), member), lambda: member.packed)
    else:
        raw = BufferedReader(_Slice(path, member.start, member.size), 2**17)
    with raw as stream:
        yield stream


def _zip_member(archive: zipfile.ZipFile, member: Member) -> _Checked:
    info = _last.entries.get(member.start)
    if info is None:
        raise Damaged(f"it no longer holds '{member.name}'")
    try:
        return _Checked(archive.open(info))
    except (zipfile.BadZipFile, RuntimeError, NotImplementedError) as error:
        raise Damaged(f"'{member.name}' cannot be unpacked ({error})") from error


class _Checked:
    """A file of a zip whose damage has the name that all damage has."""

    def __init__(self, content: Any) -> None:
        self._content = content
        self.close: Callable[[], None] = content.close

    def read(self, size: int) -> bytes:
        try:
            data: bytes = self._content.read(size)
        except (zipfile.BadZipFile, zlib.error, lzma.LZMAError, EOFError) as error:
            raise Damaged(f"it is damaged ({error})") from error
        return data


class _Slice(io.RawIOBase):
    """A part of an unpacked tar; closing it leaves the tar open."""

    def __init__(self, path: Path, start: int, size: int) -> None:
        self._path, self._start, self._size, self._done = path, start, size, 0

    def readable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._done

    def readinto(self, buffer: Any) -> int:
        unpacked = _last.tar(self._path, self._start + self._done)
        data = unpacked.stream.read(min(len(buffer), self._size - self._done))
        buffer[: len(data)] = data
        self._done += len(data)
        if not data and self._done < self._size:
            raise Damaged("the archive ends early")
        return len(data)


def let_go() -> None:
    """Close the archive that was read last: whoever has removed it gets its room on the disk back."""
    _last.close()


class _LastOpen(threading.local):
    """The archive that was read last stays open.

    The next file of a compressed tar is then found without unpacking all before it again, and the list of a zip's files
    is read once.
    """

    def __init__(self) -> None:
        self._key: tuple[str, int, int] | None = None
        self._open: _Unpacked | zipfile.ZipFile | None = None
        self.entries: dict[int, zipfile.ZipInfo] = {}
        """Of the zip that is open, by where they begin in it."""

    def zip(self, path: Path) -> zipfile.ZipFile:
        """Return an open zip file."""
        if self._key != _key(path) or not isinstance(self._open, zipfile.ZipFile):
            archive = _zip(path)
            self._keep(archive, path)
            self.entries = {info.header_offset: info for info in archive.infolist()}
        assert isinstance(self._open, zipfile.ZipFile)
        return self._open

    def tar(self, path: Path, position: int) -> _Unpacked:
        """Return an unpacked tar at a position, whichever of its files was read in between."""
        usable = self._key == _key(path) and isinstance(self._open, _Unpacked) and self._open.can_reach(position)
        if not usable:
            self._keep(_Unpacked(path), path)
        assert isinstance(self._open, _Unpacked)
        self._open.go_to(position)
        return self._open

    def close(self) -> None:
        """Close what is open."""
        if self._open is not None:
            self._open.close()
        self._open, self._key, self.entries = None, None, {}

    def _keep(self, archive: _Unpacked | zipfile.ZipFile, path: Path) -> None:
        self.close()
        self._open, self._key = archive, _key(path)


def _key(path: Path) -> tuple[str, int, int]:
    state = path.stat()
    return str(path.absolute()), state.st_mtime_ns, state.st_size


_last: Final = _LastOpen()
