"""Labelled texts, preferences, and what a model that sees both sides reads."""

from __future__ import annotations

from pathlib import Path

import pytest

from tiny import make_tiny_encoder
from tunesmith.modalities.text.encode import TextEncoder
from tunesmith.spec.errors import KindRefused, Where
from tunesmith.spec.examples import Conversation, LabelledText, Message, PlainText, Preference

HERE = Where("rows.jsonl", 1)


@pytest.fixture(scope="module")
def both_sides(tmp_path_factory: pytest.TempPathFactory) -> TextEncoder:
    return TextEncoder(make_tiny_encoder(tmp_path_factory.mktemp("encoder")))


def test_a_labelled_text_is_what_the_tokenizer_makes_of_it_with_one_thing_to_learn(both_sides: TextEncoder) -> None:
    [row] = both_sides(LabelledText("hello", "ham", HERE))
    assert both_sides.spell(row.ids) == "[CLS]hello[SEP]"
    assert sum(row.mask) == 1
    assert row.mask[1]


def test_special_tokens_of_a_text_are_nothing_to_learn(both_sides: TextEncoder) -> None:
    [row] = both_sides(PlainText("a [MASK] b", HERE))
    learned = [token for token, trained in zip(row.ids, row.mask, strict=True) if trained]
    assert both_sides.spell(learned) == "a  b"
    assert both_sides.covering()[0] in row.ids
    assert both_sides.covering()[0] not in both_sides.covering()[1]


def test_a_model_that_sees_both_sides_takes_no_answers(both_sides: TextEncoder) -> None:
    turns = (Message("user", "hi"), Message("assistant", "hello"))
    with pytest.raises(KindRefused, match=r"rows.jsonl:1: .* sees both sides"):
        both_sides(Conversation(turns, HERE))


@pytest.mark.parametrize("train_on", ["assistant", "all"])
def test_a_preference_is_two_rows_that_differ_in_their_ends(tiny_model: Path, train_on: str) -> None:
    encoder = TextEncoder(tiny_model, train_on=train_on)  # type: ignore[arg-type]
    asked = (Message("user", "tea?"), Message("assistant", "what kind?"), Message("user", "green"))
    better, worse = encoder(
        Preference(asked, (Message("assistant", "gladly"),), (Message("assistant", "never"),), HERE)
    )
    learned = [
        encoder.spell([token for token, trained in zip(row.ids, row.mask, strict=True) if trained])
        for row in (better, worse)
    ]
    assert learned == ["gladly<|im_end|>", "never<|im_end|>"]
    begins = better.mask.index(True)
    assert better.ids[:begins] == worse.ids[:begins]
