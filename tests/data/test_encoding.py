from __future__ import annotations

from collections.abc import Sequence

import pytest

from data.byte_encoder import ByteEncoder
from tunesmith.data import encoding
from tunesmith.data.encoding import encoded
from tunesmith.data.mixture import ReadRow
from tunesmith.data.token_rows import EncodedRow
from tunesmith.spec.errors import EmptyRow, RowFault, Where
from tunesmith.spec.examples import Conversation, Example, Message, PlainText


class Batches(ByteEncoder):
    """Remembers how many examples came at once."""

    def __init__(self) -> None:
        super().__init__()
        self.sizes: list[int] = []

    def encode_many(self, examples: Sequence[Example]) -> list[list[EncodedRow] | RowFault]:
        self.sizes.append(len(examples))
        return encoding.encode_many(examples, ByteEncoder())


def row(text: str, number: int = 1) -> ReadRow:
    return ReadRow(PlainText(text, Where("a", number)), "text", 0, 0, 0)


@pytest.mark.parametrize(
    ("lengths", "sizes"), [([1] * 7, [3, 3, 1]), ([5, 5, 5], [2, 1]), ([30, 1, 1], [1, 2]), ([1, 30, 1], [2, 1])]
)
def test_hands_on_a_bounded_number_of_rows_and_characters(
    monkeypatch: pytest.MonkeyPatch, lengths: list[int], sizes: list[int]
) -> None:
    monkeypatch.setattr(encoding, "ROWS_AT_ONCE", 3)
    monkeypatch.setattr(encoding, "CHARACTERS_AT_ONCE", 10)
    encoder = Batches()
    found = list(encoded([row("x" * length) for length in lengths], encoder))
    assert encoder.sizes == sizes
    assert len(found) == len(lengths)


def test_faults_keep_their_place_between_the_rows() -> None:
    refused = Conversation((Message("user", "refuse me"), Message("assistant", "b")), Where("a", 2))
    rows = [row("a"), ReadRow(refused, "openai", 0, 0, 0), EmptyRow("text", Where("a", 3)), row("b", 4)]
    found = list(encoded(rows, Batches()))
    assert [each.where.row if isinstance(each, RowFault) else each[0].example.where.row for each in found] == [
        1,
        2,
        3,
        4,
    ]
    assert [isinstance(each, RowFault) for each in found] == [False, True, True, False]
