"""YAML: a list of rows, an object around one, or a single row. Only plain data is built (safe loading)."""

from __future__ import annotations

from collections.abc import Container, Iterator

import yaml

from tunesmith.data.plain_yaml import LOADER, refused
from tunesmith.data.source_file import SourceFile
from tunesmith.data.sources import RawRow, Reader
from tunesmith.data.wrapped import WRAPPERS, content_of, rows, unwrap
from tunesmith.spec.errors import RowFault, UnreadableRow, Where


def read(file: SourceFile, wanted: Container[int] | None) -> Iterator[RawRow | RowFault]:
    """Yield every row of every document in the file."""
    content = content_of(file)
    if isinstance(content, UnreadableRow):
        yield content
        return
    try:
        if why := refused(content):
            yield UnreadableRow(Where(file.name, 1), why)
            return
        documents = [document for document in yaml.load_all(content, Loader=LOADER) if document is not None]
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        why = f"not YAML: {getattr(error, 'problem', None) or error}"
        yield UnreadableRow(Where(file.name, mark.line + 1 if mark else 1), why)
    except (ValueError, RecursionError) as error:
        yield UnreadableRow(Where(file.name, 1), f"a value cannot be read: {error}")
    else:
        wrappers = (*WRAPPERS, "conversations")
        yield from rows([row for document in documents for row in unwrap(document, wrappers)], file)


READER = Reader(name="yaml", suffixes=(".yaml", ".yml"), read=read)
