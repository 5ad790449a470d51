"""What OpenAI's bodies ask for."""

from __future__ import annotations

from typing import Any

import pytest

from tunesmith.generation.asking import Penalties
from tunesmith.spec.errors import BadValue, Contradiction, NotServed, UnknownKey
from tunesmith.spec.examples import Conversation
from tunesmith.spec.sampling import Sampling
from tunesmith.worker.serving.requests import OWN_ADAPTER, Request, read_chat, read_text, seeds

TURNS = [{"role": "user", "content": "Hi"}]
DRAWN = Sampling(temperature=1.0)
CALL = {"id": "call_1", "type": "function", "function": {"name": "add", "arguments": '{"a": 1}'}}
TOOL = {"type": "function", "function": {"name": "add"}}


def chat(**body: Any) -> Request:
    return read_chat({"messages": TURNS, **body})


def said(messages: list[Any]) -> list[tuple[str, str]]:
    [prompt] = chat(messages=messages).prompts
    assert isinstance(prompt, Conversation)
    return [(message.role, message.content) for message in prompt.messages]


def test_what_is_left_out_is_openais_default() -> None:
    request = chat(model="any")
    assert (request.sampling, request.max_tokens, request.n, request.logprobs) == (DRAWN, None, 1, None)
    assert not request.stream
    assert request.adapter == OWN_ADAPTER
    text = read_text({"prompt": "Once"})
    assert (text.prompts, text.max_tokens, text.sampling, text.echo) == (("Once",), 16, DRAWN, False)


def test_null_means_the_default() -> None:
    names = ("temperature", "top_p", "stop", "seed", "n", "max_tokens", "stream", "stream_options", "logprobs", "tools")
    assert chat(**dict.fromkeys(names)) == chat()


def test_reads_everything_that_a_chat_can_ask() -> None:
    request = chat(
        temperature=0.5, top_p=0.9, top_k=5, seed=7, stop=["\n", "END"], max_completion_tokens=9, n=2, logprobs=True,
        top_logprobs=3, stream=True, stream_options={"include_usage": True}, adapter="/a", served_as="tiny",
    )  # fmt: skip
    assert request.sampling == Sampling(temperature=0.5, top_p=0.9, top_k=5, seed=7, stop=("\n", "END"))
    assert (request.max_tokens, request.n, request.logprobs, request.adapter) == (9, 2, 3, "/a")
    assert (request.stream, request.with_usage, request.served_as) == (True, True, "tiny")
    assert chat(adapter=None).adapter is None
    assert chat(logprobs=True).logprobs == 0
    assert chat(stop="x").sampling.stop == ("x",)
    assert chat(max_tokens=3).max_tokens == 3
    assert chat(frequency_penalty=0.5).penalties == Penalties(frequency=0.5)
    assert read_text({"prompt": "x", "presence_penalty": -2}).penalties == Penalties(presence=-2)
    assert chat(frequency_penalty=0, presence_penalty=0.0) == chat()


@pytest.mark.parametrize(
    ("prompt", "prompts"),
    [
        ("Once", ("Once",)),
        (["Once", "Twice"], ("Once", "Twice")),
        ([1, 2], ((1, 2),)),
        ([[1, 2], [3]], ((1, 2), (3,))),
    ],
)
def test_a_text_completion_takes_texts_and_tokens(prompt: object, prompts: object) -> None:
    request = read_text({"prompt": prompt, "max_tokens": 0, "echo": True, "n": 2, "best_of": 2})
    assert (request.prompts, request.max_tokens, request.echo, request.n) == (prompts, 0, True, 2)
    assert read_text({"prompt": prompt, "logprobs": 2}).logprobs == 2


def test_reads_every_role_and_joins_the_parts_of_a_message() -> None:
    parts = [{"type": "text", "text": "Hel"}, {"type": "text", "text": "lo"}]
    messages = [{"role": "developer", "content": "Be kind."}, {"role": "user", "content": parts}]
    assert said(messages) == [("system", "Be kind."), ("user", "Hello")]


def test_an_answer_can_be_sent_back_as_it_came() -> None:
    answer = {"role": "assistant", "content": None, "refusal": None, "tool_calls": [CALL], "annotations": []}
    messages = [*TURNS, answer, {"role": "tool", "content": "2", "tool_call_id": "call_1"}]
    request = chat(messages=messages, tools=[TOOL])
    [prompt] = request.prompts
    assert isinstance(prompt, Conversation)
    assert prompt.messages[1].tool_calls == '[{"name": "add", "arguments": {"a": 1}}]'
    assert prompt.tools == request.tools == '[{"type": "function", "function": {"name": "add"}}]'
    assert chat(tools=[TOOL], tool_choice="none").tools == ""


