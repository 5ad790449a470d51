"""Text from tokens, up to a stop text."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from scripted_engine import Letters, Said
from tunesmith.generation.asking import Token
from tunesmith.worker.serving.writing import Piece, Writing


def writing(text: str, *stop: str, limit: int = 100) -> Writing:
    return Writing(Said(text, limit), Letters().decode, stop_ids=frozenset({0}), stop=stop)


def spelled(pieces: Sequence[Piece]) -> str:
    return "".join(chr(token.id) for piece in pieces for token in piece.tokens)


def test_gives_each_token_with_the_piece_that_its_text_begins_in() -> None:
    answer = writing("Hi")
    assert [(piece.text, [chr(token.id) for token in piece.tokens]) for piece in answer] == [("H", ["H"]), ("i", ["i"])]
    assert (answer.tokens, answer.finish_reason, answer.prompt_tokens) == (3, "stop", 4)


def test_ends_at_its_limit_and_says_so() -> None:
    answer = writing("Hello", limit=3)
    assert "".join(piece.text for piece in answer) == "Hel"
    assert (answer.tokens, answer.finish_reason) == (3, "length")


@pytest.mark.parametrize(
    ("text", "stop", "given", "reason"),
    [
        ("one two", ("two",), "one ", "stop"),
        ("one two", (" ", "two"), "one", "stop"),
        ("one tw", ("two",), "one tw", "stop"),
        ("one two", ("one",), "", "stop"),
        ("ENDE", ("ENDX", "E"), "", "stop"),
    ],
)
def test_ends_before_a_stop_text(text: str, stop: tuple[str, ...], given: str, reason: str) -> None:
    source = Said(text, 100)
    answer = Writing(source, Letters().decode, stop_ids=frozenset({0}), stop=stop)
    pieces = list(answer)
    assert "".join(piece.text for piece in pieces) == given
    assert spelled(pieces) == given
    assert answer.finish_reason == reason
    assert source.closed.is_set()


def test_holds_back_what_a_stop_text_could_begin_with() -> None:
    assert [piece.text for piece in writing("a END b", "END!")] == ["a", " ", "END ", "b"]


class Halves:
    """Two tokens make one character."""

    def decode(self, ids: Sequence[int]) -> str:
        return bytes(ids).decode(errors="replace")


class Bytes(Said):
    """The bytes of a text as tokens."""

    def __init__(self, text: str) -> None:
        super().__init__("", 0)
        self._left = iter([*text.encode(), 0])  # type: ignore[assignment]


def test_never_cuts_through_a_character() -> None:
    pieces = list(Writing(Bytes("aüß"), Halves().decode, stop_ids=frozenset({0})))
    assert [piece.text for piece in pieces] == ["a", "ü", "ß"]
    assert [[token.id for token in piece.tokens] for piece in pieces] == [[97], list("ü".encode()), list("ß".encode())]


def test_closing_ends_the_computation() -> None:
    source = Said("for ever", 10**6)
    answer = Writing(source, Letters().decode, stop_ids=frozenset({0}))
    assert next(answer).text == "e"
    answer.close()
    assert source.closed.is_set()
    assert list(answer) == []


def test_what_goes_wrong_in_the_middle_is_heard() -> None:
    class Failing(Said):
        def __next__(self) -> Token:
            raise MemoryError

    with pytest.raises(MemoryError):
        next(Writing(Failing("", 1), Letters().decode, stop_ids=frozenset()))
