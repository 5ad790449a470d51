"""Takes the rows of a JSON document one by one out of a stream, in memory for one row, however long the document is.

A row that is no JSON is passed over: to the next line that begins like the row's own, if the rows have lines of their
own, else to where its brackets are closed.
"""

from __future__ import annotations

import codecs
import json
import re
from collections.abc import Container, Iterator
from io import BufferedReader
from typing import Final

from tunesmith.data.json_text import DECODER, explain

MAX_VALUE: Final = 16 * 2**20
"""Longest row in characters; a longer one is a fault and is passed over piece by piece."""

BLOCK: Final = 2**18
"""Bytes read at a time."""

_NEAR_END: Final = 16
"""An error so close to the end of what is read may only mean that a number or a word goes on."""
_INDENT: Final = 256
"""Longest indentation of rows that have lines of their own."""
_SPACE: Final = re.compile(r"[ \t\n\r]*")
_SYMBOLS: Final = re.compile(r'\\.|["\[\]{},]', re.DOTALL)


class Broken(Exception):
    """A value that cannot be read; the message says why and on which line."""


class JsonStream:
    """A JSON document and how far it is read."""

    def __init__(self, stream: BufferedReader, wrappers: Container[str]) -> None:
        self._stream = stream
        self._wrappers = wrappers
        self._decoder = codecs.getincrementaldecoder("utf-8-sig")("surrogateescape")
        self._text, self._at = "", 0
        self._lines_before = 0
        """Line ends in front of ``_text``."""
        self._broken_off = False
        """Whether nothing is left behind a value that could not be read: the end that is missing is the same break."""

    def rows(self) -> Iterator[object]:
        """Yield the rows; a ``Broken`` stands for each one, or for the rest, that cannot be read."""
        first = self._next()
        if not first:
            return
        try:
            yield from self._document(first)
            if self._next():
                raise self._broken("text goes on behind the end of the data")
        except Broken as broken:
            if not self._broken_off:
                yield broken

    def _document(self, first: str) -> Iterator[object]:
        if first == "[":
            yield from self._list()
        elif first == "{":
            yield from self._object()
        else:
            yield self._value()

    def _list(self) -> Iterator[object]:
        self._at += 1
        if self._next() == "]":
            self._at += 1
            return
        while True:
            self._next()
            indent, start = self._indent(), self._text[self._at : self._at + 1]
            try:
                yield self._value()
            except Broken as broken:
                yield broken
                if indent is None:
                    self._pass_over_brackets()
                    self._broken_off = not self._next()
                elif self._find_line(indent, start if start in ("{", "[") else '{["'):
                    continue
                else:
                    self._broken_off = True
                if self._broken_off:
                    return
            if self._next() == "]":
                self._at += 1
                return
            self._expect(",")

    def _object(self) -> Iterator[object]:
        """Yield what a wrapper holds, else the object itself."""
        self._at += 1
        found: dict[str, object] = {}
        names: set[str] = set()
        unwrapped = False
        while self._next() != "}":
            if names:
                self._expect(",")
                self._next()
            name = self._value()
            if not isinstance(name, str) or name in names:
                raise self._broken("a name in quotes is missing or stands twice")
            names.add(name)
            self._expect(":")
            if self._next() == "[" and name in self._wrappers and not unwrapped:
                unwrapped = True
                yield from self._list()
            else:
                found[name] = self._value()
        self._at += 1
        if not unwrapped:
            yield found

    def _value(self) -> object:
        """Return the value here and go behind it; after ``Broken`` the place is still where the value begins."""
        while True:
            try:
                value, end = DECODER.raw_decode(self._text, self._at)
            except json.JSONDecodeError as error:
                if self._may_go_on(error) and self._more():
                    continue
                raise self._broken(error.msg, error.pos) from None
            except (ValueError, RecursionError) as error:
                raise Broken(explain(error)) from None
            follows = _spaces(self._text, end)
            if follows < len(self._text) and (self._text[follows] in ",:]}" or follows < len(self._text) - _NEAR_END):
                break
            if not self._more():
                break
        self._at = end
        return value

    def _may_go_on(self, error: json.JSONDecodeError) -> bool:
        return error.msg.startswith("Unterminated string") or error.pos >= len(self._text) - _NEAR_END

    def _next(self) -> str:
        """Go to the next character that is no space and return it; an empty string at the end."""
        while True:
            self._at = _spaces(self._text, self._at)
            if self._at < len(self._text):
                return self._text[self._at]
            if not self._load(self._at):
                return ""

    def _expect(self, character: str) -> None:
        if self._next() != character:
            raise self._broken(f"Expecting '{character}'")
        self._at += 1

    def _more(self) -> bool:
        """Read more of the value here; say whether there was more."""
        length = len(self._text) - self._at
        if length > MAX_VALUE:
            raise Broken(f"it is longer than {MAX_VALUE // 2**20} MiB")
        return self._load(self._at, max(BLOCK, length))

    def _load(self, keep: int, size: int | None = None) -> bool:
        """Forget what stands before a place (but not the start of its line, if that is near) and read on."""
        line = self._text.rfind("\n", max(0, keep - _INDENT), keep)
        cut = keep if line < 0 else line
        data = self._stream.read(size or BLOCK)
        self._lines_before += self._text.count("\n", 0, cut)
        self._text = self._text[cut:] + self._decoder.decode(data, final=not data)
        self._at -= cut
        return bool(data)

    def _indent(self) -> str | None:
        """Return the line end and the spaces before the value here; None if it shares its line."""
        line = self._text.rfind("\n", 0, self._at)
        between = self._text[line : self._at]
        return between if line >= 0 and between.isspace() else None

    def _find_line(self, indent: str, starts: str) -> bool:
        """Go to the next line with this indentation that starts with one of these; say whether there is one."""
        beginning = re.compile(re.escape(indent) + f"[{re.escape(starts)}]")
        self._at += 1
        while (found := beginning.search(self._text, self._at)) is None:
            self._at = max(self._at, len(self._text) - len(indent))
            if not self._load(self._at):
                return False
        self._at = found.end() - 1
        return True

    def _pass_over_brackets(self) -> None:
        """Go behind the value here, by its brackets alone."""
        depth, quoted = 0, False
        while True:
            for symbol in _SYMBOLS.finditer(self._text, self._at):
                self._at = symbol.end()
                if symbol[0] == '"':
                    quoted = not quoted
                elif quoted or symbol[0][0] == "\\":
                    continue
                elif symbol[0] in "[{":
                    depth += 1
                elif depth == 0:
                    self._at = symbol.start()
                    return
                elif symbol[0] in "]}":
                    depth -= 1
            self._at = max(self._at, len(self._text) - self._text.endswith("\\"))
            if not self._load(self._at):
                return

    def _broken(self, why: str, place: int | None = None) -> Broken:
        line = self._lines_before + self._text.count("\n", 0, self._at if place is None else place) + 1
        return Broken(f"not JSON: {why} in line {line:,}")


def _spaces(text: str, start: int) -> int:
    found = _SPACE.match(text, start)
    return found.end() if found else start
