"""Everything that can be known of data before it is trained on: what ``tunesmith data check`` prints."""

from __future__ import annotations

from array import array
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from tunesmith.data.encoding import Encoder, encoded
from tunesmith.data.faults import SHOWN, FaultLog, Faults
from tunesmith.data.leakage import gives_itself_away
from tunesmith.data.ledger import Ledger
from tunesmith.data.media import is_sound, named
from tunesmith.data.media.facts import fault_of
from tunesmith.data.mixture import Located, ReadRow, characters, locate, repeats, stream
from tunesmith.data.sides import Sides, choose_sides, divide
from tunesmith.data.token_cache import EXAMPLE, record
from tunesmith.data.token_rows import EncodedRow, TokenRows
from tunesmith.data.trimming import Trimmed, ledger_of, lost_tokens, trim
from tunesmith.spec.errors import FaultyData, RowFault, TooMuchLost
from tunesmith.spec.examples import KINDS, BoxedImage, LabelledImage, LabelledSound, LabelledText
from tunesmith.spec.job import DatasetRef

SPLIT: Final = 0.1
"""Share held out where nobody says another; what a job does that leaves it open."""
_ROWS_AT_ONCE: Final = 4096
_TOKENS_AT_ONCE: Final = 1 << 18
"""Tokens collected before they are counted and forgotten, unless a single row has more."""


@dataclass(frozen=True)
class Settings:
    """How the data would be used."""

    length: int | None = None
    """Tokens at which rows are cut; None: not at all."""
    split: float | None = None
    """Share held out for validation; None: ``SPLIT``, and nothing where it cannot be met."""
    test_split: float = 0.0
    drop_duplicates: bool = False
    seed: int = 42
    length_chosen: bool = False
    """Whether nobody typed ``length``, so that it may not cost much."""


@dataclass(frozen=True)
class Report:
    """What a check found."""

    rows: int
    """Rows that can be used."""
    by_format: dict[str, int]
    kinds: dict[str, int]
    """Rows by the kind of example that they are, as ``DataFacts.kinds`` counts them."""
    media: dict[str, int]
    """Pictures and recordings that the rows name; empty where they name none."""
    faults: Faults
    duplicates: int
    """Rows whose content stands in an earlier row."""
    sides: dict[str, int]
    """Rows that would train, validate and test."""
    leaked: int
    """Rows that would be left out of training, because their twin would validate or test."""
    shared: int
    """Test rows whose twin would validate."""
    given_away: int
    """Rows whose answer stands word for word in what comes before it."""
    given_away_first: list[str]
    """Where the first of them stand."""
    labels: dict[str, int]
    """Rows of each class, the most frequent first; empty where rows have none."""
    lengths: dict[str, int]
    """p50, p95, p99 and max of the rows before any cut."""
    unit: str
    """What ``lengths`` counts: with an encoder tokens, patches of pictures or frames of recordings, else characters."""
    ledger: Ledger | None
    """Only with an encoder."""
    warnings: tuple[str, ...]
    refusal: str
    """Why a run on sound rows would be refused all the same; empty where it would not."""

    @property
    def clean(self) -> bool:
        """Whether there is something to train on, and neither a fault nor a refusal."""
        trained = self.rows > 0 and (self.ledger is None or self.ledger.total.trained > 0)
        return trained and not self.faults.count and not self.refusal

    def as_dict(self) -> dict[str, Any]:
        """Return the report as plain data, for ``--json``."""
        return {
            "clean": self.clean,
            "rows": self.rows,
            "by_format": self.by_format,
            "kinds": self.kinds,
            "media": self.media,
            "faults": self.faults.as_dict(),
            "empty": self.faults.by_code.get("empty_row", 0),
            "duplicates": self.duplicates,
            "sides": self.sides,
            "leaked": self.leaked,
            "shared": self.shared,
            "given_away": {"count": self.given_away, "first": self.given_away_first},
            "labels": self.labels,
            "lengths": {"unit": self.unit, **self.lengths},
            "ledger": self.ledger.as_dict() if self.ledger else None,
            "warnings": list(self.warnings),
            "refusal": self.refusal,
        }


def check(
    datasets: Sequence[DatasetRef],
    encoder: Encoder | None = None,
    settings: Settings = Settings(),
    *,
    strict: bool = False,
    faults_file: Path | None = None,
) -> Report:
    """Read all of the data; with an encoder also find out what a model would make of it.

    Every fault is written to ``faults_file``, if there is one; ``strict`` ends at the first.

    Raises:
        FaultyData: the first fault, under ``strict``.
        DataError: a data set cannot be found, or a typed split cannot be met.
        DiskFull: there is no room for the faults.
    """
    located = locate(datasets)
    tally = _Tally(settings.length)
    with FaultLog(faults_file) as log:
        for row in _encoded(stream(located), encoder):
            if not isinstance(row, RowFault):
                tally.add(*row)
            elif strict:
                raise FaultyData(1, row.message)
            else:
                log.add(row)
        return tally.report(log.finish(), located, settings, tokens=encoder is not None)


