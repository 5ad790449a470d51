"""A file of rows: where its bytes lie (on disk, compressed, in an archive) and how they are opened."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from io import BufferedReader
from pathlib import Path
from typing import Any, Final

from tunesmith.data import archives, compression, utf16
from tunesmith.data.archives import Member

BROKEN: Final = "broken"
"""Column of a row that a layout gives and that is none: why it cannot be read."""


@dataclass(frozen=True, slots=True)
class Opened:
    """Bytes of a file, unpacked."""

    stream: BufferedReader
    position: Callable[[], int]
    """How much of ``SourceFile.size`` is read."""


@dataclass(frozen=True, slots=True)
class SourceFile:
    """A file of rows."""

    path: Path
    """The file on disk; of a file in an archive, the archive."""
    format: str | None = None
    """Row format that the name of its folder forces."""
    member: Member | None = None
    """Where it lies in the archive, if it does."""
    broken: str = ""
    """Why it, or the archive it is, is not to be read, so that its one fault says it."""
    side: str = ""
    """What its rows are for where the layout of their folder says it: validation, test; empty: to train on."""
    laid: tuple[dict[str, Any], ...] | None = None
    """Rows that no file holds: what the layout of a folder or archive (``path``) says of the pictures or recordings in
    it (``data.layouts``). One with ``BROKEN`` cannot be read, and says why."""

    @property
    def name(self) -> str:
        """What faults call it: ``archive.zip/inner.jsonl`` in an archive."""
        if self.laid is not None:
            return f"{self.path}/{self.side or 'train'}"
        return f"{self.path}/{self.member.name}" if self.member else str(self.path)

    @property
    def beside(self) -> Path:
        """Where the names of pictures and recordings in its rows begin."""
        if self.laid is not None:
            return self.path.absolute()
        return (self.path / self.member.name if self.member else self.path).parent.absolute()

    @property
    def size(self) -> int:
        """Bytes on disk, or as the archive holds them; compressed files are not unpacked to find out.

        Raises:
            OSError: the file is gone.
        """
        if self.laid is not None:
            return len(self.laid)
        return self.member.size if self.member else self.path.stat().st_size

    @property
    def inside(self) -> list[str | int]:
        """Where it lies in the archive, for whoever tells files of equal bytes on disk apart."""
        return [self.member.name, self.member.start, self.member.size] if self.member else []

    @property
    def suffixes(self) -> tuple[str, str]:
        """Its type and its compression, in small letters: ``('.jsonl', '.gz')``; the second may be empty."""
        return compression.split_suffixes(self.member.name if self.member else self.path.name)

    @contextmanager
    def open(self, *, text: bool = True) -> Iterator[Opened]:
        """Open the file for reading from its start; as text, UTF-16 with a byte order mark arrives as UTF-8.

        Raises:
            OSError: the file cannot be read; ``compression.Damaged`` while it is read.
        """
        with ExitStack() as closing:
            stream = closing.enter_context(
                archives.opened(self.path, self.member) if self.member else self.path.open("rb")
            )
            position = stream.tell
            if self.suffixes[1]:
                stream = closing.enter_context(compression.unpacked(stream, self.suffixes[1]))
            if text:
                stream = utf16.as_utf8(stream)
            yield Opened(stream, position)
