"""Takes the name of a class out of a row."""

from __future__ import annotations

from tunesmith.data.columns import Row, text
from tunesmith.spec.errors import EmptyRow, Where, WrongType


def label(row: Row, column: str, where: Where) -> str:
    """Return a class: text, a whole number, or true and false, as text.

    Raises:
        RowFault: it is none of these.
    """
    if column not in row or isinstance(row[column], str):
        return text(row, column, where).strip()
    value = row[column]
    if value is None:
        raise EmptyRow(column, where)
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int) or (isinstance(value, float) and value.is_integer()):
        return str(int(value))
    raise WrongType(column, where, value, "one class: text, a whole number, or true or false")