class _Tally:
    """Adds up what is asked of each row, and keeps some numbers of it."""

    def __init__(self, length: int | None) -> None:
        self._length = length
        self._by_format: Counter[str] = Counter()
        self._kinds: Counter[str] = Counter()
        self._media: Counter[str] = Counter()
        self._labels: Counter[str] = Counter()
        self._classes: dict[str, int] = {}
        self._given_away: list[str] = []
        self._given_away_count = 0
        self._lengths = array("q")
        self._waiting: list[tuple[int, ...]] = []
        self._sequences: list[EncodedRow] = []
        self._tokens = 0
        self._examples: list[NDArray[Any]] = []
        self._parts: list[Trimmed] = []

    def add(self, row: ReadRow, sequences: Sequence[EncodedRow]) -> None:
        """Add a row; without an encoder it has no sequences and its length is in characters."""
        example = row.example
        self._by_format[row.format] += 1
        self._kinds[KINDS[type(example)]] += 1
        self._media.update("recordings" if is_sound(name) else "pictures" for name in named(example))
        self._lengths.extend([len(sequence.ids) for sequence in sequences] or [characters(example)])
        if isinstance(example, LabelledText | LabelledImage | LabelledSound):
            self._labels[example.label] += 1
        elif isinstance(example, BoxedImage):
            self._labels.update(box.label for box in example.boxes)
        if gives_itself_away(example, row.format):
            self._given_away_count += 1
            if len(self._given_away) < SHOWN:
                self._given_away.append(str(example.where))
        self._waiting.append(record(row, sequences, self._classes))
        self._sequences.extend(replace(each, media=b"") if each.media else each for each in sequences)
        self._tokens += sum(len(sequence.ids) for sequence in sequences)
        if len(self._waiting) >= _ROWS_AT_ONCE or self._tokens >= _TOKENS_AT_ONCE:
            self._count()

    def _count(self) -> None:
        """Turn the rows that wait into numbers."""
        examples, rows = np.array(self._waiting, EXAMPLE), TokenRows.of(self._sequences)
        self._examples.append(examples)
        self._parts.append(trim(rows, examples, self._length).counts())
        self._waiting, self._sequences, self._tokens = [], [], 0

    def report(self, faults: Faults, located: Sequence[Located], settings: Settings, *, tokens: bool) -> Report:
        """Divide the rows as a run would and sum up."""
        self._count()
        examples, trimmed = np.concatenate(self._examples), Trimmed.joined(self._parts)
        self._examples, self._parts = [], []
        sides = _sides(examples, located, settings)
        names = [each.dataset.uri for each in located]
        costly, refusal = _cost(trimmed, sides, examples, settings)
        return Report(
            rows=len(examples),
            by_format=dict(self._by_format.most_common()),
            kinds=dict(self._kinds.most_common()),
            media=dict(self._media),
            faults=faults,
            duplicates=int(repeats(examples["digest"]).sum()),
            sides={side: len(getattr(sides, side)) for side in ("train", "validation", "test")},
            leaked=len(sides.leaked),
            shared=sides.shared,
            given_away=self._given_away_count,
            given_away_first=self._given_away,
            labels=dict(self._labels.most_common()),
            lengths=percentiles(self._lengths),
            unit=self._unit() if tokens else "characters",
            ledger=ledger_of(trimmed, sides, examples, names) if tokens else None,
            warnings=(*(note for each in located for note in each.notes), *sides.warnings, *costly),
            refusal=refusal,
        )

    def _unit(self) -> str:
        return "frames" if "recordings" in self._media else "patches" if self._media else "tokens"


def _cost(trimmed: Trimmed, sides: Sides, examples: NDArray[Any], settings: Settings) -> tuple[list[str], str]:
    """Return the warnings of a length that costs much, or the refusal of one that nobody typed."""
    if settings.length is None:
        return [], ""
    try:
        return lost_tokens(trimmed, sides.train, examples, settings.length, chosen=settings.length_chosen), ""
    except TooMuchLost as error:
        return [], error.message


def _sides(examples: NDArray[Any], located: Sequence[Located], settings: Settings) -> Sides:
    """Divide the rows as a run would; data that only validates or tests may be checked as well."""
    share = SPLIT if settings.split is None else settings.split
    held_out = all(each.dataset.validation or each.dataset.test for each in located)
    if held_out or not len(examples):
        return divide(examples, located, share=share, seed=settings.seed, drop_duplicates=settings.drop_duplicates)
    return choose_sides(
        examples,
        located,
        share=share,
        test=settings.test_split,
        seed=settings.seed,
        typed=settings.split is not None,
        drop_duplicates=settings.drop_duplicates,
        where=", ".join(each.dataset.uri for each in located),
    )


def _encoded(
    rows: Iterable[ReadRow | RowFault], encoder: Encoder | None
) -> Iterator[tuple[ReadRow, list[EncodedRow]] | RowFault]:
    if encoder is not None:
        yield from encoded(rows, encoder)
        return
    for row in rows:
        fault = row if isinstance(row, RowFault) else fault_of(row.example)
        if fault is not None:
            yield fault
        elif isinstance(row, ReadRow):
            yield row, []


def percentiles(lengths: Sequence[int]) -> dict[str, int]:
    """Return p50, p95, p99 and max; all zero where there is nothing."""
    if not len(lengths):
        return {"p50": 0, "p95": 0, "p99": 0, "max": 0}
    found = np.percentile(np.asarray(lengths), [50, 95, 99, 100], method="inverted_cdf")
    return dict(zip(("p50", "p95", "p99", "max"), (int(value) for value in found), strict=True))
