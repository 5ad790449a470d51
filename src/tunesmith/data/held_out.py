"""Rows to measure a model on: those that its own training held out, or others, without any that it was trained on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, Final, Literal

import numpy as np
from numpy.typing import NDArray

from tunesmith.data.encoding import Encoder
from tunesmith.data.mixture import Located, locate
from tunesmith.data.prepare import Progress, cached_entry, labelled
from tunesmith.data.reread import examples_at
from tunesmith.data.sides import Sides, choose_sides
from tunesmith.data.token_rows import Indices, TokenRows
from tunesmith.data.trimming import trim
from tunesmith.spec.examples import Example
from tunesmith.spec.job import DatasetRef

Digests = NDArray[np.uint64]

NONE_TRAINED: Final[Digests] = np.zeros(0, np.uint64)
"""Digests of the training of a model of which none is known."""


@dataclass(frozen=True)
class Split:
    """How a training divided its rows."""

    share: float
    test: float
    typed: bool
    """Whether the user asked for the share."""
    seed: int
    drop_duplicates: bool


@dataclass(frozen=True)
class Measurable:
    """Examples to measure on, with their rows of tokens."""

    examples: list[Example]
    rows: TokenRows
    owners: Indices
    """(rows) Place of each row's example."""
    labels: list[str]
    """Classes in order, where rows have one; ``rows.labels`` are places in it."""
    side: Literal["test", "validation", "given"]
    found: int
    """Examples that there are, whether they are taken or not."""
    trained_on: int
    """Examples left out because equal ones were trained on."""
    held: BinaryIO
    """Open as long as the rows are used, so that nobody prunes them from the cache."""


def held_out(
    datasets: Sequence[DatasetRef],
    encoder: Encoder,
    split: Split,
    *,
    cache_dir: Path,
    length: int | None,
    limit: int,
    seed: int,
    trained: Digests,
    progress: Progress,
) -> Measurable:
    """Return the test rows of a training, else its validation rows, without those in ``trained``; none if it has none.

    Raises:
        DataError: the data cannot be used any more.
    """
    located = locate(datasets)
    entry, _, _ = cached_entry(located, encoder, cache_dir, progress)
    sides = _sides(entry.examples, located, split)
    side: Literal["test", "validation"] = "test" if len(sides.test) else "validation"
    candidates = sides.test if len(sides.test) else sides.validation
    return _measurable(entry, located, candidates, side, length=length, limit=limit, seed=seed, trained=trained)


def given(
    datasets: Sequence[DatasetRef],
    encoder: Encoder,
    *,
    cache_dir: Path,
    length: int | None,
    limit: int,
    seed: int,
    trained: Digests,
    progress: Progress,
) -> Measurable:
    """Return rows of data sets, whatever side they are marked for, without those in ``trained``.

    Raises:
        DataError: the data cannot be used.
    """
    located = locate(datasets)
    entry, _, _ = cached_entry(located, encoder, cache_dir, progress)
    candidates = np.arange(len(entry.examples))
    return _measurable(entry, located, candidates, "given", length=length, limit=limit, seed=seed, trained=trained)


def trained_digests(
    datasets: Sequence[DatasetRef], encoder: Encoder, split: Split, *, cache_dir: Path, progress: Progress
) -> Digests:
    """Return the digests of the examples that a training with this split was trained on.

    Raises:
        DataError: the data cannot be used any more.
    """
    located = locate(datasets)
    entry, _, _ = cached_entry(located, encoder, cache_dir, progress)
    found: Digests = np.unique(np.asarray(entry.examples["digest"])[_sides(entry.examples, located, split).train])
    return found


def _sides(examples: NDArray[Any], located: Sequence[Located], split: Split) -> Sides:
    where = ", ".join(each.dataset.uri for each in located)
    return choose_sides(
        examples, located, share=split.share, test=split.test, seed=split.seed, typed=split.typed,
        drop_duplicates=split.drop_duplicates, where=where,
    )  # fmt: skip


def _measurable(
    entry: Any,
    located: Sequence[Located],
    candidates: Indices,
    side: Literal["test", "validation", "given"],
    *,
    length: int | None,
    limit: int,
    seed: int,
    trained: Digests,
) -> Measurable:
    """Take ``limit`` of the candidates by the seed, in an order of the seed's, that keep something to predict."""
    known = np.isin(np.asarray(entry.examples["digest"])[candidates], trained)
    fresh = np.sort(candidates[~known])
    labels, tokens = labelled(entry)
    trimmed = trim(tokens, entry.examples, length)
    useful = np.concatenate([np.zeros(1, np.int64), np.cumsum(trimmed.useful)])
    fresh = fresh[useful[trimmed.first[fresh + 1]] > useful[trimmed.first[fresh]]]
    chosen = fresh[np.random.RandomState(seed).permutation(len(fresh))[:limit]]
    rows, owners = [], []
    for place, example in enumerate(chosen):
        own = np.arange(trimmed.first[example], trimmed.first[example + 1])
        own = own[trimmed.useful[own]]
        rows.append(own)
        owners.append(np.full(len(own), place))
    numbers = np.concatenate([np.zeros(0, np.int64), *rows])
    return Measurable(
        examples_at(located, entry.examples[chosen]),
        trimmed.rows.take(numbers),
        np.concatenate([np.zeros(0, np.int64), *owners]),
        labels,
        side,
        len(fresh),
        int(known.sum()),
        entry.held,
    )
