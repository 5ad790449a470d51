"""What the commands that work on the service's database share: opening it, and their tables."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tunesmith.service.context import Service


@contextmanager
def opened() -> Iterator[Service]:
    """Open the service of this home, whether a server runs or not.

    Raises:
        DatabaseUnusable: its database cannot be used.
        PackageMissing: the extra ``serve`` is not installed.
    """
    from tunesmith.cli.terminal import current_settings
    from tunesmith.spec.errors import PackageMissing

    try:
        from tunesmith.service.context import open_service
    except ModuleNotFoundError as error:
        raise PackageMissing(error.name or "sqlalchemy", "serve") from error
    service = open_service(current_settings())
    try:
        yield service
    finally:
        service.close()


def table(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """Print a table whose cells cannot steer the terminal."""
    from rich import box
    from rich.table import Table

    from tunesmith.cli.terminal import console, printable

    shown = Table(box=box.SIMPLE, pad_edge=False, show_edge=False)
    for name in columns:
        shown.add_column(name, no_wrap=name == columns[0])
    for row in rows:
        shown.add_row(*map(printable, row))
    console().print(shown)
