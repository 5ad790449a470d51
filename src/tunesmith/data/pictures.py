"""Takes the paths of pictures out of a row."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from tunesmith.data.columns import Row, chosen, has_any, text
from tunesmith.spec.errors import MissingColumn, UnreadableMedia, Where, WrongType

COLUMNS: Final = ("image", "images", "image_path", "file_name")
"""What data sets call the column."""


def picture(row: Row, where: Where) -> str:
    """Return the path of a row's picture, as it stands there.

    A path is text; data sets of a hub keep it below ``path``, and some write a list of one.

    Raises:
        RowFault: there is no path, or more than one.
    """
    column = chosen(row, *COLUMNS)
    if column not in row:
        raise MissingColumn(column, where, [str(name) for name in row])
    value = row[column]
    if not isinstance(value, list):
        return path(value, column, where)
    if len(value) != 1:
        raise WrongType(column, where, value, "one picture")
    return path(value[0], f"{column}[0]", where)


def pictures(row: Row, where: Where) -> tuple[str, ...] | None:
    """Return the paths of all pictures of a row in their order, none where the column is null; None without a column.

    Raises:
        RowFault: something in the column is no path.
    """
    if not has_any(row, *COLUMNS):
        return None
    column = chosen(row, *COLUMNS)
    value = row[column]
    if isinstance(value, list):
        return tuple(path(each, f"{column}[{place}]", where) for place, each in enumerate(value))
    return () if value is None else (path(value, column, where),)


def path(value: object, column: str, where: Where) -> str:
    """Return the path that a value names; ``column`` is what faults call it.

    Raises:
        RowFault: it is no path, or leads to no file: nothing is downloaded, and no picture is kept in a row.
    """
    if isinstance(value, Mapping):
        if not isinstance(value.get("path"), str):
            raise WrongType(column, where, value, "a picture with its path")
        value, column = value["path"], f"{column}.path"
    name = text({column: value}, column, where).strip()
    kind = name[:8].lower()
    if kind.startswith(("http://", "https://")):
        raise UnreadableMedia(where, name, "pictures are not downloaded; save it beside the rows and name its path")
    if kind.startswith("data:"):
        why = "pictures are not read from within a row; save it as a file beside the rows and name its path"
        raise UnreadableMedia(where, f"a picture in column '{column}'", why)
    return name[len("file://") :] if kind.startswith("file://") else name
