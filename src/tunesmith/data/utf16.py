"""Text that Windows programs save as "Unicode": UTF-16 with a byte order mark, read as UTF-8."""

from __future__ import annotations

import codecs
import io
from io import BufferedReader
from typing import Any, Final, cast

_MARKS: Final = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
_BLOCK: Final = 2**16


def as_utf8(stream: BufferedReader) -> BufferedReader:
    """Return the stream, or the same text in UTF-8 where it begins with the mark of UTF-16."""
    if stream.peek(2)[:2] not in _MARKS:
        return stream
    return BufferedReader(cast(io.RawIOBase, _Transcoded(stream)), _BLOCK)


class _Transcoded(io.RawIOBase):
    """Halves of surrogate pairs, and half a character at the end, become bytes that are no UTF-8."""

    def __init__(self, stream: BufferedReader) -> None:
        self._stream = stream
        self._decoder = codecs.getincrementaldecoder("utf-16")("surrogatepass")
        self._ready = b""

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        while not self._ready:
            block = self._stream.read(_BLOCK)
            if not block and not self._decoder.getstate()[0]:
                return 0
            self._ready = self._decoded(block)
        taken, self._ready = self._ready[: len(buffer)], self._ready[len(buffer) :]
        buffer[: len(taken)] = taken
        return len(taken)

    def _decoded(self, block: bytes) -> bytes:
        try:
            return self._decoder.decode(block, final=not block).encode("utf-8", "surrogatepass")
        except UnicodeDecodeError:
            self._decoder.reset()
            return b"\xff"
