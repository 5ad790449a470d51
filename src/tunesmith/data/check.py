"""Everything that can be known of data before it is trained on: what ``tunesmith data check`` prints."""

from __future__ import annotations

from array import array
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from tunesmith.data import faults as plain
from tunesmith.data.encoding import Encoder, encoded
from tunesmith.data.ledger import Ledger
from tunesmith.data.mixture import ReadRow, digest, locate, repeats, stream
from tunesmith.data.sides import divide
from tunesmith.data.token_cache import EXAMPLE
from tunesmith.data.token_rows import EncodedRow, TokenRows
from tunesmith.data.trimming import Trimmed, ledger_of
from tunesmith.spec.errors import RowFault
from tunesmith.spec.examples import Conversation, Example, PlainText
from tunesmith.spec.job import DatasetRef

SPLIT: Final = 0.1
"""Share held out when twins across the split are counted; what a job does that leaves it open."""


@dataclass(frozen=True)
class Report:
    """What a check found."""

    rows: int
    """Rows that can be used."""
    by_format: dict[str, int]
    faults: list[RowFault]
    duplicates: int
    """Rows whose content stands in an earlier row."""
    leaked: int
    """Rows that would be left out of training, because their twin would validate."""
    lengths: dict[str, int]
    """p50, p95, p99 and max of the rows."""
    unit: str
    """What ``lengths`` counts: tokens with an encoder, else characters."""
    ledger: Ledger | None
    """Of a run with no length limit; only with an encoder."""

    def as_dict(self) -> dict[str, Any]:
        """Return the report as plain data, for ``--json``."""
        return {
            "rows": self.rows,
            "by_format": self.by_format,
            "faults": [plain.as_dict(fault) for fault in self.faults],
            "duplicates": self.duplicates,
            "leaked": self.leaked,
            "lengths": {"unit": self.unit, **self.lengths},
            "ledger": self.ledger.as_dict() if self.ledger else None,
        }


def check(datasets: Sequence[DatasetRef], encoder: Encoder | None = None, *, seed: int = 42) -> Report:
    """Read all of the data; with an encoder also find out what a model would make of it.

    Raises:
        DataError: a data set cannot be found.
    """
    located = locate(datasets)
    tally = _Tally()
    for row in _encoded(stream(located), encoder):
        if isinstance(row, RowFault):
            tally.faults.append(row)
        else:
            tally.add(*row)
    examples = np.array(tally.examples, EXAMPLE)
    sides = divide(examples, located, share=SPLIT, seed=seed, drop_duplicates=False)
    names = [dataset.uri for dataset in datasets]
    return Report(
        rows=len(examples),
        by_format=dict(tally.by_format),
        faults=tally.faults,
        duplicates=int(repeats(examples["digest"]).sum()),
        leaked=len(sides.leaked),
        lengths=percentiles(tally.lengths),
        unit="tokens" if encoder else "characters",
        ledger=ledger_of(tally.untrimmed(examples), sides, examples, names) if encoder else None,
    )


class _Tally:
    """Adds up what is asked of each row, and keeps no row."""

    def __init__(self) -> None:
        self.by_format: Counter[str] = Counter()
        self.faults: list[RowFault] = []
        self.examples: list[tuple[int, ...]] = []
        self.lengths, self.trained = array("q"), array("q")

    def add(self, row: ReadRow, sequences: Sequence[EncodedRow]) -> None:
        """Add a row; without an encoder it has no sequences and its length is in characters."""
        self.by_format[row.format] += 1
        self.examples.append((digest(row.example), row.example.where.row, row.file, row.source, len(sequences), 0))
        self.lengths.extend([len(sequence.ids) for sequence in sequences] or [characters(row.example)])
        self.trained.extend(sum(sequence.mask) for sequence in sequences)

    def untrimmed(self, examples: NDArray[Any]) -> Trimmed:
        """Stand for the rows of tokens that were counted."""
        lengths, trained = np.array(self.lengths, np.int64), np.array(self.trained, np.int64)
        counted = TokenRows(np.zeros(0, np.int32), np.zeros(0, np.uint8), np.zeros(len(lengths), np.int64), lengths)
        first = np.concatenate([[0], np.cumsum(examples["sequences"], dtype=np.int64)])
        return Trimmed(counted, lengths, trained, trained, first)


def _encoded(
    rows: Iterable[ReadRow | RowFault], encoder: Encoder | None
) -> Iterator[tuple[ReadRow, list[EncodedRow]] | RowFault]:
    if encoder is not None:
        yield from encoded(rows, encoder)
        return
    for row in rows:
        yield row if isinstance(row, RowFault) else (row, [])


def characters(example: Example) -> int:
    """Count what a row says."""
    if isinstance(example, Conversation):
        return sum(len(message.content) for message in example.messages)
    return len(example.text) if isinstance(example, PlainText) else len(example.prompt) + len(example.completion)


def percentiles(lengths: Sequence[int]) -> dict[str, int]:
    """Return p50, p95, p99 and max; all zero where there is nothing."""
    if not len(lengths):
        return {"p50": 0, "p95": 0, "p99": 0, "max": 0}
    found = np.percentile(np.asarray(lengths), [50, 95, 99, 100], method="inverted_cdf")
    return dict(zip(("p50", "p95", "p99", "max"), (int(value) for value in found), strict=True))
