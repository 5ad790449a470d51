"""The row formats, one file each; a file with a ``FORMAT`` in this folder is a format.

May import ``data.columns``, ``data.turns`` and spec. To add one, copy a sibling: ``sniff`` looks at the names of the
columns and never at values, ``examples`` turns a row into examples or raises a ``RowFault``.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final, Literal

from tunesmith.data.columns import Row
from tunesmith.spec.errors import Where
from tunesmith.spec.examples import Example


@dataclass(frozen=True)
class RowFormat:
    """A way in which data sets write down one example a row."""

    name: str
    """As ``--dataset-format`` and folders spell it."""
    summary: str
    columns: tuple[str, ...]
    """What a row must have."""
    optional: tuple[str, ...]
    """What is read where it is there."""
    produces: Literal["conversation", "completion", "text"]
    """Kind of example, as ``DataFacts.kinds`` counts it."""
    sniff: Callable[[Row], int]
    """0 = not this format; else how special the columns are, from 1 (many data sets have them) to 9 (no other has)."""
    examples: Callable[[Row, Where], Iterator[Example]]
    """Raises a ``RowFault`` where the row cannot be used."""


def _found() -> dict[str, RowFormat]:
    modules = (importlib.import_module(f"{__name__}.{module.name}") for module in pkgutil.iter_modules(__path__))
    formats: list[RowFormat] = [module.FORMAT for module in modules]
    return {row_format.name: row_format for row_format in formats}


FORMATS: Final = _found()
"""Every row format by its name."""
