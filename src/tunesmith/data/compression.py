"""Compressed files as streams of their content, within limits that are counted while they unpack.

Nothing is unpacked to disk, so that a file made to fill one cannot; it ends in a fault instead.
"""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import sys
import zlib
from collections.abc import Callable
from io import BufferedReader
from pathlib import PurePath
from typing import IO, Any, Final, Protocol

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

MAX_RATIO: Final = 200
"""Most bytes that a compressed byte may become; text of many equal rows reaches about 100, a trap 1,000 and more."""
FREE_BYTES: Final = 256 * 2**20
"""Bytes that may come out at any ratio, so that files of equal rows are read unless they are large."""
MAX_UNPACKED: Final = 200 * 2**30
"""Most bytes that one file or archive may unpack to."""

_OPENERS: Final[dict[str, Callable[[IO[bytes]], Any]]] = {
    ".gz": lambda packed: gzip.GzipFile(fileobj=packed),
    ".bz2": bz2.BZ2File,
    ".xz": lzma.LZMAFile,
    ".zst": zstd.ZstdFile,
}
SUFFIXES: Final = tuple(_OPENERS)
"""Endings of compressed files."""

_BLOCK: Final = 2**17
_BROKEN: Final = (EOFError, zlib.error, gzip.BadGzipFile, lzma.LZMAError, zstd.ZstdError)


class Damaged(OSError):
    """The bytes cannot be unpacked, or not within the limits; the message says why."""


class Excessive(Damaged):
    """More comes out than data would be."""


class _Readable(Protocol):
    def read(self, size: int, /) -> bytes: ...


def split_suffixes(name: str) -> tuple[str, str]:
    """Return a file's type and its compression by its name: ``a.jsonl.gz`` is ``('.jsonl', '.gz')``."""
    path = PurePath(name.lower())
    if path.suffix in _OPENERS:
        return PurePath(path.stem).suffix, path.suffix
    return path.suffix, ""


def unpacked(packed: BufferedReader, suffix: str) -> BufferedReader:
    """Return the content of a compressed stream; ``Damaged`` is raised where it is read."""
    return bounded(_OPENERS[suffix](packed), packed.tell)


def bounded(stream: _Readable, consumed: Callable[[], int]) -> BufferedReader:
    """Return a stream that is unpacked from so many bytes as ``consumed`` says, and count what comes out of it."""
    return BufferedReader(_Bounded(stream, consumed), _BLOCK)


class _Bounded(io.RawIOBase):
    """Counts bytes and gives every way of being broken one name."""

    def __init__(self, stream: _Readable, consumed: Callable[[], int]) -> None:
        self._stream = stream
        self._consumed = consumed
        self._count = 0

    def readable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._count

    def readinto(self, buffer: Any) -> int:
        data = self._read(len(buffer))
        buffer[: len(data)] = data
        self._count += len(data)
        refuse_excess(self._count, self._consumed())
        return len(data)

    def _read(self, size: int) -> bytes:
        try:
            return self._stream.read(size)
        except Damaged:
            raise
        except _BROKEN as error:
            raise Damaged(f"the compressed data is damaged or ends early ({error})") from error
        except OSError as error:
            if error.errno is None:  # said by a decompressor, not by the system
                raise Damaged(f"the compressed data is damaged ({error})") from error
            raise

    def close(self) -> None:
        close = getattr(self._stream, "close", None)
        if close is not None and not self.closed:
            close()
        super().close()


def refuse_excess(unpacked_bytes: int, packed_bytes: int) -> None:
    """Accept what came out of some bytes.

    Raises:
        Excessive: it is more than data would be.
    """
    if unpacked_bytes > max(FREE_BYTES, MAX_RATIO * packed_bytes):
        raise Excessive(f"it unpacks to more than {MAX_RATIO} times its size (unpack it yourself if it is meant to)")
    if unpacked_bytes > MAX_UNPACKED:
        raise Excessive(f"it unpacks to more than {MAX_UNPACKED // 2**30} GiB (divide it)")
