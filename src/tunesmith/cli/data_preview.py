"""Rows of data as a model reads them, on a terminal."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.text import Text

    from tunesmith.data.token_rows import EncodedRow
    from tunesmith.modalities.text.encode import TextEncoder
    from tunesmith.service.datasets.preview import Shown


def print_rows(rows: Sequence[Shown], encoder: TextEncoder) -> None:
    """Print rows; what is trained is green, or stands in [[ ]] where there is no colour."""
    from tunesmith.cli.terminal import console, printable
    from tunesmith.service.datasets.preview import bracketed

    screen = console()
    colours = screen.is_terminal and not screen.no_color
    for row in rows:
        for name, sequence in zip(row.names, row.sequences, strict=True):
            what = "the class is trained" if row.label else f"{sum(sequence.mask):,} trained"
            head = f"{row.example.where}{f', {name}' if name else ''}: {len(sequence.ids):,} tokens, {what}"
            screen.print(printable(head), style="bold", soft_wrap=True)
            text = _coloured(sequence, encoder) if colours else printable(bracketed(sequence, encoder))
            screen.print(text, soft_wrap=True)


def _coloured(row: EncodedRow, encoder: TextEncoder) -> Text:
    from rich.text import Text

    from tunesmith.cli.terminal import printable
    from tunesmith.service.datasets.preview import stretches

    text = Text()
    for stretch, trained in stretches(row, encoder):
        text.append(printable(stretch), style="green" if trained else "dim")
    return text
