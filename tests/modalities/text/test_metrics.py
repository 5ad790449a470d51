import math
import random
from functools import lru_cache

import pytest

from tunesmith.modalities.text.metrics import exact_match, longest_common, perplexity, rouge1, rouge2, rouge_l, words


def test_perplexity_is_e_to_the_loss():
    assert perplexity(math.log(8.3)) == pytest.approx(8.3)


def test_a_loss_beyond_all_measure_still_has_a_number():
    assert math.isfinite(perplexity(1e6))


@pytest.mark.parametrize(
    ("answer", "expected", "one", "two", "longest"),
    [
        (
            "The quick brown fox jumps over the lazy dog.", "The fast brown fox leaps over a lazy dog",
            0.666667, 0.25, 0.666667,
        ),
        ("It is 4.", "4", 0.5, 0.0, 0.5),
        ("a b c d e f g", "g f e d c b a", 1.0, 0.0, 0.142857),
        ("robots don't sleep, do they?", "Robots do not sleep. Do they? No!", 0.615385, 0.363636, 0.615385),
        ("the the the cat", "the cat sat on the mat", 0.6, 0.25, 0.4),
        ("", "something", 0.0, 0.0, 0),
        ("nothing alike", "quite other words", 0.0, 0.0, 0.0),
        (
            "one two three four five six seven eight", "two four six eight one three five seven one two",
            0.888889, 0.125, 0.444444,
        ),
        ("Same words, same order", "same words same order", 1.0, 1.0, 1.0),
    ],
)  # fmt: skip
def test_rouge_is_what_the_package_rouge_score_makes_it(
    answer: str, expected: str, one: float, two: float, longest: float
) -> None:
    """The figures are those of rouge-score 0.1.2 without its stemmer."""
    assert rouge1(answer, expected) == pytest.approx(one, abs=1e-6)
    assert rouge2(answer, expected) == pytest.approx(two, abs=1e-6)
    assert rouge_l(answer, expected) == pytest.approx(longest, abs=1e-6)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("Быстрая лиса", ["быстрая", "лиса"]),
        ("机器人 2 号", ["机", "器", "人", "2", "号"]),
        ("sake酒", ["sake", "酒"]),
        ("Straße snake_case", ["strasse", "snake", "case"]),
        ("cafe\u0301", ["café"]),
    ],
)
def test_words_are_found_in_every_script(text: str, found: list[str]) -> None:
    assert words(text) == found


def test_the_longest_common_subsequence_is_that_of_the_textbook() -> None:
    draw = random.Random(0)
    for _ in range(200):
        ours, theirs = ([draw.choice("abcd") for _ in range(draw.randrange(12))] for _ in range(2))

        @lru_cache(None)
        def textbook(
            i: int, j: int, ours: tuple[str, ...] = tuple(ours), theirs: tuple[str, ...] = tuple(theirs)
        ) -> int:
            if not i or not j:
                return 0
            if ours[i - 1] == theirs[j - 1]:
                return textbook(i - 1, j - 1) + 1
            return max(textbook(i - 1, j), textbook(i, j - 1))

        assert longest_common(ours, theirs) == textbook(len(ours), len(theirs))


def test_an_exact_match_forgives_blanks_and_nothing_else() -> None:
    assert exact_match(" It is\n4. ", "It is 4.") == 1
    assert exact_match("It is 4", "It is 4.") == 0
    assert exact_match("it is 4.", "It is 4.") == 0
    assert exact_match("cafe\u0301", "café") == 1
