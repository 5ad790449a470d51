"""OpenAI's shapes, read and rendered."""

from __future__ import annotations

from typing import Any

import pytest

from tunesmith.spec.sampling import Sampling
from tunesmith.spec.errors import BadValue, UnknownKey
from tunesmith.spec.examples import Message
from tunesmith.worker.completions import Renderer, read_request, usage

TURNS = [{"role": "user", "content": "Hi"}]


def test_reads_a_chat_with_the_defaults() -> None:
    request = read_request({"model": "any", "messages": TURNS}, chat=True)
    assert request.prompt == (Message("user", "Hi"),)
    assert request.sampling == Sampling()
    assert not request.stream


def test_reads_sampling_and_both_names_of_the_limit() -> None:
    body = {"messages": TURNS, "temperature": 0.5, "top_p": 0.9, "seed": 7, "stop": "\n", "max_completion_tokens": 9}
    assert read_request(body, chat=True).sampling == Sampling(9, 0.5, 0.9, seed=7, stop=("\n",))
    assert read_request({"messages": TURNS, "max_tokens": 3}, chat=True).sampling.max_tokens == 3


def test_null_means_the_default() -> None:
    assert read_request({"messages": TURNS, "temperature": None, "stop": None}, chat=True).sampling == Sampling()


def test_joins_the_parts_of_a_message() -> None:
    parts = [{"type": "text", "text": "Hel"}, {"type": "text", "text": "lo"}]
    request = read_request({"messages": [{"role": "user", "content": parts}]}, chat=True)
    assert request.prompt == (Message("user", "Hello"),)


def test_reads_a_text_completion() -> None:
    assert read_request({"prompt": "Once"}, chat=False).prompt == "Once"


@pytest.mark.parametrize(
    ("body", "named"),
    [
        ({}, "messages"),
        ({"messages": []}, "messages"),
        ({"messages": ["x"]}, r"messages\[0\]"),
        ({"messages": [{"role": "robot", "content": "x"}]}, r"messages\[0\].role"),
        ({"messages": [{"role": "user", "content": 5}]}, r"messages\[0\].content"),
        ({"messages": [{"role": "user", "content": [{"type": "image_url"}]}]}, r"messages\[0\].content"),
        ({"messages": TURNS, "temperature": "hot"}, "temperature"),
        ({"messages": TURNS, "max_tokens": -1}, "max_tokens"),
        ({"messages": TURNS, "stop": [1]}, "stop"),
        ({"messages": TURNS, "stop": 1}, "stop"),
        ({"messages": TURNS, "n": 2}, "n"),
    ],
)
def test_names_the_value_that_is_wrong(body: dict[str, Any], named: str) -> None:
    with pytest.raises(BadValue, match=named):
        read_request(body, chat=True)


def test_a_key_that_nothing_reads_is_an_error() -> None:
    with pytest.raises(UnknownKey, match="Did you mean 'temperature'"):
        read_request({"messages": TURNS, "temprature": 1}, chat=True)


def test_renders_a_chat_whole_and_in_chunks() -> None:
    renderer = Renderer(read_request({"messages": TURNS}, chat=True), "tiny")
    whole = renderer.whole("Hello", "stop", usage(3, 2))
    assert whole["object"] == "chat.completion"
    assert whole["choices"][0]["message"] == {"role": "assistant", "content": "Hello"}
    assert whole["usage"] == {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5}
    chunks = [renderer.first(), renderer.piece("Hello"), renderer.last("stop")]
    assert [chunk["choices"][0]["delta"] for chunk in chunks if chunk] == [
        {"role": "assistant", "content": ""},
        {"content": "Hello"},
        {},
    ]
    assert {chunk["id"] for chunk in chunks if chunk} == {whole["id"]}


def test_renders_text() -> None:
    renderer = Renderer(read_request({"prompt": "Once"}, chat=False), "tiny")
    assert renderer.first() is None
    assert renderer.whole(" upon", "length", usage(1, 1))["choices"][0]["text"] == " upon"
    assert renderer.piece(" upon")["object"] == "text_completion"
