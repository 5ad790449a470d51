from __future__ import annotations

from tunesmith.modalities.multimodal.metrics import ANSWERS


def test_answers_are_compared_word_for_word_and_by_the_longest_run_that_both_share() -> None:
    assert ANSWERS["exact_match"]("A red  circle.", "A red circle.") == 1
    assert ANSWERS["exact_match"]("a red circle", "a blue circle") == 0
    assert round(ANSWERS["rougeL"]("a red circle", "a blue circle"), 2) == 0.67
