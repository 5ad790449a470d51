"""A recording and what is said in it: ``{"audio", "text"}``.

The recording is a path, relative to the file of the row. ``transcript``, ``transcription`` or ``sentence`` in place of
``text`` is read as well; with these, ``path`` or ``file_name`` may name the recording.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from tunesmith.data.columns import Row, chosen, has_any, text
from tunesmith.data.formats import RowFormat
from tunesmith.data.recordings import COLUMNS, FILES, recording
from tunesmith.spec.errors import Where
from tunesmith.spec.examples import Example, Speech

_SAID: Final = ("transcription", "transcript", "sentence", "text")


def sniff(row: Row) -> int:
    """Recognise a recording with a transcript; a bare ``path`` or ``file_name`` only beside what is a transcript."""
    if has_any(row, *COLUMNS):
        return 91 if has_any(row, *_SAID) else 0
    said = has_any(row, "transcription", "transcript") or ("sentence" in row and "label" not in row)
    return 91 if said and has_any(row, *FILES) else 0


def examples(row: Row, where: Where) -> Iterator[Example]:
    """Make one recording with its transcript."""
    said = text(row, chosen(row, *_SAID), where)
    yield Speech(recording(row, where), " ".join(said.split()), where)


FORMAT = RowFormat(
    name="speech",
    summary="a recording and what is said in it",
    columns=("audio", "text"),
    optional=("sound", "path", "file_name", "transcription", "transcript", "sentence"),
    produces="speech",
    sniff=sniff,
    examples=examples,
)
