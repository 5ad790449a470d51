"""Rows of data as a model reads them, with what is trained marked."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import groupby
from typing import TYPE_CHECKING, Any

from tunesmith.service.datasets.described import content, described
from tunesmith.spec.errors import RowFault
from tunesmith.spec.examples import LabelledImage, LabelledSound, LabelledText, PlainText, Preference
from tunesmith.spec.job import DatasetRef

if TYPE_CHECKING:
    from tunesmith.data.encoding import Encoder
    from tunesmith.data.token_rows import EncodedRow
    from tunesmith.spec.examples import Example


@dataclass(frozen=True)
class Shown:
    """A row of data and what became of it."""

    example: Example
    sequences: list[EncodedRow]
    length: int | None
    """Tokens at which a run would cut."""

    @property
    def label(self) -> str | None:
        """The class that is trained in place of any token."""
        return self.example.label if isinstance(self.example, LabelledText | LabelledImage | LabelledSound) else None

    @property
    def names(self) -> list[str]:
        """What each sequence is, where there are several or it has a class."""
        count = len(self.sequences)
        if isinstance(self.example, Preference):
            return ["chosen", "rejected"]
        if self.label:
            return [f"class {self.label}"]
        word = "piece" if isinstance(self.example, PlainText) else "part"
        return [f"{word} {number} of {count}" for number in range(1, count + 1)] if count > 1 else [""]


def encoded(datasets: list[DatasetRef], encoder: Encoder, length: int | None) -> Iterator[Shown | RowFault]:
    """Yield each row as a model of that length reads it, or what is wrong with it."""
    from tunesmith.data.mixture import read

    for example in read(datasets):
        if isinstance(example, RowFault):
            yield example
            continue
        try:
            yield _cut(Shown(example, encoder(example), length))
        except RowFault as fault:
            yield fault


def as_dict(row: Shown, encoder: Encoder, folders: tuple[str, ...] = ()) -> dict[str, Any]:
    """Return a row as plain data, for ``--json`` and the API; files are called by their names below ``folders``.

    Raises:
        RowFault: a picture or recording of it cannot be used.
    """
    rendered = [
        {"name": name, "tokens": _tokens(sequence, encoder), "text": bracketed(sequence, encoder)}
        for name, sequence in zip(row.names, row.sequences, strict=True)
    ]
    where, kind = str(row.example.where), type(row.example).__name__
    files = described(row.example, folders)
    seen = {"files": files, "content": content(row.example, folders)} if files else {}
    return {"where": where, "kind": kind, "label": row.label, "sequences": rendered, **seen}


def stretches(row: EncodedRow, encoder: Encoder) -> Iterator[tuple[str, bool]]:
    """Yield the text of neighbours that are trained, or are not; none of a row that has no text."""
    spell = getattr(encoder, "spell", None)
    if spell is None:
        return
    for trained, places in groupby(_spoken(row), key=lambda place: row.mask[place]):
        yield spell([row.ids[place] for place in places]), trained


def bracketed(row: EncodedRow, encoder: Encoder) -> str:
    """Return a row's text with what is trained in [[ ]]."""
    return "".join(f"[[{text}]]" if trained else text for text, trained in stretches(row, encoder))


def _spoken(row: EncodedRow) -> Iterator[int]:
    """Yield the places of a row's tokens: zeros before them stand for patches of a picture or frames of a recording."""
    begin = next((place for place, token in enumerate(row.ids) if token), len(row.ids)) if row.media else 0
    yield from range(begin, len(row.ids))


def _tokens(row: EncodedRow, encoder: Encoder) -> list[dict[str, Any]]:
    spell = getattr(encoder, "spell", None)
    if spell is None:
        return []
    return [
        {"id": row.ids[place], "text": spell([row.ids[place]]), "trained": row.mask[place]} for place in _spoken(row)
    ]


def _cut(shown: Shown) -> Shown:
    """Cut the sequences as a run of that length does: running text in pieces, pictures never, all else at the end."""
    if any(each.media for each in shown.sequences):
        return Shown(shown.example, shown.sequences, None)
    import numpy as np

    from tunesmith.data.kinds import kind_of
    from tunesmith.data.token_cache import EXAMPLE
    from tunesmith.data.token_rows import EncodedRow, TokenRows
    from tunesmith.data.trimming import trim

    record = np.zeros(1, EXAMPLE)
    record["sequences"], record["kind"] = len(shown.sequences), kind_of(shown.example)
    rows = trim(TokenRows.of(shown.sequences), record, shown.length).rows
    pairs = (rows.row(number) for number in range(len(rows)))
    sequences = [
        EncodedRow(ids.tolist(), [bool(trained) and not shown.label for trained in mask]) for ids, mask in pairs
    ]
    return Shown(shown.example, sequences, shown.length)
