from __future__ import annotations

from typing import Any, Final

import pytest

from tunesmith.api.doors.openai_asking import ChatRequest, CompletionRequest, EmbeddingRequest, Passed, body

DRAWN: Final[dict[str, Any]] = {
    "model": "tiny", "max_tokens": 7, "temperature": 0.0, "top_p": 0.5, "top_k": 3, "seed": 1, "stop": ["."], "n": 2,
    "stream": True, "stream_options": {"include_usage": True},
}  # fmt: skip
CHAT: Final = {
    **DRAWN, "messages": [{"role": "user", "content": [{"type": "text", "text": "Hello"}]}],
    "max_completion_tokens": 8, "logprobs": True, "top_logprobs": 2,
}  # fmt: skip
COMPLETION: Final = {**DRAWN, "prompt": ["Hello", [1, 2]], "echo": True, "logprobs": 2}
EMBEDDING: Final = {"model": "tiny", "input": ["Hello"], "encoding_format": "base64", "dimensions": 8}


@pytest.mark.parametrize(
    ("kind", "said"), [(ChatRequest, CHAT), (CompletionRequest, COMPLETION), (EmbeddingRequest, EMBEDDING)]
)
def test_the_engine_hears_every_field_as_it_was_said(kind: type[Passed], said: dict[str, Any]) -> None:
    assert set(said) == set(kind.model_fields)
    assert body(kind(**said)) == said
    least = {name: said[name] for name in said if kind.model_fields[name].is_required()}
    assert body(kind(**least)) == least
    open_ = {name: None for name in said if name not in least}
    assert body(kind(**least, **open_)) == least, "null is as good as left out"


def test_a_field_that_is_not_listed_reaches_the_engine_too() -> None:
    assert body(ChatRequest(**CHAT, response_format={"type": "text"}))["response_format"] == {"type": "text"}
    turn = {"role": "tool", "content": "4", "tool_call_id": "call-1"}
    assert body(ChatRequest(model="tiny", messages=[turn]))["messages"] == [turn]
