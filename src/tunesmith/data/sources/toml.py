"""TOML: an array of tables, such as ``[[data]]``, or a single row."""

from __future__ import annotations

import tomllib
from collections.abc import Container, Iterator
from typing import Final

from tunesmith.data.source_file import SourceFile
from tunesmith.data.sources import RawRow, Reader
from tunesmith.data.wrapped import WRAPPERS, content_of, rows, unwrap
from tunesmith.spec.errors import RowFault, UnreadableRow, Where

_WRAPPERS: Final = (*WRAPPERS, "dataset")


def read(file: SourceFile, wanted: Container[int] | None) -> Iterator[RawRow | RowFault]:
    """Yield every row."""
    content = content_of(file)
    if isinstance(content, UnreadableRow):
        yield content
        return
    try:
        document = tomllib.loads(content)
    except (ValueError, RecursionError) as error:
        yield UnreadableRow(Where(file.name, 1), _explain(error))
    else:
        yield from rows(unwrap(document, _WRAPPERS) if document else [], file)


def _explain(error: ValueError | RecursionError) -> str:
    return "it is nested too deeply" if isinstance(error, RecursionError) else f"not TOML: {error}"


READER = Reader(name="toml", suffixes=(".toml",), read=read)
