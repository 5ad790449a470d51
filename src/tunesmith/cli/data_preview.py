"""Rows of data as a model reads them, on a terminal."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rich.text import Text

    from tunesmith.data.encoding import Encoder
    from tunesmith.data.token_rows import EncodedRow
    from tunesmith.service.datasets.preview import Shown


def print_rows(rows: Sequence[Shown], encoder: Encoder, folders: tuple[str, ...] = ()) -> None:
    """Print rows; what is trained is green, or stands in [[ ]] where there is no colour.

    Pictures and recordings are called by their names below ``folders``.
    """
    from tunesmith.cli.terminal import console, printable
    from tunesmith.service.datasets.preview import bracketed

    screen = console()
    colours = screen.is_terminal and not screen.no_color
    for row in rows:
        for name, sequence in zip(row.names, row.sequences, strict=True):
            what = "the class is trained" if row.label else f"{sum(sequence.mask):,} trained"
            size = _files(row, folders) if sequence.media else f"{len(sequence.ids):,} tokens, {what}"
            head = f"{row.example.where}{f', {name}' if name else ''}: {size}"
            screen.print(printable(head), style="bold", soft_wrap=True)
            text = _coloured(sequence, encoder) if colours else printable(bracketed(sequence, encoder))
            if text:
                screen.print(text, soft_wrap=True)


def _files(row: Shown, folders: tuple[str, ...]) -> str:
    """Say what the pictures and recordings of a row are."""
    from tunesmith.service.datasets.described import described

    found = described(row.example, folders)
    return "; ".join(f"{each['name']}, {_size(each)}" for each in found)


def _size(file: dict[str, Any]) -> str:
    return f"{file['width']} x {file['height']} pixels" if "width" in file else f"{file['seconds']:.2f} s"


def _coloured(row: EncodedRow, encoder: Encoder) -> Text:
    from rich.text import Text

    from tunesmith.cli.terminal import printable
    from tunesmith.service.datasets.preview import stretches

    text = Text()
    for stretch, trained in stretches(row, encoder):
        text.append(printable(stretch), style="green" if trained else "dim")
    return text
