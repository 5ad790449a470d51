"""A row of each format, whose values look like the columns of others, and what it becomes."""

from __future__ import annotations

import json
from typing import Any

from tunesmith.spec.errors import Where
from tunesmith.spec.examples import (
    CaptionedImage,
    Conversation,
    Example,
    ImageQuestion,
    LabelledImage,
    LabelledText,
    Message,
    PlainText,
    Preference,
    PromptCompletion,
    Speech,
)

WHERE = Where("mixed.jsonl", 1)
"""Where every row of ``EXPECTED`` stands."""

Q = "question, answer: what is an instruction with input and output?"
A = "messages, conversations, text, prompt and completion; label, chosen, rejected"
S = "system, user, assistant, image, caption, tools"

CALL = {"id": "c", "type": "function", "function": {"name": "f", "arguments": '{"text": "x"}'}}

ROWS: dict[str, dict[str, Any]] = {
    "alpaca": {"instruction": Q, "input": "turns", "output": A},
    "sharegpt": {
        "conversations": [{"from": "human", "value": Q}, {"from": "gpt", "value": A}],
        "system": S,
    },
    "openai": {"messages": [{"role": "user", "content": Q}, {"role": "assistant", "content": A}]},
    "completion": {"prompt": Q, "completion": A},
    "qa": {"question": Q, "answer": A, "context": S},
    "text": {"text": f"{Q} {A} {S}"},
    "chat": {"user": Q, "assistant": A},
    "multi_turn": {"turns": [{"user": Q, "assistant": A}, {"user": "instruction", "assistant": "output"}]},
    "vision": {"image": "question.png", "caption": A},
    "vision_qa": {"image": "caption.png", "question": Q, "answer": A},
    "dolly": {"instruction": Q, "context": S, "response": A, "category": "qa"},
    "oasst": {
        "message_tree_id": "t",
        "tree_state": "ready_for_export",
        "prompt": {
            "message_id": "t",
            "text": Q,
            "role": "prompter",
            "replies": [
                {"message_id": "b", "text": "text", "role": "assistant", "rank": 1, "replies": []},
                {"message_id": "a", "text": A, "role": "assistant", "rank": 0, "replies": []},
            ],
        },
    },
    "vicuna": {"id": "question", "conversations": [{"from": "human", "value": Q}, {"from": "gpt", "value": A}]},
    "wizardlm": {"instruction": Q, "output": A},
    "orca": {"id": "cot.1", "system_prompt": S, "question": Q, "response": A},
    "guanaco": {"guanaco": f"### Human: {Q}### Assistant: {A}"},
    "lima": {"conversations": [Q, A], "source": "messages"},
    "anthropic": {"human": Q, "assistant": A},
    "claude": {"Human": Q, "Assistant": A},
    "mistral": {"mistral": f"<s>[INST] <<SYS>>\n{S}\n<</SYS>>\n\n{Q} [/INST] {A}</s>"},
    "chatml": {"chatml": f"<|im_start|>system\n{S}<|im_end|>\n<|im_start|>user\n{Q}<|im_end|>\n"
               f"<|im_start|>assistant\n{A}<|im_end|>\n"},
    "llama_chat": {"system": S, "user": Q, "assistant": A},
    "function_calling": {
        "messages": [
            {"role": "user", "content": Q},
            {
                "role": "assistant",
                "content": None,
                "tool_calls": [CALL],
            },
            {"role": "tool", "tool_call_id": "c", "content": "label"},
            {"role": "assistant", "content": A},
        ],
        "tools": [{"type": "function", "function": {"name": "f", "parameters": {}}}],
    },
    "code_alpaca": {"instruction": Q, "input": "turns", "output": A, "lang": "python"},
    "label": {"text": f"{Q} {A}", "label": "question"},
    "preference": {"prompt": Q, "chosen": A, "rejected": "completion"},
    "labelled_media": {"image": "label.png", "label": "text"},
    "speech": {"audio": "label.wav", "text": A},
}  # fmt: skip

TEXT_FORMATS = ROWS.keys() - {"label", "preference", "labelled_media", "speech"}
"""The 24 that are documented by name."""


def talk(*spoken: str, system: str = "") -> Conversation:
    """A conversation in which user and assistant take turns."""
    turns = [Message("assistant" if place % 2 else "user", text) for place, text in enumerate(spoken)]
    return Conversation((*([Message("system", system)] if system else []), *turns), WHERE)


EXPECTED: dict[str, Example] = {
    "alpaca": talk(f"{Q}\n\nInput: turns", A),
    "sharegpt": talk(Q, A, system=S),
    "openai": talk(Q, A),
    "completion": PromptCompletion(Q, A, WHERE),
    "qa": talk(f"Context: {S}\n\nQuestion: {Q}", A),
    "text": PlainText(f"{Q} {A} {S}", WHERE),
    "chat": talk(Q, A),
    "multi_turn": talk(Q, A, "instruction", "output"),
    "vision": CaptionedImage("question.png", A, WHERE),
    "vision_qa": ImageQuestion("caption.png", Q, A, WHERE),
    "dolly": talk(f"{Q}\n\nContext: {S}", A),
    "oasst": talk(Q, A),
    "vicuna": talk(Q, A),
    "wizardlm": talk(Q, A),
    "orca": talk(Q, A, system=S),
    "guanaco": talk(Q, A),
    "lima": talk(Q, A),
    "anthropic": talk(Q, A),
    "claude": talk(Q, A),
    "mistral": talk(Q, A, system=S),
    "chatml": talk(Q, A, system=S),
    "llama_chat": talk(Q, A, system=S),
    "function_calling": Conversation(
        (
            Message("user", Q),
            Message("assistant", "", tool_calls=json.dumps([{"name": "f", "arguments": {"text": "x"}}])),
            Message("tool", "label"),
            Message("assistant", A),
        ),
        WHERE,
        json.dumps([{"type": "function", "function": {"name": "f", "parameters": {}}}]),
    ),
    "code_alpaca": talk(f"{Q}\n\nLanguage: python\n\nInput: turns", A),
    "label": LabelledText(f"{Q} {A}", "question", WHERE),
    "preference": Preference(
        (Message("user", Q),), (Message("assistant", A),), (Message("assistant", "completion"),), WHERE
    ),
    "labelled_media": LabelledImage("label.png", "text", WHERE),
    "speech": Speech("label.wav", A, WHERE),
}
