from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from itertools import groupby
from pathlib import Path

import pytest

from tunesmith.data.token_rows import EncodedRow
from tunesmith.modalities.text.encode import TextEncoder
from tunesmith.spec.errors import KindRefused, Where
from tunesmith.spec.examples import CaptionedImage, Conversation, Example, ImageQuestion, Message, Preference

WHERE = Where("calls.jsonl", 7)
Models = Callable[[str], Path]

TOOLS = json.dumps([{"type": "function", "function": {"name": "weather", "parameters": {}}}])
CALL = json.dumps([{"name": "weather", "arguments": {"city": "Rome"}}])
TALK = (
    Message("user", "Rome?"),
    Message("assistant", "", tool_calls=CALL),
    Message("tool", "sunny"),
    Message("assistant", "It is sunny."),
)
BLOCK = '<tool_call>\n{"name": "weather", "arguments": {"city": "Rome"}}\n</tool_call>'


def trained(encoder: TextEncoder, row: EncodedRow) -> list[str]:
    """The stretches of text that are trained."""
    stretches = groupby(zip(row.ids, row.mask, strict=True), key=lambda each: each[1])
    return [encoder.spell([token for token, _ in stretch]) for is_trained, stretch in stretches if is_trained]


@pytest.mark.parametrize(
    ("kind", "call", "answer"),
    [
        ("qwen tools", f"{BLOCK}<|im_end|>", "It is sunny.<|im_end|>"),
        ("chatml", f"{BLOCK}<|im_end|>", "It is sunny.<|im_end|>"),
        ("alternates", f" {BLOCK}</s>", " It is sunny.</s>"),
        ("none", f" {BLOCK}<|endoftext|>", " It is sunny.<|endoftext|>"),
    ],
)
def test_trains_the_calls_and_what_is_said(text_model: Models, kind: str, call: str, answer: str) -> None:
    encoder = TextEncoder(text_model(kind))
    [row] = encoder(Conversation(TALK, WHERE, TOOLS))
    assert trained(encoder, row) == [call, answer]
    assert "weather" in encoder.spell(row.ids[: row.mask.index(True)])


def test_trains_calls_where_tools_stand_before_the_last_question_alone(text_model: Models) -> None:
    encoder = TextEncoder(text_model("mistral tools"))
    [row] = encoder(Conversation(TALK, WHERE, TOOLS))
    called = '[TOOL_CALLS] [{"name": "weather", "arguments": {"city": "Rome"}}]</s>'
    assert trained(encoder, row) == [called, " It is sunny.</s>"]
    rows = encoder(Conversation((*TALK, Message("user", "Again?"), *TALK[1:]), WHERE, TOOLS))
    assert [trained(encoder, row) for row in rows] == [[called], [" It is sunny.</s>"]] * 2
    assert [encoder.spell(row.ids).index("[AVAILABLE_TOOLS]") == 3 for row in rows] == [True, True, False, False]


def test_leaves_out_a_call_that_shall_not_be_trained(text_model: Models) -> None:
    encoder = TextEncoder(text_model("qwen tools"))
    talk = (TALK[0], replace(TALK[1], train=False), *TALK[2:])
    [row] = encoder(Conversation(talk, WHERE, TOOLS))
    assert trained(encoder, row) == ["It is sunny.<|im_end|>"]


def test_trains_the_call_at_the_end_of_a_conversation(text_model: Models) -> None:
    encoder = TextEncoder(text_model("qwen tools"))
    [row] = encoder(Conversation(TALK[:2], WHERE, TOOLS))
    assert trained(encoder, row) == [f"{BLOCK}<|im_end|>"]


def test_tells_both_answers_of_a_preference_of_the_tools(text_model: Models) -> None:
    encoder = TextEncoder(text_model("qwen tools"))
    rows = encoder(Preference(TALK[:1], TALK[1:2], (Message("assistant", "No."),), WHERE, TOOLS))
    assert [trained(encoder, row) for row in rows] == [[f"{BLOCK}<|im_end|>"], ["No.<|im_end|>"]]
    assert all("# Tools" in encoder.spell(row.ids) for row in rows)


def test_asks_for_an_answer_with_exactly_the_tokens_that_precede_it(text_model: Models) -> None:
    for kind in ["qwen tools", "chatml", "mistral tools", "alternates"]:
        encoder = TextEncoder(text_model(kind))
        [row] = encoder(Conversation(TALK[:2], WHERE, TOOLS))
        assert encoder.prompt(Conversation(TALK[:1], WHERE, TOOLS)) == row.ids[: row.mask.index(True)]


@pytest.mark.parametrize(
    "example", [CaptionedImage("a.png", "A cat.", WHERE), ImageQuestion("a.png", "Who?", "A cat.", WHERE)]
)
def test_a_text_model_refuses_pictures_and_says_what_reads_them(text_model: Models, example: Example) -> None:
    with pytest.raises(KindRefused, match=r"calls\.jsonl:7: a picture .* Train a multimodal model") as caught:
        TextEncoder(text_model("chatml"))(example)
    assert caught.value.exit_code == 65
