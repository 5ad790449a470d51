from __future__ import annotations

import numpy as np
import pytest

from tunesmith.data.mixture import Located
from tunesmith.data.sides import Sides, choose_sides
from tunesmith.data.token_cache import EXAMPLE
from tunesmith.spec.errors import NothingTrained, SplitImpossible
from tunesmith.spec.job import DatasetRef

TRAIN, VALIDATION, TEST = (
    DatasetRef(uri="a"),
    DatasetRef(uri="b", validation=True),
    DatasetRef(uri="c", test=True),
)


def divided(
    digests: list[int],
    datasets: list[DatasetRef] | None = None,
    sources: list[int] | None = None,
    *,
    share: float = 0.0,
    test: float = 0.0,
    typed: bool = True,
) -> Sides:
    examples = np.zeros(len(digests), EXAMPLE)
    examples["digest"] = digests
    examples["source"] = sources or 0
    located = [Located(dataset, ()) for dataset in datasets or [TRAIN]]
    return choose_sides(
        examples, located, share=share, test=test, seed=42, typed=typed, drop_duplicates=False, where="data"
    )


def test_a_test_split_takes_nothing_from_validation() -> None:
    without = divided(list(range(100)), share=0.1)
    sides = divided(list(range(100)), share=0.1, test=0.2)
    assert (len(sides.train), len(sides.validation), len(sides.test)) == (70, 10, 20)
    assert sides.validation.tolist() == without.validation.tolist()
    assert sorted([*sides.train, *sides.validation, *sides.test]) == list(range(100))


def test_data_sets_of_a_side_replace_its_share() -> None:
    sides = divided(list(range(6)), [TRAIN, VALIDATION, TEST], [0, 0, 0, 1, 2, 2], share=0.5, test=0.5)
    assert [side.tolist() for side in (sides.train, sides.validation, sides.test)] == [[0, 1, 2], [3], [4, 5]]


def test_a_share_is_of_the_rows_that_no_side_claims() -> None:
    sides = divided(list(range(30)), [TRAIN, TEST], [0] * 20 + [1] * 10, share=0.1)
    assert (len(sides.train), len(sides.validation), sides.test.tolist()) == (18, 2, list(range(20, 30)))


def test_training_drops_twins_of_validation_and_of_test() -> None:
    sides = divided([1, 2, 3, 1, 2], [TRAIN, VALIDATION, TEST], [0, 0, 0, 1, 2])
    assert (sides.train.tolist(), sides.leaked.tolist()) == ([2], [0, 1])


def test_test_rows_that_also_validate_stay_and_are_reported() -> None:
    sides = divided([1, 2, 2, 3], [TRAIN, VALIDATION, TEST], [0, 1, 2, 2])
    assert (sides.validation.tolist(), sides.test.tolist(), sides.shared) == ([1], [2, 3], 1)
    assert sides.warnings == ("1 test rows also stand in validation: the test is that much less independent.",)


def test_a_test_split_that_leaves_no_row_is_an_error() -> None:
    with pytest.raises(SplitImpossible, match=r"--test-split 0\.1 of 5 rows"):
        divided(list(range(5)), test=0.1)


@pytest.mark.parametrize(
    ("datasets", "why"), [([VALIDATION], "all rows are validation or test data"), ([TRAIN], "all rows are held out")]
)
def test_no_row_to_train_on_is_an_error(datasets: list[DatasetRef], why: str) -> None:
    with pytest.raises(NothingTrained, match=why):
        divided(list(range(4)), datasets, share=0.5, test=0.5)


def test_a_default_split_gives_way_and_the_test_stays() -> None:
    sides = divided(list(range(5)), share=0.1, test=0.2, typed=False)
    assert (len(sides.train), len(sides.validation), len(sides.test)) == (4, 0, 1)
    assert sides.warnings == ("5 rows are too few to hold any out: training without validation.",)