@pytest.mark.parametrize(
    ("body", "named"),
    [
        ({"messages": None}, "messages"),
        ({"messages": []}, "messages"),
        ({"messages": ["x"]}, "messages[0]"),
        ({"messages": [{"role": "robot", "content": "x"}]}, "messages[0].role"),
        ({"messages": [{"role": ["user"], "content": "x"}]}, "messages[0].role"),
        ({"messages": [{"role": "user", "content": 5}]}, "messages[0].content"),
        ({"messages": [{"role": "user"}]}, "messages[0].content"),
        ({"messages": [{"role": "user", "content": [{"type": "image_url"}]}]}, "messages[0].content"),
        ({"messages": [{"role": "assistant", "tool_calls": [{}]}]}, "messages[0].tool_calls[0]"),
        ({"messages": [{"role": "assistant", "tool_calls": "add"}]}, "messages[0].tool_calls"),
        ({"temperature": "hot"}, "temperature"),
        ({"temperature": -1}, "temperature"),
        ({"temperature": 2.1}, "temperature"),
        ({"temperature": float("nan")}, "temperature"),
        ({"temperature": True}, "temperature"),
        ({"top_p": 1.5}, "top_p"),
        ({"top_k": -1}, "top_k"),
        ({"max_tokens": 0}, "max_tokens"),
        ({"max_completion_tokens": 1.5}, "max_completion_tokens"),
        ({"seed": 2**63}, "seed"),
        ({"stop": [1]}, "stop"),
        ({"stop": ""}, "stop"),
        ({"stop": ["x"] * 17}, "stop"),
        ({"n": 0}, "n"),
        ({"n": 129}, "n"),
        ({"stream": "yes"}, "stream"),
        ({"stream": 1}, "stream"),
        ({"stream_options": {"include_usage": True}}, "stream_options"),
        ({"logprobs": 3}, "logprobs"),
        ({"top_logprobs": 3}, "top_logprobs"),
        ({"logprobs": True, "top_logprobs": 21}, "top_logprobs"),
        ({"tools": {}}, None),
        ({"tools": "add"}, "tools"),
        ({"tools": [{"type": "retrieval"}]}, "tools[0]"),
        ({"tools": [TOOL], "tool_choice": "required"}, "tool_choice"),
        ({"user": 5}, "user"),
        ({"metadata": "x"}, "metadata"),
        ({"adapter": 5}, "adapter"),
    ],
)
def test_names_the_value_that_is_wrong(body: dict[str, Any], named: str | None) -> None:
    if named is None:
        assert chat(**body) == chat()
        return
    with pytest.raises(BadValue) as raised:
        chat(**body)
    assert raised.value.param == named


@pytest.mark.parametrize(
    ("body", "named"),
    [
        ({"prompt": None}, "prompt"),
        ({"prompt": []}, "prompt"),
        ({"prompt": [[]]}, "prompt"),
        ({"prompt": [1, "x"]}, "prompt"),
        ({"prompt": [-1]}, "prompt"),
        ({"prompt": [True]}, "prompt"),
        ({"prompt": "x", "n": 2, "best_of": 3}, "best_of"),
        ({"prompt": ["x"] * 65, "n": 2}, "n"),
        ({"prompt": "x", "logprobs": 6}, "logprobs"),
        ({"prompt": "x", "logprobs": True}, "logprobs"),
    ],
)
def test_names_the_value_that_is_wrong_in_a_text_completion(body: dict[str, Any], named: str) -> None:
    with pytest.raises(BadValue) as raised:
        read_text(body)
    assert raised.value.param == named


def test_a_key_that_nothing_reads_is_an_error() -> None:
    with pytest.raises(UnknownKey, match="Did you mean 'temperature'"):
        chat(temprature=1)
    with pytest.raises(UnknownKey, match="feeling"):
        chat(messages=[{"role": "user", "content": "Hi", "feeling": "good"}])


@pytest.mark.parametrize(
    ("key", "asks", "harmless"),
    [
        ("logit_bias", {"50": 1}, {}),
        ("response_format", {"type": "json_object"}, {"type": "text"}),
        ("store", True, False),
        ("service_tier", "flex", "auto"),
        ("reasoning_effort", "high", None),
        ("functions", [{"name": "add"}], None),
    ],
)
def test_what_is_not_done_is_refused_unless_it_asks_for_nothing(key: str, asks: object, harmless: object) -> None:
    with pytest.raises(NotServed, match=key):
        chat(**{key: asks})
    assert chat(**{key: harmless}) == chat()


def test_two_ways_to_say_the_same_contradict_each_other() -> None:
    with pytest.raises(Contradiction, match="max_completion_tokens"):
        chat(max_tokens=3, max_completion_tokens=4)
    with pytest.raises(Contradiction, match="echo"):
        read_text({"prompt": "x", "echo": True, "logprobs": 1})


def test_every_answer_to_a_prompt_has_a_seed_of_its_own() -> None:
    assert seeds(Sampling(), 2) == [None, None]
    assert seeds(Sampling(seed=5), 3) == [5, 6, 7]
    assert seeds(Sampling(seed=2**63 - 1), 2) == [2**63 - 1, -(2**63)]
