from __future__ import annotations

import pytest

from tunesmith.modalities.audio.metrics import errors, plain


@pytest.mark.parametrize(
    ("said", "heard", "words", "characters"),
    [
        ("Activated.", "activated", (0, 1), (0, 9)),
        ("press one now", "press won", (2, 3), (6, 13)),
        ("press one", "please press one", (1, 2), (7, 9)),
        ("press one", "", (2, 2), (9, 9)),
        ("...", "press one", (2, 0), (9, 0)),
        ("Don't!", "dont", (1, 1), (1, 5)),
    ],
)
def test_wrong_words_and_characters_are_counted(
    said: str, heard: str, words: tuple[int, int], characters: tuple[int, int]
) -> None:
    found = errors(said, heard)
    assert (found.wrong_words, found.words) == words
    assert (found.wrong_characters, found.characters) == characters


def test_punctuation_and_case_are_not_heard() -> None:
    assert plain("  “Don’t,” she said:\n NO-one! ") == "don't she said no one"
    assert plain("Straße, cafe\u0301") == "strasse café"
