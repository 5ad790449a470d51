"""Which examples train and which validate: the split, twins across it, duplicates within training."""

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
    leaked: Indices
    """Left out of training, because their twin validates."""
    dropped_duplicates: Indices
    """Left out of training, because their twin stands in an earlier row."""
    duplicates: int
    """Training rows with a twin in an earlier one, left out or not."""
    warnings: tuple[str, ...] = ()


def choose_sides(
    examples: NDArray[Any],
    located: Sequence[Located],
    *,
    share: float,
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
    fixed = any(each.dataset.validation for each in located)
    sides = divide(examples, located, share=share, seed=seed, drop_duplicates=drop_duplicates)
    if len(sides.train) and (len(sides.validation) or fixed or share == 0):
        return sides
    if not len(sides.train) and (fixed or typed):
        why = "every training row also stands in the validation rows" if len(sides.leaked) else "all rows validate"
        raise NothingTrained(where, why)
    if typed:
        raise SplitImpossible(share, len(examples))
    why = "too few to hold any out" if len(sides.train) else "too alike to hold any out"
    sides = divide(examples, located, share=0, seed=seed, drop_duplicates=drop_duplicates)
    return replace(sides, warnings=(f"{len(examples)} rows are {why}: training without validation.",))


def divide(
    examples: NDArray[Any], located: Sequence[Located], *, share: float, seed: int, drop_duplicates: bool
) -> Sides:
    """Divide examples, whatever comes of it; validation data sets are taken instead of a share where there are any."""
    digests = np.asarray(examples["digest"])
    validating = np.array([each.dataset.validation for each in located], dtype=np.bool_)
    if validating.any():
        chosen = validating[np.asarray(examples["source"])]
        train, validation = np.flatnonzero(~chosen), np.flatnonzero(chosen)
    else:
        train, validation = split(len(examples), share, seed)
    twin = np.isin(digests[train], digests[validation])
    leaked, train = train[twin], train[~twin]
    repeated = repeats(digests[train])
    dropped = train[repeated & drop_duplicates]
    return Sides(train[~(repeated & drop_duplicates)], validation, leaked, dropped, int(repeated.sum()))
