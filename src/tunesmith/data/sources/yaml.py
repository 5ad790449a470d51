"""YAML: a list of rows, an object around one, or a single row. Only plain data is built (safe loading)."""

from __future__ import annotations

from collections.abc import Container, Iterator
from pathlib import Path
from typing import Final

import yaml

from tunesmith.data.sources import RawRow, Reader
from tunesmith.data.wrapped import WRAPPERS, not_text, rows, unwrap
from tunesmith.spec.errors import RowFault, UnreadableRow, Where

MAX_DEPTH: Final = 100
"""Deepest nesting; libyaml's loader overruns the stack somewhere beyond 5,000."""

_Loader: Final = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


def read(path: Path, wanted: Container[int] | None) -> Iterator[RawRow | RowFault]:
    """Yield every row of every document in the file."""
    try:
        content = path.read_bytes().decode("utf-8-sig")
        if _too_deep(content):
            yield UnreadableRow(Where(str(path), 1), f"it is nested deeper than {MAX_DEPTH} levels")
            return
        documents = [document for document in yaml.load_all(content, Loader=_Loader) if document is not None]
    except UnicodeDecodeError as error:
        yield not_text(error, path)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        why = f"not YAML: {getattr(error, 'problem', None) or error}"
        yield UnreadableRow(Where(str(path), mark.line + 1 if mark else 1), why)
    except (ValueError, RecursionError) as error:
        yield UnreadableRow(Where(str(path), 1), f"a value cannot be read: {error}")
    else:
        wrappers = (*WRAPPERS, "conversations")
        yield from rows([row for document in documents for row in unwrap(document, wrappers)], path)


def _too_deep(content: str) -> bool:
    depth = 0
    for event in yaml.parse(content, Loader=_Loader):
        depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
        if depth > MAX_DEPTH:
            return True
    return False


READER = Reader(name="yaml", suffixes=(".yaml", ".yml"), lines=False, read=read)
