"""From data sets to token rows for training and validation, with the story of every token that is not trained.

What is read and encoded is kept in the token cache; the decisions below it (split, twins, length) are taken on views.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import BinaryIO, Final

import numpy as np

from tunesmith.data import token_cache
from tunesmith.data.encoding import Encoder, encoded
from tunesmith.data.faults import Faults
from tunesmith.data.ledger import Ledger
from tunesmith.data.locks import one_at_a_time
from tunesmith.data.mixture import Located, ReadRow, locate, stream
from tunesmith.data.pruning import lock_of, prune
from tunesmith.data.reread import examples_at
from tunesmith.data.sides import Sides, choose_sides
from tunesmith.data.token_rows import TokenRows
from tunesmith.data.trimming import Trimmed, ledger_of, lost_tokens, trim
from tunesmith.spec.errors import FaultyData, NothingTrained, NoUsableRow, PictureCut, RowFault, SplitImpossible
from tunesmith.spec.examples import Example
from tunesmith.spec.job import DatasetRef

HELD_OUT: Final = 100
"""Validation examples kept as examples: the most that ``Evaluation.test_prompts`` may ask for."""

Progress = Callable[[str, float | None], None]
"""Hears what is going on, and the share that is done where it is known."""


@dataclass(frozen=True)
class PreparedData:
    """Data that is ready to be trained on."""

    train: TokenRows
    validation: TokenRows
    """No rows where there is no validation."""
    test: TokenRows
    """Rows kept for the one evaluation at the end; none where nobody asked for it."""
    labels: list[str]
    """Names of the classes in order; ``TokenRows.labels`` are places in it. Empty where nothing is classified."""
    ledger: Ledger
    faults: Faults
    rows: int
    """Usable rows of all data sets, before any was left out."""
    fingerprint: str
    """Of the files' bytes, how they are read, and the encoder."""
    cached: bool
    """Whether nothing had to be read or encoded."""
    held_out: list[Example]
    """First validation examples, in the order of the split's shuffle."""
    duplicates: int
    """Training rows whose content stands in an earlier training row."""
    leaked: int
    """Training rows left out because their twin is a validation or test row."""
    warnings: list[str]
    """What the user should know, one sentence each."""
    held: BinaryIO
    """Open as long as the rows are used, so that no other run prunes them from the cache."""


def prepare(
    datasets: Sequence[DatasetRef],
    encoder: Encoder,
    *,
    cache_dir: Path,
    cache_limit: float = math.inf,
    length: int | None,
    split: float,
    split_typed: bool,
    test_split: float = 0.0,
    seed: int,
    strict: bool,
    drop_duplicates: bool,
    length_chosen: bool,
    progress: Progress,
) -> PreparedData:
    """Read, check, encode and divide data sets.

    ``split`` is the share of rows held out unless a data set is marked as validation; ``split_typed`` makes a share
    that cannot be met an error; ``test_split`` is the share kept for the end, ``length_chosen`` says that nobody typed
    ``length``, so that it may not cost much. After something was added to the cache, its oldest entries beyond
    ``cache_limit`` bytes are removed.

    Raises:
        DataError: the data cannot be used as it is.
        DiskFull: there is no room for the token cache.
    """
    located = locate(datasets)
    passed_over = [note for each in located for note in each.notes]
    entry, key, cached = cached_entry(located, encoder, cache_dir, progress)
    if not cached:
        prune(cache_dir, cache_limit)
    where = ", ".join(dataset.uri for dataset in datasets)
    _refuse_faulty(entry, located, strict=strict, where=where)
    progress("Dividing rows", None)
    sides = choose_sides(
        entry.examples,
        located,
        share=split,
        test=test_split,
        seed=seed,
        typed=split_typed,
        drop_duplicates=drop_duplicates,
        where=where,
    )
    labels, rows = labelled(entry)
    trimmed = trim(rows, entry.examples, length)
    train, validation, test = map(trimmed.of, (sides.train, np.sort(sides.validation), np.sort(sides.test)))
    _refuse_cut_pictures(trimmed, where, length)
    _refuse_nothing(trimmed, train, where, length)
    cut = [] if length is None else lost_tokens(trimmed, sides.train, entry.examples, length, chosen=length_chosen)
    _refuse_lost_test(sides, test, datasets, length)
    return PreparedData(
        train=train,
        validation=validation,
        test=test,
        labels=labels,
        ledger=ledger_of(trimmed, sides, entry.examples, [each.dataset.uri for each in located]),
        faults=entry.faults,
        rows=len(entry.examples),
        fingerprint=f"{key}{entry.media}",
        cached=cached,
        held_out=examples_at(located, entry.examples[sides.validation[:HELD_OUT]]),
        duplicates=sides.duplicates,
        leaked=len(sides.leaked),
        warnings=[*passed_over, *sides.warnings, *cut, *_lost_validation(sides, validation, split, typed=split_typed)],
        held=entry.held,
    )


