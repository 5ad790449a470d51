import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from tunesmith.training.batching import draw_seed, micro_batches, step_rows


@given(st.integers(1, 50), st.integers(1, 9), st.integers(0, 3))
def test_an_epoch_takes_every_row_once(rows, batch, seed):
    for epoch in range(2):
        taken = [row for place in range(0, rows, batch) for row in step_rows(rows, batch, seed, epoch, place)]
        assert sorted(taken) == list(range(rows))


def test_epochs_have_different_orders():
    assert step_rows(100, 100, 1, 0, 0) != step_rows(100, 100, 1, 1, 0)


@given(st.lists(st.integers(1, 100), min_size=1, max_size=30), st.integers(1, 200))
def test_micro_batches_hold_every_row_once_within_the_limit(lengths, limit):
    array = np.array(lengths, np.int64)
    parts = micro_batches(range(len(lengths)), array, limit)
    assert sorted(row for part in parts for row in part) == list(range(len(lengths)))
    assert all(len(part) == 1 or array[part].sum() <= limit for part in parts)


def test_random_numbers_differ_by_seed_step_and_part():
    seeds = {draw_seed(s, step, part) for s in (1, 2) for step in (0, 1) for part in ([1, 2], [3])}
    assert len(seeds) == 8
