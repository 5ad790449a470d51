"""Elements of XML as columns: an element's attributes and children are columns, its text alone is a text.

Entities are never expanded, whatever a file declares, and what is nested too deeply or has no end is refused.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final, NoReturn
from xml.parsers import expat

from tunesmith.data.lines import MAX_LINE

MAX_DEPTH: Final = 100
"""Deepest nesting of elements."""


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


class Elements:
    """Collects the elements of one level while a file is fed in."""

    def __init__(self, level: int) -> None:
        """``level`` 0 is the root itself, 1 are its children."""
        self.broken: str | None = None
        """Why the rest cannot be read."""
        self._level = level
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
        """Hand over the elements that are complete."""
        done, self._done = self._done, []
        return done

    def _start(self, tag: str, attributes: dict[str, str]) -> None:
        if len(self._open) > MAX_DEPTH:
            raise ValueError(f"it is nested deeper than {MAX_DEPTH} levels")
        self._open.append(_Element(tag, dict(attributes)))
        self._count(len(tag) + sum(len(name) + len(value) for name, value in attributes.items()))

    def _end(self, tag: str) -> None:
        element = self._open.pop()
        if len(self._open) == self._level:
            self._done.append(element.value())
            self._size = 0
        elif len(self._open) > self._level:
            self._open[-1].add(element.tag, element.value())

    def _said(self, text: str) -> None:
        if len(self._open) > self._level:
            self._open[-1].text.append(text)
            self._count(len(text))

    def _count(self, size: int) -> None:
        self._size += size
        if self._size > MAX_LINE:
            raise ValueError(f"a row is longer than {MAX_LINE // 2**20} MiB")


def document(content: bytes) -> object:
    """Return the root of a whole file: its columns, or its text.

    Raises:
        ValueError: it is no XML, or declares entities; the message says where.
    """
    elements = Elements(0)
    for block in (content, b""):
        if elements.broken is None:
            elements.feed(block)
    if elements.broken is not None:
        raise ValueError(elements.broken)
    return elements.taken()[0]


def _refuse_entity(name: str, *declared: object) -> NoReturn:
    raise ValueError(f"it declares the entity '{name[:60]}', and entities are not expanded; write the text itself")
