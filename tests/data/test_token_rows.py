from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tunesmith.data import token_rows
from tunesmith.data.array_file import ArrayFile
from tunesmith.data.media.payload import pack
from tunesmith.data.token_rows import EncodedRow, TokenRows

encoded_rows = st.lists(
    st.lists(st.tuples(st.integers(0, 2**31 - 1), st.booleans()), min_size=1, max_size=9).map(
        lambda pairs: EncodedRow([token for token, _ in pairs], [False, *(trained for _, trained in pairs[1:])])
    ),
    min_size=1,
    max_size=9,
)


def listed(rows: TokenRows) -> list[tuple[list[int], list[bool]]]:
    return [(ids.tolist(), mask.astype(bool).tolist()) for ids, mask in map(rows.row, range(len(rows)))]


@given(encoded_rows)
def test_holds_the_rows_that_it_was_made_of(rows: list[EncodedRow]) -> None:
    held = TokenRows.of(rows)
    assert listed(held) == [(row.ids, row.mask) for row in rows]
    assert held.tokens == sum(len(row.ids) for row in rows)
    assert held.trained().tolist() == [sum(row.mask) for row in rows]


@given(rows=encoded_rows, data=st.data(), length=st.integers(1, 10))
def test_cuts_and_chooses_without_copying(rows: list[EncodedRow], data: st.DataObject, length: int) -> None:
    order = data.draw(st.lists(st.integers(0, len(rows) - 1), max_size=12))
    held = TokenRows.of(rows)
    chosen = held.truncated(length).take(np.array(order, np.int64))
    assert listed(chosen) == [(rows[place].ids[:length], rows[place].mask[:length]) for place in order]
    assert chosen.trained().tolist() == [sum(rows[place].mask[:length]) for place in order]
    assert chosen.ids is held.ids


def test_a_row_may_begin_inside_another_but_its_first_token_is_never_trained() -> None:
    held = TokenRows.of([EncodedRow([1, 2, 3, 4], [False, True, True, True])])
    part = TokenRows(held.ids, held.mask, np.array([2]), np.array([2]))
    assert listed(part) == [([3, 4], [False, True])]
    assert part.trained().tolist() == [1]
    assert held.trained().tolist() == [3]


def test_rows_keep_their_classes_however_they_are_chosen() -> None:
    held = TokenRows.of([EncodedRow([1, 2], [False, True]) for _ in range(3)])
    chosen = replace(held, labels=np.array([2, 0, 1])).truncated(1).take(np.array([2, 0]))
    assert chosen.labels is not None
    assert chosen.labels.tolist() == [1, 2]


def test_counts_many_rows_piece_by_piece(monkeypatch: pytest.MonkeyPatch) -> None:
    rows = TokenRows.of([EncodedRow([1] * size, [False] + [True] * (size - 1)) for size in range(1, 60)])
    whole = rows.trained()
    monkeypatch.setattr(token_rows, "_TOKENS_AT_ONCE", 7)
    assert rows.trained().tolist() == whole.tolist() == list(range(59))


def test_maps_files(tmp_path: Path) -> None:
    for name, values in (("ids", [1, 2, 3]), ("mask", [0, 1, 0]), ("offsets", [0, 2, 3]), ("media_offsets", [0, 0, 0])):
        np.save(tmp_path / f"{name}.npy", np.array(values))
    np.save(tmp_path / "media.npy", np.array([], np.uint8))
    rows = TokenRows.load(tmp_path)
    assert listed(rows) == [([1, 2], [False, True]), ([3], [False])]
    assert not rows.ids.flags.owndata
    assert not rows.ids.flags.writeable
    assert rows.media is None


def test_rows_keep_what_is_decoded_of_their_pictures_however_they_are_chosen() -> None:
    pictures = [np.full((2, 3, 3), number, np.uint8) for number in range(3)]
    held = TokenRows.of(
        [EncodedRow([0, 0], [False, True], pack({"number": n}, [each])) for n, each in enumerate(pictures)]
    )
    chosen = held.take(np.array([2, 0]))
    assert chosen.media is not None
    found = [chosen.media[row] for row in range(2)]
    assert [each.facts for each in found] == [{"number": 2}, {"number": 0}]
    assert [each.arrays[0].tolist() for each in found] == [pictures[2].tolist(), pictures[0].tolist()]


@given(pieces=st.lists(st.lists(st.integers(-(2**31), 2**31 - 1), max_size=5), max_size=5))
def test_an_array_grows_on_disk(tmp_path_factory: pytest.TempPathFactory, pieces: list[list[int]]) -> None:
    path = tmp_path_factory.mktemp("array") / "a.npy"
    growing = ArrayFile(path, np.int32)
    for piece in pieces:
        growing.extend(np.array(piece, np.int64))
    growing.close()
    assert np.load(path).tolist() == [value for piece in pieces for value in piece]
    assert np.load(path).dtype == np.int32
