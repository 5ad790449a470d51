"""Calls of tools, found in what a model writes."""

from __future__ import annotations

import json

import pytest

from scripted_engine import Echo
from tunesmith.worker.serving.endpoints import ENDPOINTS, Completion

TOOLS = [{"type": "function", "function": {"name": "add", "parameters": {"type": "object"}}}]


def answered(text: str, **body: object) -> Completion:
    asked = {"messages": [{"role": "user", "content": text}], "tools": TOOLS, **body}
    reply = ENDPOINTS["POST", "/v1/chat/completions"](Echo(), asked)
    assert isinstance(reply, Completion)
    return reply


@pytest.mark.parametrize(
    ("text", "said", "calls"),
    [
        ('<tool_call>\n{"name": "add", "arguments": {"a": 1}}\n</tool_call>', None, [{"a": 1}]),
        ('I add. <tool_call>{"name": "add", "arguments": {"a": 1}}</tool_call>', "I add. ", [{"a": 1}]),
        ('{"name": "add", "parameters": {"a": 1}}', None, [{"a": 1}]),
        ('[{"name": "add", "arguments": {}}, {"name": "add", "arguments": {"b": 2}}]', None, [{}, {"b": 2}]),
        ('<tool_call>{"name": "add", "arguments": {"a": 1}}', None, [{"a": 1}]),
        ('<tool_call>{"name": "other", "arguments": {}}</tool_call>', None, []),
        ("<tool_call>no JSON</tool_call>", None, []),
        ('{"name": "add"}', None, []),
        ("a < b and <tool", None, []),
        ("plain", None, []),
    ],
)
def test_finds_what_was_offered_and_leaves_the_rest_as_it_is(
    text: str, said: str | None, calls: list[dict[str, int]]
) -> None:
    [choice] = answered(text).whole()["choices"]
    message = choice["message"]
    assert message["content"] == (said if calls else text)
    found = message.get("tool_calls", [])
    assert [json.loads(call["function"]["arguments"]) for call in found] == calls
    assert {call["function"]["name"] for call in found} <= {"add"}
    assert choice["finish_reason"] == ("tool_calls" if calls else "stop")


def test_a_stream_says_first_and_calls_then() -> None:
    reply = answered('I add. <tool_call>{"name": "add", "arguments": {"a": 1}}</tool_call>', stream=True)
    assert reply.chunks is not None
    chunks = [chunk["choices"][0] for chunk in reply.chunks()]
    assert "".join(chunk["delta"].get("content") or "" for chunk in chunks) == "I add. "
    [call] = [chunk["delta"]["tool_calls"] for chunk in chunks if "tool_calls" in chunk["delta"]]
    assert (call[0]["index"], call[0]["function"]["name"]) == (0, "add")
    assert [chunk["finish_reason"] for chunk in chunks if chunk["finish_reason"]] == ["tool_calls"]


def test_without_tools_nothing_is_a_call() -> None:
    text = '{"name": "add", "arguments": {}}'
    for body in ({"tools": []}, {"tool_choice": "none"}):
        [choice] = answered(text, **body).whole()["choices"]
        assert (choice["message"]["content"], choice["finish_reason"]) == (text, "stop")
