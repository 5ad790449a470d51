"""Reads a file line by line in bounded memory, whatever its lines hold."""

from __future__ import annotations

from collections.abc import Container, Iterator
from dataclasses import dataclass
from typing import BinaryIO, Final

from tunesmith.data.source_file import SourceFile
from tunesmith.spec.errors import UnreadableRow, Where

MAX_LINE: Final = 16 * 2**20
"""Longest line in bytes; a longer one is a fault and is passed over piece by piece."""

_BOM: Final = b"\xef\xbb\xbf"
_BLOCK: Final = 2**20


@dataclass(frozen=True, slots=True)
class Line:
    """A line of text with its end."""

    number: int
    """Counted from 1."""
    text: str
    position: int
    """Bytes of the file up to the end of this line."""


def lines(file: SourceFile, wanted: Container[int] | None = None) -> Iterator[Line | UnreadableRow]:
    """Yield the lines of a UTF-8 file (only the wanted numbers, if given); a line that is no text is a fault."""
    with file.open() as opened:
        number, name = 0, file.name
        while raw := opened.stream.readline(MAX_LINE + 1):
            number += 1
            if number == 1 and not (raw := raw.removeprefix(_BOM)):
                return
            too_long = len(raw) > MAX_LINE and not raw.endswith(b"\n")
            if too_long:
                _pass_over(opened.stream)
            if wanted is not None and number not in wanted:
                continue
            where = Where(name, number)
            if too_long:
                yield UnreadableRow(where, f"the line is longer than {MAX_LINE // 2**20} MiB")
            else:
                yield _line(raw, where, opened.position())


def count_lines(file: SourceFile, up_to: int) -> tuple[int, int]:
    """Return how many lines the first bytes hold (about ``up_to`` of them), and how much of the file's size that was.

    Raises:
        OSError: the file cannot be read.
    """
    count, last = 0, b"\n"
    with file.open() as opened:
        while opened.position() < up_to and (block := opened.stream.read(_BLOCK)):
            count, last = count + block.count(b"\n"), block[-1:]
        return count + (last != b"\n"), opened.position()


def _pass_over(stream: BinaryIO) -> None:
    """Read to the end of the line."""
    while (piece := stream.readline(_BLOCK)) and not piece.endswith(b"\n"):
        pass


def _line(raw: bytes, where: Where, position: int) -> Line | UnreadableRow:
    if b"\0" in raw:
        return UnreadableRow(where, "the line holds a null byte, so the file is damaged or not UTF-8 text")
    try:
        return Line(where.row, raw.decode(), position)
    except UnicodeDecodeError as error:
        return UnreadableRow(where, f"byte {raw[error.start]:#04x} is not UTF-8 text (save the file as UTF-8)")
