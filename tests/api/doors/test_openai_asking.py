from __future__ import annotations

from typing import Any, Final

import pytest
from pydantic import ValidationError

from tunesmith.api.doors.openai_asking import ChatRequest, CompletionRequest, EmbeddingRequest, Said, body

WHO: Final = {"model": "tiny", "user": "ann", "safety_identifier": "a", "prompt_cache_key": "k", "metadata": {"a": "b"}}
DRAWN: Final[dict[str, Any]] = {
    **WHO, "max_tokens": 7, "temperature": 0.0, "top_p": 0.5, "top_k": 3, "seed": 1, "stop": ["."], "n": 2,
    "stream": True, "stream_options": {"include_usage": True, "include_obfuscation": False},
    "frequency_penalty": 0.0, "presence_penalty": 0.0, "logit_bias": {}, "response_format": {"type": "text"},
    "store": False, "service_tier": "auto", "modalities": ["text"],
}  # fmt: skip
CHAT: Final = {
    **DRAWN, "messages": [{"role": "user", "content": [{"type": "text", "text": "Hello"}]}],
    "max_completion_tokens": 8, "logprobs": True, "top_logprobs": 2, "tools": [{"type": "function"}],
    "tool_choice": "auto", "parallel_tool_calls": True,
}  # fmt: skip
COMPLETION: Final = {**DRAWN, "prompt": ["Hello", [1, 2]], "echo": True, "logprobs": 2, "best_of": 2, "suffix": ""}
EMBEDDING: Final = {**WHO, "input": ["Hello"], "encoding_format": "base64", "dimensions": 8}


@pytest.mark.parametrize(
    ("kind", "said"), [(ChatRequest, CHAT), (CompletionRequest, COMPLETION), (EmbeddingRequest, EMBEDDING)]
)
def test_the_engine_hears_every_field_as_it_was_said(kind: type[Said], said: dict[str, Any]) -> None:
    assert set(said) == set(kind.model_fields)
    assert body(kind(**said)) == said
    least = {name: said[name] for name in said if kind.model_fields[name].is_required()}
    assert body(kind(**least)) == least
    open_ = {name: None for name in said if name not in least}
    assert body(kind(**least, **open_)) == least, "null is as good as left out"


def test_what_a_message_says_besides_reaches_the_engine() -> None:
    turn = {"role": "tool", "content": "4", "tool_call_id": "call-1"}
    assert body(ChatRequest(model="tiny", messages=[turn]))["messages"] == [turn]


@pytest.mark.parametrize("name", ["adapter", "served_as", "merge", "cache_salt", "lora_path"])
def test_what_the_service_tells_the_engine_is_no_clients_to_say(name: str) -> None:
    with pytest.raises(ValidationError, match=name):
        ChatRequest(**{**CHAT, name: "/somewhere"})
