"""Reads a file line by line in bounded memory, whatever its lines hold."""

from __future__ import annotations

from collections.abc import Container, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Final

from tunesmith.spec.errors import UnreadableRow, Where

MAX_LINE: Final = 16 * 2**20
"""Longest line in bytes; a longer one is a fault and is passed over piece by piece."""

_BOM: Final = b"\xef\xbb\xbf"


@dataclass(frozen=True, slots=True)
class Line:
    """A line of text with its end."""

    number: int
    """Counted from 1."""
    text: str
    position: int
    """Bytes of the file up to the end of this line."""


def lines(path: Path, wanted: Container[int] | None = None) -> Iterator[Line | UnreadableRow]:
    """Yield the lines of a UTF-8 file (only the wanted numbers, if given); a line that is no text is a fault."""
    with path.open("rb") as file:
        number = position = 0
        while raw := file.readline(MAX_LINE + 1):
            number += 1
            position += len(raw)
            too_long = len(raw) > MAX_LINE and not raw.endswith(b"\n")
            if too_long:
                position += _pass_over(file)
            if wanted is not None and number not in wanted:
                continue
            where = Where(str(path), number)
            if too_long:
                yield UnreadableRow(where, f"the line is longer than {MAX_LINE // 2**20} MiB")
            else:
                yield _line(raw.removeprefix(_BOM) if number == 1 else raw, where, position)


def _pass_over(file: BinaryIO) -> int:
    """Read to the end of the line and return how many bytes that was."""
    passed = 0
    while piece := file.readline(2**20):
        passed += len(piece)
        if piece.endswith(b"\n"):
            break
    return passed


def _line(raw: bytes, where: Where, position: int) -> Line | UnreadableRow:
    if b"\0" in raw:
        return UnreadableRow(where, "the line holds a null byte, so the file is damaged or not UTF-8 text")
    try:
        return Line(where.row, raw.decode(), position)
    except UnicodeDecodeError as error:
        return UnreadableRow(where, f"byte {raw[error.start]:#04x} is not UTF-8 text (save the file as UTF-8)")
