"""Which examples train, validate and test: the split, twins across it, duplicates within training."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tunesmith.data.mixture import Located, repeats, split
from tunesmith.data.token_rows import Indices
from tunesmith.spec.errors import NothingTrained, SplitImpossible


@dataclass(frozen=True)
class Sides:
    """Numbers of examples, divided."""

    train: Indices
    """In the order of the data."""
    validation: Indices
    """In the order of the split's shuffle, or of the validation data sets."""
    test: Indices
    """In the order of the split's shuffle, or of the test data sets."""
    leaked: Indices
    """Left out of training, because their twin validates or tests."""
    dropped_duplicates: Indices
    """Left out of training, because their twin stands in an earlier row."""
    duplicates: int
    """Training rows with a twin in an earlier one, left out or not."""
    shared: int
    """Test rows whose twin validates; both stay."""
    warnings: tuple[str, ...] = ()


def choose_sides(
    examples: NDArray[Any],
    located: Sequence[Located],
    *,
    share: float,
    test: float,
    seed: int,
    typed: bool,
    drop_duplicates: bool,
    where: str,
) -> Sides:
    """Divide the examples of a token cache entry; a ``share`` that nobody typed gives way where it cannot be met.

    Raises:
        SplitImpossible: a typed share leaves one side empty.
        NothingTrained: no training row is left.
    """
    given = _given(examples, located)
    free = int((given == _TRAIN).sum())
    validated, tested = (any(getattr(each.dataset, role) for each in located) for role in ("validation", "test"))
    if free and test and not tested and int(free * test) == 0:
        raise SplitImpossible(test, free, "--test-split")
    sides = divide(examples, located, share=share, test=test, seed=seed, drop_duplicates=drop_duplicates)
    if len(sides.train) and (len(sides.validation) or validated or share == 0):
        return _with_warning(sides)
    if len(sides.train) and typed:
        raise SplitImpossible(share, free)
    if not len(sides.train) and (validated or typed or share == 0):
        raise NothingTrained(where, _why_nothing(sides, validated or tested))
    why = "too few to hold any out" if len(sides.train) else "too alike to hold any out"
    sides = divide(examples, located, share=0, test=test, seed=seed, drop_duplicates=drop_duplicates)
    if not len(sides.train):
        raise NothingTrained(where, _why_nothing(sides, tested))
    without = f"{len(examples)} rows are {why}: training without validation."
    return replace(_with_warning(sides), warnings=(without, *_with_warning(sides).warnings))


_TRAIN, _VALIDATE, _TEST = range(3)


def _given(examples: NDArray[Any], located: Sequence[Located]) -> Indices:
    """Return the side on which each example's data set stands."""
    sides = [_VALIDATE if each.dataset.validation else _TEST if each.dataset.test else _TRAIN for each in located]
    given: Indices = np.array(sides, np.int64)[np.asarray(examples["source"])]
    return given


def _why_nothing(sides: Sides, given: bool) -> str:
    if len(sides.leaked):
        return "every training row also stands in the rows held out"
    return "all rows are validation or test data" if given else "all rows are held out"


def _with_warning(sides: Sides) -> Sides:
    if not sides.shared:
        return sides
    sentence = f"{sides.shared} test rows also stand in validation: the test is that much less independent."
    return replace(sides, warnings=(sentence,))


def divide(
    examples: NDArray[Any],
    located: Sequence[Located],
    *,
    share: float,
    test: float = 0.0,
    seed: int,
    drop_duplicates: bool,
) -> Sides:
    """Divide examples, whatever comes of it; data sets of a side are taken instead of its share where there are any."""
    digests, given = np.asarray(examples["digest"]), _given(examples, located)
    free, validation, testing = (np.flatnonzero(given == side) for side in (_TRAIN, _VALIDATE, _TEST))
    share = 0.0 if any(each.dataset.validation for each in located) else share
    test = 0.0 if any(each.dataset.test for each in located) else test
    train, validating, tested = (free[part] for part in split(len(free), share, seed, test=test))
    validation, testing = np.concatenate([validation, validating]), np.concatenate([testing, tested])
    twin = np.isin(digests[train], digests[np.concatenate([validation, testing])])
    leaked, train = train[twin], train[~twin]
    repeated = repeats(digests[train])
    dropped = train[repeated & drop_duplicates]
    return Sides(
        train[~(repeated & drop_duplicates)],
        validation,
        testing,
        leaked,
        dropped,
        int(repeated.sum()),
        int(np.isin(digests[testing], digests[validation]).sum()),
    )
