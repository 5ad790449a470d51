from __future__ import annotations

import json
from typing import Any

import pytest

from tunesmith.data.formats.function_calling import FORMAT
from tunesmith.spec.errors import EmptyRow, MissingColumn, RowFault, Where, WrongType
from tunesmith.spec.examples import Conversation, Message

WHERE = Where("calls.jsonl", 2)
FUNCTION = {"name": "weather", "description": "Tells it.", "parameters": {"type": "object", "properties": {}}}
TOOLS = json.dumps([{"type": "function", "function": FUNCTION}])
CALL = json.dumps([{"name": "weather", "arguments": {"city": "Rome"}}])
ASK = {"role": "user", "content": "Rome?"}


def read(**row: Any) -> Conversation:
    assert FORMAT.sniff(row)
    [example] = FORMAT.examples(row, WHERE)
    assert isinstance(example, Conversation)
    return example


def calling(**call: Any) -> dict[str, Any]:
    return {"role": "assistant", "content": None, "tool_calls": [{"id": "1", "type": "function", "function": call}]}


CALLED = (
    Message("user", "Rome?"),
    Message("assistant", "", tool_calls=CALL),
    Message("tool", "sunny"),
    Message("assistant", "It is sunny."),
)
ANSWERED = [
    {"role": "tool", "tool_call_id": "1", "content": "sunny"},
    {"role": "assistant", "content": "It is sunny."},
]


@pytest.mark.parametrize("tools", [[{"type": "function", "function": FUNCTION}], [FUNCTION], FUNCTION, TOOLS])
@pytest.mark.parametrize("arguments", [{"city": "Rome"}, '{"city": "Rome"}'])
def test_reads_tools_and_calls_as_openai_writes_them(tools: Any, arguments: Any) -> None:
    messages = [ASK, calling(name="weather", arguments=arguments), *ANSWERED]
    assert read(messages=messages, tools=tools) == Conversation(CALLED, WHERE, TOOLS)


def test_reads_the_older_functions() -> None:
    call = {"role": "assistant", "content": None, "function_call": {"name": "weather", "arguments": '{"city": "Rome"}'}}
    messages = [ASK, call, {"role": "function", "name": "weather", "content": "sunny"}, ANSWERED[1]]
    assert read(messages=messages, functions=[FUNCTION]) == Conversation(CALLED, WHERE, TOOLS)


def test_reads_calls_within_sharegpt() -> None:
    turns = [
        {"from": "human", "value": "Rome?"},
        {"from": "function_call", "value": '{"name": "weather", "arguments": {"city": "Rome"}}'},
        {"from": "observation", "value": "sunny"},
        {"from": "gpt", "value": "It is sunny."},
    ]
    assert read(conversations=turns, tools=TOOLS) == Conversation(CALLED, WHERE, TOOLS)


def test_reads_glaives_chats() -> None:
    system = "SYSTEM: You are a helpful assistant with access to the following functions. Use them if required -\n"
    chat = (
        'USER: Rome?\n\n\nASSISTANT: <functioncall> {"name": "weather", "arguments": \'{"city": "Rome"}\'} '
        "<|endoftext|>\n\n\nFUNCTION RESPONSE: sunny\n\n\nASSISTANT: It is sunny. <|endoftext|>\n\n\n"
    )
    found = read(system=system + json.dumps(FUNCTION, indent=4) + "\n", chat=chat)
    assert found.messages == (Message("system", "You are a helpful assistant."), *CALLED)
    assert found.tools == TOOLS
    plain = read(system="SYSTEM: Be brief.", chat="USER: Hi\n\n\nASSISTANT: Yes? <|endoftext|>")
    assert (plain.messages[0], plain.tools) == (Message("system", "Be brief."), "")


def test_reads_a_question_with_the_calls_that_answer_it() -> None:
    found = read(id=1, query="Rome?", answers=CALL, tools=TOOLS)
    assert found == Conversation(CALLED[:2], WHERE, TOOLS)


def test_leaves_the_tools_to_a_system_turn_that_tells_of_them() -> None:
    turns = [{"from": "system", "value": "Call <tools>[]</tools>"}, *({"from": "human", "value": "Hi"},)]
    found = read(conversations=[*turns, {"from": "gpt", "value": "<tool_call>\n{}\n</tool_call>"}], tools=TOOLS)
    assert found.tools == ""
    assert found.messages[2].content == "<tool_call>\n{}\n</tool_call>"


def test_puts_answers_into_the_order_of_their_calls() -> None:
    two = {
        "role": "assistant",
        "content": "Let me see.",
        "tool_calls": [{"id": name, "function": {"name": name, "arguments": {}}} for name in ("a", "b")],
    }
    answers = [{"role": "tool", "tool_call_id": name, "content": f"of {name}"} for name in ("b", "a")]
    found = read(messages=[ASK, two, *answers, ANSWERED[1]], tools=[])
    assert [turn.content for turn in found.messages if turn.role == "tool"] == ["of a", "of b"]


@pytest.mark.parametrize(
    ("row", "fault", "column"),
    [
        ({"tools": []}, MissingColumn, "messages"),
        ({"messages": [ASK, ANSWERED[1]], "tools": "no JSON"}, WrongType, "tools"),
        ({"messages": [ASK, ANSWERED[1]], "tools": TOOLS, "images": ["a.png"]}, WrongType, "images"),
        ({"messages": [ASK, ANSWERED[1]], "tools": [{"type": "function"}]}, WrongType, "tools[0]"),
        ({"messages": [ASK, ANSWERED[1]], "functions": [3]}, WrongType, "functions[0]"),
        ({"messages": [ASK, calling(arguments={})], "tools": []}, WrongType, "messages[1].tool_calls[0]"),
        (
            {"messages": [ASK, calling(name="f", arguments="no JSON")], "tools": []},
            WrongType,
            "messages[1].tool_calls[0].arguments",
        ),
        ({"messages": [ASK | {"tool_calls": [FUNCTION]}], "tools": []}, WrongType, "messages[0].role"),
        ({"query": "Rome?", "answers": [], "tools": TOOLS}, WrongType, "answers"),
        ({"query": "", "answers": CALL, "tools": TOOLS}, EmptyRow, "query"),
        ({"system": "", "chat": "Hi"}, WrongType, "chat"),
        ({"system": "f: {", "chat": "USER: a ASSISTANT: b"}, WrongType, "system"),
        ({"system": "", "chat": "USER: a\n\nASSISTANT: <functioncall> f()"}, WrongType, "chat[1]"),
    ],
)
def test_names_the_place_at_fault(row: dict[str, Any], fault: type[RowFault], column: str) -> None:
    with pytest.raises(fault, match=r"calls\.jsonl:2: ") as caught:
        list(FORMAT.examples(row, WHERE))
    assert caught.value.column == column
