"""OpenAI's answers."""

from __future__ import annotations

from typing import Any

from scripted_engine import Echo
from tunesmith.worker.serving.endpoints import ENDPOINTS, Completion

TURNS = [{"role": "user", "content": "Grüß"}]
CHANCE = {"logprob": -0.5}


def asked(path: str, **body: Any) -> Completion:
    reply = ENDPOINTS["POST", path](Echo(), body)
    assert isinstance(reply, Completion)
    return reply


def chat(**body: Any) -> Completion:
    return asked("/v1/chat/completions", messages=TURNS, **body)


def text(**body: Any) -> Completion:
    return asked("/v1/completions", **body)


def chunks(reply: Completion) -> list[dict[str, Any]]:
    assert reply.chunks is not None
    return list(reply.chunks())


def test_a_whole_chat() -> None:
    body = chat(served_as="ft:tiny").whole()
    assert (body["object"], body["model"], body["system_fingerprint"]) == ("chat.completion", "ft:tiny", "fp_echo")
    assert body["id"].startswith("chatcmpl-")
    message = {"role": "assistant", "content": "Grüß", "refusal": None}
    assert body["choices"] == [{"index": 0, "message": message, "logprobs": None, "finish_reason": "stop"}]


def test_a_whole_text() -> None:
    body = text(prompt="Grüß", echo=True, n=2).whole()
    assert (body["object"], body["model"]) == ("text_completion", "echo")
    one = {"text": "GrüßGrüß", "logprobs": None, "finish_reason": "stop"}
    assert body["choices"] == [{"index": 0, **one}, {"index": 1, **one}]
    assert body["usage"] == {"prompt_tokens": 4, "completion_tokens": 10, "total_tokens": 14}


def test_several_prompts_are_answered_in_their_order() -> None:
    body = text(prompt=["a", "b"], n=2).whole()
    assert [(choice["index"], choice["text"]) for choice in body["choices"]] == [(0, "a"), (1, "a"), (2, "b"), (3, "b")]
    assert body["usage"]["prompt_tokens"] == 8


def test_probabilities_of_a_chat() -> None:
    [choice] = chat(logprobs=True, top_logprobs=2).whole()["choices"]
    content = choice["logprobs"]["content"]
    assert "".join(entry["token"] for entry in content) == "Grüß"
    top = [{"token": "ü", "bytes": [195, 188], **CHANCE}, {"token": "z", "bytes": [122], "logprob": -2.0}]
    assert content[2] == {"token": "ü", "bytes": [195, 188], **CHANCE, "top_logprobs": top}


def test_probabilities_of_a_text() -> None:
    [choice] = text(prompt="Grüß", logprobs=1).whole()["choices"]
    assert choice["logprobs"] == {
        "tokens": ["G", "r", "ü", "ß"],
        "token_logprobs": [-0.5] * 4,
        "top_logprobs": [{letter: -0.5, "z": -2.0} for letter in "Grüß"],
        "text_offset": [0, 1, 2, 3],
    }


def test_the_chunks_of_a_text_carry_their_own_probabilities() -> None:
    read = [chunk["choices"][0] for chunk in chunks(text(prompt="ab", logprobs=1, stream=True))]
    assert [chunk["text"] for chunk in read] == ["a", "b", ""]
    assert [chunk["logprobs"] and chunk["logprobs"]["text_offset"] for chunk in read] == [[0], [1], None]
    assert [chunk["finish_reason"] for chunk in read] == [None, None, "stop"]


def test_the_chunks_of_several_chats_are_told_apart_by_their_index() -> None:
    read = chunks(chat(n=3, stream=True, stream_options={"include_usage": True}))
    for index in range(3):
        own = [c["choices"][0] for c in read[:-1] if c["choices"][0]["index"] == index]
        assert own[0]["delta"]["role"] == "assistant"
        assert "".join(chunk["delta"].get("content", "") for chunk in own) == "Grüß"
        assert own[-1]["finish_reason"] == "stop"
    assert read[-1]["usage"]["completion_tokens"] == 15


def test_an_echo_comes_first() -> None:
    read = chunks(text(prompt="ab", echo=True, stream=True))
    assert [chunk["choices"][0]["text"] for chunk in read] == ["ab", "a", "b", ""]
