from __future__ import annotations

import json
from typing import Any

import pytest

from modalities.templates import ALTERNATES, CHATML, MISTRAL_TOOLS, QWEN_TOOLS
from tunesmith.modalities.chat_template import ChatTemplate
from tunesmith.modalities.tool_turns import ToolTurns
from tunesmith.spec.examples import Message

FUNCTION = {"name": "weather", "parameters": {"type": "object", "properties": {"city": {"type": "string"}}}}
TOOLS = json.dumps([{"type": "function", "function": FUNCTION}])
CALL = json.dumps([{"name": "weather", "arguments": {"city": "Köln"}}])
TALK = [
    Message("user", "Köln?"),
    Message("assistant", "", tool_calls=CALL),
    Message("tool", "sunny"),
    Message("assistant", "It is sunny."),
]


def template(source: str) -> ChatTemplate:
    return ChatTemplate(source, {"bos_token": "<s>", "eos_token": "</s>"}, name="test")


def rendered(source: str, messages: list[Message] = TALK, tools: str = TOOLS) -> str:
    made = template(source)
    talk = ToolTurns(made).prepared(messages, tools)
    return made.render(talk.messages, tools=talk.tools)


def test_a_template_that_reads_tools_is_handed_them() -> None:
    assert rendered(QWEN_TOOLS) == (
        f"<|im_start|>system\n# Tools\n<tools>\n{json.dumps(json.loads(TOOLS)[0])}\n</tools><|im_end|>\n"
        "<|im_start|>user\nKöln?<|im_end|>\n"
        "<|im_start|>assistant\n<tool_call>\n"
        '{"name": "weather", "arguments": {"city": "Köln"}}\n</tool_call><|im_end|>\n'
        "<|im_start|>user\n<tool_response>\nsunny\n</tool_response><|im_end|>\n"
        "<|im_start|>assistant\nIt is sunny.<|im_end|>\n"
    )


def test_a_template_that_ignores_tools_is_told_of_them_in_the_system_turn() -> None:
    found = rendered(CHATML)
    system, user, call, answer, _ = found.split("<|im_end|>\n", 4)
    assert system.startswith("<|im_start|>system\nYou may call these functions:\n<tools>\n")
    assert json.dumps(json.loads(TOOLS)[0]) in system
    assert user == "<|im_start|>user\nKöln?"
    said = '<tool_call>\n{"name": "weather", "arguments": {"city": "Köln"}}\n</tool_call>'
    assert call == f"<|im_start|>assistant\n{said}"
    assert answer == "<|im_start|>tool\nsunny"


def test_the_tools_stand_below_what_the_system_turn_says_already() -> None:
    found = rendered(CHATML, [Message("system", "Be brief."), *TALK])
    assert found.startswith("<|im_start|>system\nBe brief.\n\nYou may call these functions:\n")
    assert found.count("<|im_start|>system") == 1


def test_calls_and_answers_get_the_names_that_a_template_wants() -> None:
    two = json.dumps([{"name": "a", "arguments": {}}, {"name": "b", "arguments": {"x": 1}}])
    talk = [TALK[0], Message("assistant", "", tool_calls=two), Message("tool", "1"), Message("tool", "2"), *TALK[1:]]
    assert rendered(MISTRAL_TOOLS, talk) == (
        f"<s>[AVAILABLE_TOOLS] {json.dumps(json.loads(TOOLS))}[/AVAILABLE_TOOLS]"
        '[INST] Köln? [/INST][TOOL_CALLS] [{"name": "a", "arguments": {}}, {"name": "b", "arguments": {"x": 1}}]</s>'
        '[TOOL_RESULTS] {"content": 1, "call_id": "call00000"}[TOOL_RESULTS] {"content": 2, "call_id": "call00001"}'
        '[TOOL_CALLS] [{"name": "weather", "arguments": {"city": "Köln"}}]</s>'
        '[TOOL_RESULTS] {"content": sunny, "call_id": "call00002"} It is sunny.</s>'
    )


def test_a_template_of_user_and_assistant_alone_hears_tools_as_a_user() -> None:
    twice = [*TALK[:2], Message("tool", "sunny"), Message("tool", "warm"), TALK[3]]
    found = rendered(ALTERNATES, twice)
    assert found.startswith("<s>[INST] You may call these functions:\n<tools>\n")
    assert "\n\nKöln? [/INST] <tool_call>\n" in found
    answers = "<tool_response>\nsunny\n</tool_response>\n<tool_response>\nwarm\n</tool_response>"
    assert found.endswith(f"</s>[INST] {answers} [/INST] It is sunny.</s>")


@pytest.mark.parametrize("source", [QWEN_TOOLS, CHATML, ALTERNATES])
def test_keeps_what_is_said_beside_a_call(source: str) -> None:
    assert "Let me see.\n<tool_call>" in rendered(
        source, [TALK[0], Message("assistant", "Let me see.", tool_calls=CALL)]
    )


@pytest.mark.parametrize("arguments", ["call.function.arguments", "call.function.arguments | tojson"])
@pytest.mark.parametrize("empty", ["message.content is none", "not message.content"])
def test_finds_out_how_a_template_wants_a_call(arguments: str, empty: str) -> None:
    source = (
        "{% for message in messages %}{% if message.role == 'assistant' and " + empty + " %}"
        "{% for call in message.tool_calls %}{{ 'CALL ' + call.function.name + ' ' + " + arguments + " }}{% endfor %}"
        "{% else %}{{ message.role + ': ' + message.content + '\n' }}{% endif %}{% endfor %}"
    )
    assert 'CALL weather {"city": "K' in rendered(source, tools="")


def test_conversations_without_tools_stay_as_they_are() -> None:
    talk = [
        Message("user", "a"),
        Message("assistant", "b", train=False),
        Message("user", "c"),
        Message("assistant", "d"),
    ]
    found = ToolTurns(template(CHATML)).prepared(talk)
    assert found.messages == [{"role": turn.role, "content": turn.content} for turn in talk]
    assert (found.trained, found.tools) == ([3], None)


@pytest.mark.parametrize("source", [QWEN_TOOLS, CHATML, MISTRAL_TOOLS, ALTERNATES])
def test_knows_which_turns_are_trained_wherever_they_move(source: str) -> None:
    talk = [TALK[0], Message("assistant", "", train=False, tool_calls=CALL), TALK[2], Message("tool", "warm"), TALK[3]]
    found = ToolTurns(template(source)).prepared(talk, TOOLS)
    assert [found.messages[place]["content"] for place in found.trained] == ["It is sunny."]


def test_a_template_gets_tools_as_transformers_hands_them() -> None:
    from transformers.utils.chat_template_utils import render_jinja_template

    for source in (QWEN_TOOLS, MISTRAL_TOOLS):
        talk = ToolTurns(template(source)).prepared(TALK, TOOLS)
        theirs: Any = render_jinja_template(
            conversations=[talk.messages], tools=talk.tools, chat_template=source, bos_token="<s>", eos_token="</s>"
        )
        assert template(source).render(talk.messages, tools=talk.tools) == theirs[0][0]
