"""YAML: a list of rows, an object around one, or a single row. Only plain data is built (safe loading)."""

from __future__ import annotations

from collections.abc import Container, Iterator
from typing import Final

import yaml

from tunesmith.data.source_file import SourceFile
from tunesmith.data.sources import RawRow, Reader
from tunesmith.data.wrapped import WRAPPERS, content_of, rows, unwrap
from tunesmith.spec.errors import RowFault, UnreadableRow, Where

MAX_DEPTH: Final = 100
"""Deepest nesting; libyaml's loader overruns the stack somewhere beyond 5,000."""
FREE_NODES: Final = 100_000
"""Values that aliases may unfold to at any ratio."""
MAX_UNFOLDED: Final = 100
"""Most values that one written value may become by aliases; short rows that share one list of tools reach about 50."""

_Loader: Final = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


def read(file: SourceFile, wanted: Container[int] | None) -> Iterator[RawRow | RowFault]:
    """Yield every row of every document in the file."""
    content = content_of(file)
    if isinstance(content, UnreadableRow):
        yield content
        return
    try:
        if why := _refused(content):
            yield UnreadableRow(Where(file.name, 1), why)
            return
        documents = [document for document in yaml.load_all(content, Loader=_Loader) if document is not None]
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        why = f"not YAML: {getattr(error, 'problem', None) or error}"
        yield UnreadableRow(Where(file.name, mark.line + 1 if mark else 1), why)
    except (ValueError, RecursionError) as error:
        yield UnreadableRow(Where(file.name, 1), f"a value cannot be read: {error}")
    else:
        wrappers = (*WRAPPERS, "conversations")
        yield from rows([row for document in documents for row in unwrap(document, wrappers)], file)


def _refused(content: str) -> str:
    """Return why a text is not loaded; empty where nothing speaks against it. Aliases unfold where rows are walked."""
    counts: dict[str, int] = {}
    open_: list[tuple[str | None, int]] = [(None, 0)]
    written = 0
    for event in yaml.parse(content, Loader=_Loader):
        written += 1
        if isinstance(event, yaml.CollectionStartEvent):
            open_.append((event.anchor, 1))
            if len(open_) - 1 > MAX_DEPTH:
                return f"it is nested deeper than {MAX_DEPTH} levels"
            continue
        if isinstance(event, yaml.AliasEvent):
            if event.anchor in (anchor for anchor, _ in open_):
                return f"'*{event.anchor}' stands inside of what it means"
            anchor, count = None, counts.get(event.anchor or "", 1)
        elif isinstance(event, yaml.CollectionEndEvent):
            anchor, count = open_.pop()
        elif isinstance(event, yaml.ScalarEvent):
            anchor, count = event.anchor, 1
        else:
            continue
        if anchor is not None:
            counts[anchor] = count
        around, so_far = open_[-1]
        open_[-1] = (around, so_far + count)
        if so_far + count > max(FREE_NODES, MAX_UNFOLDED * written):
            return f"its aliases unfold to more than {MAX_UNFOLDED} times what is written"
    return ""


READER = Reader(name="yaml", suffixes=(".yaml", ".yml"), read=read)
