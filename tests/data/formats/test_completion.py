from __future__ import annotations

import pytest

from tunesmith.data.formats.completion import FORMAT
from tunesmith.spec.errors import EmptyRow, Where
from tunesmith.spec.examples import PromptCompletion

WHERE = Where("pairs.jsonl", 1)


def test_recognises_a_prompt_with_its_completion() -> None:
    assert FORMAT.sniff({"prompt": 1, "completion": 1}) > 0
    assert FORMAT.sniff({"prompt": "completion"}) == 0


def test_leaves_both_sides_as_they_stand() -> None:
    row = {"prompt": "One, ", "completion": " two \n"}
    assert list(FORMAT.examples(row, WHERE)) == [PromptCompletion("One, ", " two \n", WHERE)]


def test_names_the_side_that_says_nothing() -> None:
    with pytest.raises(EmptyRow, match="'completion' is empty"):
        list(FORMAT.examples({"prompt": "One", "completion": "\n"}, WHERE))
