import numpy as np
import torch
from hypothesis import given
from hypothesis import strategies as st

from tunesmith.training.joining import join, pad, shared_prefix

CPU = torch.device("cpu")


def row(ids, trained):
    mask = np.zeros(len(ids), np.uint8)
    mask[len(ids) - trained :] = 1
    return np.array(ids, np.int32), mask


def test_what_all_rows_begin_with_is_computed_once():
    batch = join([row([1, 2, 3, 4, 5], 1), row([1, 2, 3, 9, 8, 7], 2)], CPU)
    assert batch.shared == 3
    assert batch.ids.tolist()[:8] == [1, 2, 3, 4, 5, 9, 8, 7]
    assert batch.positions.tolist()[:8] == [0, 1, 2, 3, 4, 3, 4, 5]
    assert batch.tokens == 11


def test_the_place_that_predicts_the_first_label_is_never_shared():
    assert shared_prefix([row([1, 2, 3], 2), row([1, 2, 3], 2)]) == 0
    assert shared_prefix([row([1, 2, 3, 4], 1), row([1, 2, 3, 4], 1)]) == 2


def test_lengths_are_filled_up_so_that_shapes_repeat():
    batch = join([row([1, 2, 3, 4, 5], 1), row([1, 2, 3, 9, 8, 7], 2)], CPU)
    assert len(batch.ids) == len(batch.positions) == batch.layout.tokens == 64
    assert (batch.tokens, batch.labels) == (11, 3)


def test_a_row_alone_shares_nothing():
    assert shared_prefix([row([1, 2, 3], 1)]) == 0


rows = st.lists(st.lists(st.integers(0, 3), min_size=2, max_size=12), min_size=1, max_size=6)


@given(rows, st.data())
def test_every_label_is_predicted_from_the_token_before_it(ids, data):
    made = [row(one, data.draw(st.integers(1, len(one) - 1))) for one in ids]
    wanted = sorted((int(i[at - 1]), int(i[at]), at - 1) for i, m in made for at in np.flatnonzero(m))
    joined = join(made, CPU)
    at = joined.places
    found = zip(joined.ids[at].tolist(), joined.targets.tolist(), joined.positions[at].tolist(), strict=True)
    assert sorted(found) == wanted
    padded = pad(made, CPU, 0)
    flat = padded.ids.flatten()[padded.places].tolist()
    assert sorted(zip(flat, padded.targets.tolist(), strict=False)) == sorted((a, b) for a, b, _ in wanted)
    assert joined.tokens == padded.tokens == sum(len(one) for one in ids)
    assert joined.labels == padded.labels == len(wanted)
