"""XML: every child of the root is a row, its attributes and children are columns. Entities are never expanded."""

from __future__ import annotations

from collections.abc import Container, Iterator
from dataclasses import dataclass, field
from typing import Final, NoReturn
from xml.parsers import expat

from tunesmith.data.lines import MAX_LINE
from tunesmith.data.source_file import SourceFile
from tunesmith.data.sources import RawRow, Reader
from tunesmith.spec.errors import RowFault, UnreadableRow, Where

MAX_DEPTH: Final = 100
"""Deepest nesting of elements."""

_BLOCK: Final = 2**16


def read(file: SourceFile, wanted: Container[int] | None) -> Iterator[RawRow | RowFault]:
    """Yield a row for each child of the root; where the file stops being XML, it ends with a fault."""
    name, rows = file.name, _Rows()
    number = 0
    with file.open(text=False) as opened:
        block = b"more"
        while block and rows.broken is None:
            block = opened.stream.read(_BLOCK)
            rows.feed(block)
            for values in rows.taken():
                number += 1
                yield RawRow(Where(name, number), values, opened.position())
    if rows.broken is not None:
        yield UnreadableRow(Where(name, number + 1), rows.broken)


@dataclass
class _Element:
    """An element that is being read."""

    tag: str
    columns: dict[str, object]
    repeated: set[str] = field(default_factory=set)
    text: list[str] = field(default_factory=list)

    def add(self, name: str, value: object) -> None:
        """Add a child; children of one name are a list."""
        present = self.columns.get(name)
        if name not in self.columns:
            self.columns[name] = value
        elif name in self.repeated and isinstance(present, list):
            present.append(value)
        else:
            self.repeated.add(name)
            self.columns[name] = [present, value]

    def value(self) -> object:
        """Return the text of an element that has nothing else, else its columns."""
        text = "".join(self.text).strip()
        if not self.columns:
            return text
        return {**self.columns, "text": text} if text and "text" not in self.columns else self.columns


class _Rows:
    """Collects rows while a file is fed in."""

    def __init__(self) -> None:
        self.broken: str | None = None
        """Why the rest cannot be read."""
        self._done: list[object] = []
        self._open: list[_Element] = []
        self._size = 0
        self._parser = parser = expat.ParserCreate()
        parser.buffer_text = True
        parser.StartElementHandler = self._start
        parser.EndElementHandler = self._end
        parser.CharacterDataHandler = self._said
        parser.EntityDeclHandler = _refuse_entity

    def feed(self, block: bytes) -> None:
        """Take the next bytes of the file; none at its end."""
        try:
            self._parser.Parse(block, not block)
        except expat.ExpatError as error:
            why = f"not XML: {expat.errors.messages[error.code]} in line {error.lineno:,}"
            self.broken = "the file is empty" if error.code == 3 and self._parser.CurrentByteIndex <= 0 else why
        except (ValueError, LookupError) as error:
            self.broken = str(error)

    def taken(self) -> list[object]:
        """Hand over the rows that are complete."""
        done, self._done = self._done, []
        return done

    def _start(self, tag: str, attributes: dict[str, str]) -> None:
        if len(self._open) > MAX_DEPTH:
            raise ValueError(f"it is nested deeper than {MAX_DEPTH} levels")
        self._open.append(_Element(tag, dict(attributes)))
        self._count(len(tag) + sum(len(name) + len(value) for name, value in attributes.items()))

    def _end(self, tag: str) -> None:
        element = self._open.pop()
        if len(self._open) == 1:
            self._done.append(element.value())
            self._size = 0
        elif self._open:
            self._open[-1].add(element.tag, element.value())

    def _said(self, text: str) -> None:
        if len(self._open) > 1:
            self._open[-1].text.append(text)
            self._count(len(text))

    def _count(self, size: int) -> None:
        self._size += size
        if self._size > MAX_LINE:
            raise ValueError(f"a row is longer than {MAX_LINE // 2**20} MiB")


def _refuse_entity(name: str, *declared: object) -> NoReturn:
    raise ValueError(f"it declares the entity '{name[:60]}', and entities are not expanded; write the text itself")


READER = Reader(name="xml", suffixes=(".xml",), read=read)
