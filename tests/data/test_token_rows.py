from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tunesmith.data.array_file import ArrayFile
from tunesmith.data.token_rows import EncodedRow, TokenRows

encoded_rows = st.lists(
    st.lists(st.tuples(st.integers(0, 2**31 - 1), st.booleans()), min_size=1, max_size=9).map(
        lambda pairs: EncodedRow([token for token, _ in pairs], [trained for _, trained in pairs])
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


@given(encoded_rows)
def test_reads_back_what_it_saved(tmp_path_factory: pytest.TempPathFactory, rows: list[EncodedRow]) -> None:
    folder = tmp_path_factory.mktemp("rows")
    chosen = TokenRows.of(rows).truncated(3).take(np.arange(len(rows))[::-1])
    chosen.save(folder)
    assert listed(TokenRows.load(folder)) == listed(chosen)


def test_maps_what_it_saved(tmp_path: Path) -> None:
    TokenRows.of([EncodedRow([1, 2], [False, True])]).save(tmp_path)
    assert np.load(tmp_path / "offsets.npy").tolist() == [0, 2]
    ids, _ = TokenRows.load(tmp_path).row(0)
    assert not ids.flags.owndata
    assert not ids.flags.writeable


@given(pieces=st.lists(st.lists(st.integers(-(2**31), 2**31 - 1), max_size=5), max_size=5))
def test_an_array_grows_on_disk(tmp_path_factory: pytest.TempPathFactory, pieces: list[list[int]]) -> None:
    path = tmp_path_factory.mktemp("array") / "a.npy"
    growing = ArrayFile(path, np.int32)
    for piece in pieces:
        growing.extend(np.array(piece, np.int64))
    growing.close()
    assert np.load(path).tolist() == [value for piece in pieces for value in piece]
    assert np.load(path).dtype == np.int32
