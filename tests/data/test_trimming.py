from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tunesmith.data.kinds import COMPLETION, CONVERSATION, LABEL, PREFERENCE, TEXT
from tunesmith.data.mixture import Located
from tunesmith.data.sides import divide
from tunesmith.data.token_cache import EXAMPLE
from tunesmith.data.token_rows import EncodedRow, TokenRows
from tunesmith.data.trimming import Trimmed, ledger_of, trim
from tunesmith.spec.job import DatasetRef

Sequences = list[EncodedRow]


def row(size: int, trained_from: int = 1) -> EncodedRow:
    return EncodedRow(list(range(size)), [place >= trained_from for place in range(size)])


def trimmed(examples: list[tuple[int, Sequences]], length: int | None) -> Trimmed:
    records = np.zeros(len(examples), EXAMPLE)
    records["kind"] = [kind for kind, _ in examples]
    records["sequences"] = [len(sequences) for _, sequences in examples]
    return trim(TokenRows.of(sequence for _, sequences in examples for sequence in sequences), records, length)


def tokens(found: Trimmed, example: int) -> list[list[int]]:
    rows = found.of(np.array([example]))
    return [rows.row(place)[0].tolist() for place in range(len(rows))]


@pytest.mark.parametrize(
    ("size", "length", "pieces"),
    [
        (9, 4, [[0, 1, 2, 3], [4, 5, 6], [7, 8]]),
        (8, 4, [[0, 1, 2, 3], [4, 5, 6, 7]]),
        (3, 4, [[0, 1, 2]]),
        (4, 4, [[0, 1, 2, 3]]),
        (5, None, [[0, 1, 2, 3, 4]]),
    ],
)
def test_running_text_is_cut_in_pieces(size: int, length: int | None, pieces: list[list[int]]) -> None:
    assert tokens(trimmed([(TEXT, [row(size)])], length), 0) == pieces


def test_everything_else_is_cut_off() -> None:
    for kind in (CONVERSATION, COMPLETION, LABEL):
        assert tokens(trimmed([(kind, [row(9)])], 4), 0) == [[0, 1, 2, 3]]


@given(size=st.integers(2, 60), length=st.integers(3, 20))
def test_no_token_of_running_text_is_lost_and_all_but_the_first_of_a_piece_are_trained(size: int, length: int) -> None:
    found = trimmed([(TEXT, [row(size)]), (CONVERSATION, [row(5)])], length)
    rows = found.of(np.array([0]))
    assert [token for piece in tokens(found, 0) for token in piece] == list(range(size))
    assert rows.lengths.max() <= length
    assert (rows.trained() == rows.lengths - 1).all()
    assert rows.trained().all()


def test_a_better_and_a_worse_answer_stay_or_go_together() -> None:
    long, short = row(9, trained_from=7), row(6, trained_from=4)
    found = trimmed([(PREFERENCE, [long, short]), (PREFERENCE, [short, short]), (CONVERSATION, [long, short])], 6)
    assert [len(tokens(found, example)) for example in range(3)] == [0, 2, 1]


def test_rows_keep_the_order_of_their_examples() -> None:
    found = trimmed([(TEXT, [row(5)]), (PREFERENCE, [row(3), row(2)])], 3)
    assert found.of(np.array([1, 0])).lengths.tolist() == [3, 2, 3, 2]


kinds = st.sampled_from([CONVERSATION, COMPLETION, TEXT, LABEL, PREFERENCE])
masked = st.lists(st.booleans(), min_size=1, max_size=12).map(
    lambda mask: EncodedRow([7] * len(mask), [False, *mask[1:]])
)
any_example = kinds.flatmap(
    lambda kind: st.tuples(
        st.just(kind),
        st.lists(masked, min_size=2, max_size=2)
        if kind == PREFERENCE
        else st.lists(masked, min_size=0, max_size=1 if kind in (TEXT, LABEL) else 3),
    )
)


@given(
    examples=st.lists(st.tuples(any_example, st.integers(0, 2), st.integers(0, 8)), min_size=1, max_size=12),
    length=st.none() | st.integers(1, 9),
    share=st.floats(0, 0.5),
    test=st.floats(0, 0.4),
    drop=st.booleans(),
)
def test_every_token_of_the_training_side_is_booked_once(
    examples: list[tuple[tuple[int, Sequences], int, int]],
    length: int | None,
    share: float,
    test: float,
    drop: bool,
) -> None:
    records = np.zeros(len(examples), EXAMPLE)
    records["kind"] = [kind for (kind, _), _, _ in examples]
    records["sequences"] = [len(sequences) for (_, sequences), _, _ in examples]
    records["source"] = [source for _, source, _ in examples]
    records["digest"] = [digest for _, _, digest in examples]
    rows = TokenRows.of(sequence for (_, sequences), _, _ in examples for sequence in sequences)
    found = trim(rows, records, length)
    located = [Located(DatasetRef(uri=name), ()) for name in "abc"]
    sides = divide(records, located, share=share, test=test, seed=1, drop_duplicates=drop)
    ledger = ledger_of(found, sides, records, "abc")
    sizes = np.array([sum(len(sequence.ids) for sequence in sequences) for (_, sequences), _, _ in examples])
    training = np.concatenate([sides.train, sides.leaked, sides.dropped_duplicates])
    for entry in ledger.sources:
        own = training[records["source"][training] == "abc".index(entry.name)]
        assert entry.tokens == sizes[own].sum()
    kept = found.of(sides.train)
    assert ledger.total.trained == kept.trained().sum()
    assert ledger.total.trained + ledger.total.context + ledger.total.repeated == kept.tokens
    assert len(training) + len(sides.validation) + len(sides.test) == len(examples)
    assert Trimmed.joined([found.counts()]).rows.lengths.tolist() == found.rows.lengths.tolist()
    assert ledger_of(Trimmed.joined([found.counts()]), sides, records, "abc") == ledger