def cached_entry(
    located: Sequence[Located], encoder: Encoder, cache_dir: Path, progress: Progress
) -> tuple[token_cache.Entry, str, bool]:
    """Return the tokens of data sets, their key in the cache, and whether they were there already."""
    files = [file.name for each in located for file in each.files]
    progress("Looking into the token cache", None)
    key = token_cache.key(located, encoder.fingerprint)
    folder = cache_dir / key
    entry = token_cache.opened(folder, files)
    if entry is not None:
        return entry, key, True
    cache_dir.mkdir(parents=True, exist_ok=True)
    with one_at_a_time(lock_of(folder), lambda: progress("Waiting for another run that reads the same data", None)):
        entry = token_cache.opened(folder, files)
        if entry is not None:
            return entry, key, True
        _write(folder, files, located, encoder, progress)
        entry = token_cache.opened(folder, files)
    if entry is None:
        raise OSError(f"{folder}: what was just written cannot be read back")
    return entry, key, False


def _write(
    folder: Path, files: Sequence[str], located: Sequence[Located], encoder: Encoder, progress: Progress
) -> None:
    with token_cache.writing(folder, files) as writer:
        for row in encoded(_watched(located, progress), encoder):
            if isinstance(row, RowFault):
                writer.add_fault(row)
            else:
                writer.add(*row)


def _watched(located: Sequence[Located], progress: Progress) -> Iterator[ReadRow | RowFault]:
    """Pass rows on and say every now and then how much of the files' bytes is read."""
    sizes = [file.size for each in located for file in each.files]
    before = np.cumsum([0, *sizes])
    for number, row in enumerate(stream(located)):
        if number % 1000 == 0 and isinstance(row, ReadRow):
            progress("Reading and tokenising", float((before[row.file] + row.position) / max(before[-1], 1)))
        yield row
    progress("Reading and tokenising", 1.0)


def labelled(entry: token_cache.Entry) -> tuple[list[str], TokenRows]:
    """Return the classes in order (numbers as numbers), and the rows with theirs.

    The classes of boxes stay in the order of data.yaml or of COCO's categories.
    """
    if not entry.labels:
        return [], entry.rows
    if not (np.asarray(entry.examples["label"]) >= 0).any():  # Boxes have classes, pictures with boxes have none.
        numbers = all(in_order(name)[0] is False for name in entry.labels)
        return sorted(entry.labels, key=in_order) if numbers else list(entry.labels), entry.rows
    order = sorted(entry.labels, key=in_order)
    place_of = {name: place for place, name in enumerate(order)}
    places = np.array([*(place_of[name] for name in entry.labels), -1], np.int64)
    own = places[np.asarray(entry.examples["label"])]
    return order, replace(entry.rows, labels=np.repeat(own, np.asarray(entry.examples["sequences"])))


def in_order(name: str) -> tuple[bool, int, str]:
    """Sort key of a class: numbers first and by size, then names."""
    number = name.isascii() and name.isdigit() and len(name) < 19
    return not number, int(name) if number else 0, name


def _refuse_faulty(entry: token_cache.Entry, located: Sequence[Located], *, strict: bool, where: str) -> None:
    first = entry.faults.first[0].message if entry.faults.first else ""
    if strict and entry.faults.count:
        raise FaultyData(entry.faults.count, first)
    if not len(entry.examples):
        raise NoUsableRow(where, entry.faults.count, first)
    for number, each in enumerate(located):
        if (each.dataset.validation or each.dataset.test) and not (entry.examples["source"] == number).any():
            raise NoUsableRow(each.dataset.uri, entry.faults.count, first)


def _refuse_cut_pictures(trimmed: Trimmed, where: str, length: int | None) -> None:
    """Refuse a length that would cut a picture's tokens, of which a model must see all or none."""
    rows = trimmed.rows
    if length is None or rows.media is None:
        return
    cut = [int(row) for row in np.flatnonzero(rows.lengths < trimmed.lengths) if rows.media.sizes[row]]
    needed = [whole for row in cut if (whole := int(rows.media[row].facts.get("whole", 0))) > rows.lengths[row]]
    if needed:
        raise PictureCut(where, length, len(needed), max(needed))


def _refuse_nothing(trimmed: Trimmed, train: TokenRows, where: str, length: int | None) -> None:
    if len(train):
        return
    if not trimmed.trained.any():
        raise NothingTrained(where, "every token is masked")
    raise NothingTrained(where, f"a length of {length} tokens cuts every answer off")


def _lost_validation(sides: Sides, validation: TokenRows, split: float, *, typed: bool) -> list[str]:
    if len(validation) or not len(sides.validation):
        return []
    if typed:
        raise SplitImpossible(split, len(sides.train) + len(sides.validation))
    return ["No validation row keeps a token to train at this length: training without validation."]


def _refuse_lost_test(sides: Sides, test: TokenRows, datasets: Sequence[DatasetRef], length: int | None) -> None:
    """Refuse a test, which somebody asked for, of which nothing is left."""
    if len(sides.test) and not len(test):
        where = ", ".join([each.uri for each in datasets if each.test] or [each.uri for each in datasets])
        raise NothingTrained(where, f"a length of {length} tokens cuts every answer of the test rows off")
