"""What each field of a request changes of what the model is asked."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from tunesmith.api.model_server.fields import STOPS, Generate, asked
from tunesmith.api.model_server.modes import MODES, ModeName
from tunesmith.service.serving.pool import CHAT, COMPLETIONS
from tunesmith.spec.errors import TunesmithError

TALK = [{"role": "user", "content": "Hello"}]


def body(talks: bool = True, **fields: Any) -> dict[str, Any]:
    return asked(Generate.model_validate({"prompt": "Hello"} | fields), talks=talks)[1]


def test_the_documented_defaults() -> None:
    drawn = {"temperature": 0.7, "max_tokens": 4096, "top_p": 0.9, "top_k": 50}
    assert asked(Generate(prompt="Hello"), talks=True) == (CHAT, {"messages": TALK, **drawn})


@pytest.mark.parametrize(
    ("field", "value", "name"),
    [
        ("temperature", 0.0, "temperature"),
        ("max_tokens", 7, "max_tokens"),
        ("top_p", 0.5, "top_p"),
        ("top_k", 0, "top_k"),
        ("stop_sequences", ["\n"], "stop"),
        ("seed", 3, "seed"),
    ],
)
def test_each_field_reaches_the_model(field: str, value: Any, name: str) -> None:
    assert body(**{field: value})[name] == value
    assert body().get(name) != value


def test_messages_are_a_conversation() -> None:
    path, sent = asked(Generate.model_validate({"messages": TALK}), talks=False)
    assert (path, sent["messages"]) == (CHAT, TALK)


def test_auto_continues_where_the_model_holds_no_conversations() -> None:
    path, sent = asked(Generate(prompt="Once"), talks=False)
    assert (path, sent["prompt"]) == (COMPLETIONS, "Once")
    assert asked(Generate(prompt="Once", mode=ModeName.CHAT), talks=False)[0] == CHAT
    assert asked(Generate(prompt="Once", mode=ModeName.COMPLETE), talks=True)[0] == COMPLETIONS


def test_no_two_modes_ask_alike() -> None:
    ways = {name: asked(Generate(prompt="Hello", mode=name), talks=False) for name in MODES}
    assert len({repr(way) for way in ways.values()}) == len(MODES)


@pytest.mark.parametrize("name", [name for name, mode in MODES.items() if mode.opening])
def test_a_mode_puts_its_words_before_the_prompt_and_yields_to_what_is_typed(name: ModeName) -> None:
    sent = body(mode=name)
    assert sent["messages"][0]["content"] == MODES[name].opening + "Hello"
    assert sent["temperature"] == MODES[name].temperature
    assert body(mode=name, temperature=0.7)["temperature"] == 0.7


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({}, "prompt"),
        ({"prompt": " "}, "prompt"),
        ({"prompt": "x", "messages": TALK}, "contradict"),
        ({"messages": TALK, "mode": "complete"}, "contradict"),
    ],
)
def test_what_cannot_be_asked_is_one_sentence(fields: dict[str, Any], said: str) -> None:
    with pytest.raises(TunesmithError, match=said):
        asked(Generate.model_validate(fields), talks=True)


@pytest.mark.parametrize(
    "fields",
    [
        {"temperature": -0.1},
        {"temperature": 2.1},
        {"max_tokens": 0},
        {"max_tokens": 200_000},
        {"top_p": 1.1},
        {"top_k": -1},
        {"stop_sequences": ["x"] * (STOPS + 1)},
        {"stop_sequences": [""]},
        {"mode": "image"},
        {"messages": []},
        {"messages": [{"role": "tool", "content": "x"}]},
        {"image_data": "aGVsbG8="},
    ],
)
def test_values_that_a_field_cannot_have_are_refused(fields: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        Generate.model_validate(fields)
