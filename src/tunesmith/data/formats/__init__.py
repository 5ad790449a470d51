"""The formats, one file each; a file with a ``FORMAT`` in this folder is a format.

May import ``data.columns``, ``data.turns``, ``data.tools``, ``data.markup`` and spec. To add one, copy a sibling:
``sniff`` looks at the names of the columns and never at values, ``examples`` turns a row into examples or raises a
``RowFault``. Where several rows make one example (the messages of a tree), ``group`` says which belong together.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final, Literal

from tunesmith.data.columns import Row
from tunesmith.spec.errors import Where
from tunesmith.spec.examples import Example

Kind = Literal[
    "conversation",
    "completion",
    "text",
    "label",
    "preference",
    "caption",
    "image question",
    "labelled image",
    "boxed image",
    "picture talk",
    "speech",
    "labelled sound",
]
"""What an example is, as ``DataFacts.kinds`` counts it."""

PlacedRow = tuple[Row, Where]
"""A row of a group, and where it stands."""


@dataclass(frozen=True)
class RowFormat:
    """A way in which data sets write down one example a row."""

    name: str
    """As ``--dataset-format`` and folders spell it."""
    summary: str
    columns: tuple[str, ...]
    """What a row must have."""
    optional: tuple[str, ...]
    """What is read where it is there, also in place of a column that must be."""
    produces: Kind
    sniff: Callable[[Row], int]
    """0 = not this format; else this format's own number: the more special its columns, the higher, from 1 to 99."""
    examples: Callable[[Row, Where], Iterator[Example]]
    """Raises a ``RowFault`` where the row cannot be used."""


@dataclass(frozen=True)
class GroupedFormat:
    """A way in which data sets write down one example over several rows that follow each other."""

    name: str
    """As ``--dataset-format`` and folders spell it."""
    summary: str
    columns: tuple[str, ...]
    """What a row must have."""
    optional: tuple[str, ...]
    """What is read where it is there, also in place of a column that must be."""
    produces: Kind
    sniff: Callable[[Row], int]
    """0 = not this format; else this format's own number: the more special its columns, the higher, from 1 to 99."""
    group: Callable[[Row, Where], str | None]
    """Names the group that a row belongs to; None for a row that stands alone. Raises a ``RowFault`` as well."""
    examples: Callable[[Sequence[PlacedRow]], Iterator[Example]]
    """Gets the rows of a group; raises a ``RowFault`` where they cannot be used."""


Format = RowFormat | GroupedFormat


def alone(found: Format, row: Row, where: Where) -> Iterator[Example]:
    """Yield the examples of a row that no other row belongs to.

    Raises:
        RowFault: the row cannot be used.
    """
    if isinstance(found, GroupedFormat):
        yield from found.examples([(row, where)])
    else:
        yield from found.examples(row, where)


def _found() -> dict[str, Format]:
    modules = (importlib.import_module(f"{__name__}.{module.name}") for module in pkgutil.iter_modules(__path__))
    formats: list[Format] = [module.FORMAT for module in modules]
    return {found.name: found for found in formats}


FORMATS: Final = _found()
"""Every format by its name."""
