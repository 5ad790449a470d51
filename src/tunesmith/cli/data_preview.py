"""Rows of data as a model reads them, with what is trained marked."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rich.text import Text

    from tunesmith.data.token_rows import EncodedRow
    from tunesmith.modalities.text.encode import TextEncoder
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
        from tunesmith.spec.examples import LabelledText

        return self.example.label if isinstance(self.example, LabelledText) else None

    @property
    def names(self) -> list[str]:
        """What each sequence is, where there are several or it has a class."""
        from tunesmith.spec.examples import PlainText, Preference

        count = len(self.sequences)
        if isinstance(self.example, Preference):
            return ["chosen", "rejected"]
        if self.label:
            return [f"class {self.label}"]
        word = "piece" if isinstance(self.example, PlainText) else "part"
        return [f"{word} {number} of {count}" for number in range(1, count + 1)] if count > 1 else [""]


def cut(shown: Shown) -> Shown:
    """Cut the sequences as a run of that length does: running text in pieces, all else at the end."""
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


def print_rows(rows: Sequence[Shown], encoder: TextEncoder) -> None:
    """Print rows; what is trained is green, or stands in [[ ]] where there is no colour."""
    from tunesmith.cli.terminal import console, printable

    screen = console()
    colours = screen.is_terminal and not screen.no_color
    for row in rows:
        for name, sequence in zip(row.names, row.sequences, strict=True):
            what = "the class is trained" if row.label else f"{sum(sequence.mask):,} trained"
            head = f"{row.example.where}{f', {name}' if name else ''}: {len(sequence.ids):,} tokens, {what}"
            screen.print(printable(head), style="bold", soft_wrap=True)
            text = _coloured(sequence, encoder) if colours else printable(_bracketed(sequence, encoder))
            screen.print(text, soft_wrap=True)


def as_dict(row: Shown, encoder: TextEncoder) -> dict[str, Any]:
    """Return a row as ``--json`` prints it."""
    rendered = [
        {"name": name, "tokens": _tokens(sequence, encoder), "text": _bracketed(sequence, encoder)}
        for name, sequence in zip(row.names, row.sequences, strict=True)
    ]
    where, kind = str(row.example.where), type(row.example).__name__
    return {"where": where, "kind": kind, "label": row.label, "sequences": rendered}


def _tokens(row: EncodedRow, encoder: TextEncoder) -> list[dict[str, Any]]:
    return [
        {"id": token, "text": encoder.spell([token]), "trained": trained}
        for token, trained in zip(row.ids, row.mask, strict=True)
    ]


def _stretches(row: EncodedRow, encoder: TextEncoder) -> Iterator[tuple[str, bool]]:
    """Yield the text of neighbours that are trained, or are not."""
    from itertools import groupby

    for trained, places in groupby(range(len(row.ids)), key=lambda place: row.mask[place]):
        yield encoder.spell([row.ids[place] for place in places]), trained


def _bracketed(row: EncodedRow, encoder: TextEncoder) -> str:
    return "".join(f"[[{text}]]" if trained else text for text, trained in _stretches(row, encoder))


def _coloured(row: EncodedRow, encoder: TextEncoder) -> Text:
    from rich.text import Text

    from tunesmith.cli.terminal import printable

    text = Text()
    for stretch, trained in _stretches(row, encoder):
        text.append(printable(stretch), style="green" if trained else "dim")
    return text
