"""Runs an encoder over a stream of rows, many at a time where the encoder can do that."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Final, Protocol, runtime_checkable

from tunesmith.data.mixture import ReadRow, characters
from tunesmith.data.token_rows import EncodedRow
from tunesmith.spec.errors import RowFault
from tunesmith.spec.examples import Example

ROWS_AT_ONCE: Final = 512
"""Rows handed to the encoder together, at most."""
CHARACTERS_AT_ONCE: Final = 1 << 20
"""Characters handed to the encoder together, unless a single row has more: tokens take some hundred bytes each."""


class Encoder(Protocol):
    """Turns examples into tokens."""

    @property
    def fingerprint(self) -> str:
        """Changes whenever the same example could be encoded to anything else."""
        ...

    def __call__(self, example: Example) -> list[EncodedRow]:
        """Encode one example, untruncated; raises a ``RowFault`` if it cannot be."""
        ...


@runtime_checkable
class BatchEncoder(Protocol):
    """An encoder that is faster on many examples at once."""

    def encode_many(self, examples: Sequence[Example]) -> list[list[EncodedRow] | RowFault]:
        """Encode each example, or say why it cannot be."""
        ...


def encoded(
    rows: Iterable[ReadRow | RowFault], encoder: Encoder
) -> Iterator[tuple[ReadRow, list[EncodedRow]] | RowFault]:
    """Yield each row with its tokens, in order; faults of reading and of encoding in between."""
    # What is decoded of one picture may take a megabyte, so rows wait for others only where that makes it faster.
    at_once = ROWS_AT_ONCE if isinstance(encoder, BatchEncoder) else 1
    for batch in _batches(rows, at_once):
        yield from _encoded(batch, encoder)


def _batches(rows: Iterable[ReadRow | RowFault], at_once: int) -> Iterator[list[ReadRow | RowFault]]:
    batch: list[ReadRow | RowFault] = []
    size = 0
    for row in rows:
        batch.append(row)
        size += characters(row.example) if isinstance(row, ReadRow) else 0
        if len(batch) >= at_once or size >= CHARACTERS_AT_ONCE:
            yield batch
            batch, size = [], 0
    if batch:
        yield batch


def _encoded(
    batch: Sequence[ReadRow | RowFault], encoder: Encoder
) -> Iterator[tuple[ReadRow, list[EncodedRow]] | RowFault]:
    examples = [row.example for row in batch if isinstance(row, ReadRow)]
    results = iter(encode_many(examples, encoder))
    for row in batch:
        if isinstance(row, RowFault):
            yield row
            continue
        result = next(results)
        yield result if isinstance(result, RowFault) else (row, result)


def encode_many(examples: Sequence[Example], encoder: Encoder) -> list[list[EncodedRow] | RowFault]:
    """Encode each example, or say why it cannot be."""
    if isinstance(encoder, BatchEncoder):
        return encoder.encode_many(examples)
    return [_one(example, encoder) for example in examples]


def _one(example: Example, encoder: Encoder) -> list[EncodedRow] | RowFault:
    try:
        return encoder(example)
    except RowFault as fault:
        fault.__traceback__ = fault.__context__ = None
        return fault
