"""Takes the path of a recording out of a row."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from tunesmith.data.columns import Row, chosen, text
from tunesmith.spec.errors import MissingColumn, Where, WrongType

COLUMNS: Final = ("audio", "sound", "audio_path", "audio_filepath", "wav")
"""What data sets call the column."""
FILES: Final = ("path", "file_name", "file")
"""What they call the column of any file, which may be a recording."""


def recording(row: Row, where: Where) -> str:
    """Return the path of a row's recording, as it stands there; data sets of a hub keep it below ``path``.

    Raises:
        RowFault: there is no path.
    """
    column = chosen(row, *COLUMNS, *FILES)
    if column not in row:
        raise MissingColumn(column, where, [str(name) for name in row])
    value = row[column]
    if isinstance(value, Mapping):
        if not isinstance(value.get("path"), str):
            raise WrongType(column, where, value, "a recording with its path")
        value, column = value["path"], f"{column}.path"
    return text({column: value}, column, where).strip()
