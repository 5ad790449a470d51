"""Parquet (https://parquet.apache.org), read batch by batch; needs the package pyarrow."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Container, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

from tunesmith.data.compression import Damaged
from tunesmith.data.source_file import SourceFile
from tunesmith.data.sources import RawRow, Reader
from tunesmith.spec.errors import PackageMissing, RowFault, UnreadableRow, Where

if TYPE_CHECKING:
    from pyarrow.parquet import ParquetFile  # type: ignore[import-untyped]

ROWS_AT_ONCE: Final = 256
"""Rows made at a time."""
_BUFFER: Final = 2**20
"""Bytes read at a time of a column, which is otherwise read whole for each group of rows."""
_KEPT_IN_MEMORY: Final = 16 * 2**20


def read(file: SourceFile, wanted: Container[int] | None) -> Iterator[RawRow | RowFault]:
    """Yield every row; groups of rows without a wanted one are not read.

    Raises:
        PackageMissing: pyarrow is not there.
    """
    try:
        from pyarrow import ArrowException  # type: ignore[import-untyped]
    except ImportError as error:
        raise PackageMissing("pyarrow", "parquet") from error
    number = 0
    try:
        with _opened(file) as parquet:
            total, size = parquet.metadata.num_rows, file.size
            for first, group in _groups(parquet, wanted):
                number = first
                batches = parquet.iter_batches(ROWS_AT_ONCE, row_groups=[group], use_threads=False)
                for values in (row for batch in batches for row in batch.to_pylist()):
                    number += 1
                    if wanted is None or number in wanted:
                        yield RawRow(Where(file.name, number), values, size * number // total)
    except Damaged:
        raise
    except (ArrowException, ValueError, OverflowError, OSError) as error:
        if isinstance(error, OSError) and error.errno is not None:
            raise
        yield UnreadableRow(Where(file.name, number + 1), f"not Parquet that can be read: {_first_line(error)}")


def count(file: SourceFile, up_to: int) -> tuple[int, int]:
    """Return how many rows the file says it has; all of it counts as looked at.

    Raises:
        OSError: the file cannot be read, or is no Parquet.
        PackageMissing: pyarrow is not there.
    """
    try:
        from pyarrow import ArrowException
    except ImportError as error:
        raise PackageMissing("pyarrow", "parquet") from error
    try:
        with _opened(file) as parquet:
            return parquet.metadata.num_rows, file.size
    except ArrowException as error:
        raise OSError(f"not Parquet that can be read: {_first_line(error)}") from error


@contextmanager
def _opened(file: SourceFile) -> Iterator[ParquetFile]:
    """Open the file; one that is compressed or in an archive is laid aside first, as its end has to be read first."""
    from pyarrow.parquet import ParquetFile

    with file.open(text=False) as opened:
        if file.member is None and not file.suffixes[1]:
            yield ParquetFile(opened.stream, buffer_size=_BUFFER, pre_buffer=False)
            return
        with tempfile.SpooledTemporaryFile(_KEPT_IN_MEMORY) as aside:
            shutil.copyfileobj(opened.stream, aside)
            aside.seek(0)
            yield ParquetFile(aside, buffer_size=_BUFFER, pre_buffer=False)


def _groups(parquet: ParquetFile, wanted: Container[int] | None) -> Iterator[tuple[int, int]]:
    """Yield how many rows stand before a group, and its number, for each group that is wanted."""
    first = 0
    for group in range(parquet.metadata.num_row_groups):
        rows = parquet.metadata.row_group(group).num_rows
        if wanted is None or any(number in wanted for number in range(first + 1, first + rows + 1)):
            yield first, group
        first += rows


def _first_line(error: Exception) -> str:
    return str(error).strip().split("\n")[0][:200].rstrip(".")


READER = Reader(name="parquet", suffixes=(".parquet",), read=read, skips=True, count=count)
