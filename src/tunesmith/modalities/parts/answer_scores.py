"""How surprised a model is, and how its answers are compared with those that were expected; light."""

from __future__ import annotations

import math
import re
import unicodedata
from collections import Counter
from collections.abc import Sequence
from itertools import pairwise
from typing import Final

LARGEST = 700.0
"""Loss beyond which the perplexity would not fit into a float."""
_APART: Final = "\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\U00020000-\U0003ffff"
"""Characters of scripts that put no space between words: Thai to Lao, Burmese, Khmer, Japanese and Chinese."""
_WORD: Final = re.compile(rf"[{_APART}]|(?:(?![{_APART}])[^\W_])+")
"""A word is letters and digits in a row; each character of ``_APART`` is a word of its own."""


def perplexity(loss: float) -> float:
    """Return e to the mean loss in nats: between how many tokens the model hesitates on average."""
    return math.exp(min(loss, LARGEST))


def exact_match(answer: str, expected: str) -> float:
    """Return 1 where both say the same, letter by letter, whatever the blanks and line ends between words; else 0."""
    return float(_plain(answer).split() == _plain(expected).split())


def rouge1(answer: str, expected: str) -> float:
    """Return the F1 of the words that both share (ROUGE-1, https://aclanthology.org/W04-1013)."""
    return _f1_of_counts(Counter(words(answer)), Counter(words(expected)))


def rouge2(answer: str, expected: str) -> float:
    """Return the F1 of the pairs of neighbouring words that both share (ROUGE-2)."""
    return _f1_of_counts(Counter(pairwise(words(answer))), Counter(pairwise(words(expected))))


def rouge_l(answer: str, expected: str) -> float:
    """Return the F1 of the longest run of words that both hold in this order, gaps allowed (ROUGE-L)."""
    ours, theirs = words(answer), words(expected)
    return _f1(longest_common(ours, theirs), len(ours), len(theirs))


SCORES: Final = {"exact_match": exact_match, "rouge1": rouge1, "rouge2": rouge2, "rougeL": rouge_l}
"""What compares an answer with the expected one, 0 to 1 each, by the metric's name."""


def words(text: str) -> list[str]:
    """Return the words of a text in small letters."""
    return _WORD.findall(_plain(text).casefold())


def longest_common(ours: Sequence[str], theirs: Sequence[str]) -> int:
    """Return the length of the longest common subsequence.

    Bit by bit in whole numbers, one step for each word of ``theirs`` (Hyyrö 2004, "Bit-parallel LCS-length computation
    revisited"): two long answers take milliseconds.
    """
    places: dict[str, int] = {}
    for place, word in enumerate(ours):
        places[word] = places.get(word, 0) | 1 << place
    full = (1 << len(ours)) - 1
    row = full
    for word in theirs:
        matched = row & places.get(word, 0)
        row = ((row + matched) | (row - matched)) & full
    return len(ours) - row.bit_count()


def _plain(text: str) -> str:
    return unicodedata.normalize("NFC", text)


def _f1_of_counts(
    ours: Counter[str] | Counter[tuple[str, str]], theirs: Counter[str] | Counter[tuple[str, str]]
) -> float:
    return _f1((ours & theirs).total(), ours.total(), theirs.total())  # type: ignore[operator]


def _f1(shared: int, ours: int, theirs: int) -> float:
    return 2 * shared / (ours + theirs) if shared else 0.0
