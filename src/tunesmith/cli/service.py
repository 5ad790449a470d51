"""What the commands that work on the service's database share: opening it, and their tables."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from tunesmith.service.context import Service

GAP: Final = 3
"""Characters between two columns of a table."""


@contextmanager
def opened() -> Iterator[Service]:
    """Open the service of this home, whether a server runs or not.

    Raises:
        DatabaseUnusable: its database cannot be used.
    """
    from tunesmith.cli.terminal import current_settings
    from tunesmith.service.context import open_service

    service = open_service(current_settings())
    try:
        yield service
    finally:
        service.close()


def table(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """Print a table, without its empty columns; no cell is cut, and none can steer the terminal."""
    from rich import box
    from rich.cells import cell_len
    from rich.table import Table

    from tunesmith.cli.terminal import console, printable

    cells = [[printable(cell) for cell in row] for row in rows]
    filled = [(name, *column) for name, *column in zip(columns, *cells, strict=True) if any(column)]
    shown = Table(box=box.SIMPLE, pad_edge=False, show_edge=False)
    for name, *_ in filled:
        shown.add_column(name, no_wrap=True)
    for row in list(zip(*filled, strict=True))[1:]:
        shown.add_row(*row)
    screen = console()
    screen.width = max(screen.width, sum(max(map(cell_len, column)) + GAP for column in filled))
    screen.print(shown)
