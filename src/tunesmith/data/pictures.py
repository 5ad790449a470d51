"""Takes the path of a picture out of a row."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from tunesmith.data.columns import Row, chosen, text
from tunesmith.spec.errors import MissingColumn, Where, WrongType

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
    if isinstance(value, list):
        if len(value) != 1:
            raise WrongType(column, where, value, "one picture")
        value, column = value[0], f"{column}[0]"
    if isinstance(value, Mapping):
        if not isinstance(value.get("path"), str):
            raise WrongType(column, where, value, "a picture with its path")
        value, column = value["path"], f"{column}.path"
    return text({column: value}, column, where).strip()
