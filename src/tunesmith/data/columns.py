"""Takes values out of a row's columns, or says what is wrong with them."""

from __future__ import annotations

from collections.abc import Mapping

from tunesmith.spec.errors import EmptyRow, MissingColumn, UnreadableRow, Where, WrongType

Row = Mapping[str, object]
"""One row as it stands in the file: column name -> value."""


def text(row: Row, column: str, where: Where) -> str:
    """Return a column that must hold text that says something.

    Raises:
        MissingColumn: the row lacks the column.
        EmptyRow: it is null or blank.
        WrongType: it is not text.
        UnreadableRow: it holds bytes that are not UTF-8.
    """
    if column not in row:
        raise MissingColumn(column, where, [str(name) for name in row])
    value = optional_text(row, column, where)
    if not value:
        raise EmptyRow(column, where)
    return value


def optional_text(row: Row, column: str, where: Where) -> str:
    """Return a column's text; an empty string if it is missing, null or blank."""
    value = row.get(column)
    if value is None:
        return ""
    if not isinstance(value, str):
        raise WrongType(column, where, value, "text")
    return "" if value.isspace() else encodable(value, column, where)


def encodable(value: str, column: str, where: Where) -> str:
    """Return the text unless it holds half a surrogate pair, which no tokenizer takes."""
    if value.isascii():
        return value
    try:
        value.encode()
    except UnicodeEncodeError as error:
        raise UnreadableRow(where, f"column '{column}' is not valid UTF-8 at character {error.start + 1}") from None
    return value


def chosen(row: Row, *columns: str) -> str:
    """Return the first of some columns that the row has; the first of all if it has none, so that faults name it."""
    return next((column for column in columns if column in row), columns[0])


def has(row: Row, *columns: str) -> bool:
    """Say whether the row has every one of some columns."""
    return all(column in row for column in columns)


def has_any(row: Row, *columns: str) -> bool:
    """Say whether the row has at least one of some columns."""
    return any(column in row for column in columns)


def has_only(row: Row, *columns: str) -> bool:
    """Say whether the row has no column but these."""
    return all(name in columns for name in row)
