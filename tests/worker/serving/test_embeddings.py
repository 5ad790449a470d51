"""OpenAI's embeddings."""

from __future__ import annotations

import base64
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from transformers import AutoModel, AutoTokenizer

from tiny import make_tiny_encoder
from tunesmith.spec.errors import BadValue, NotALanguageModel, TunesmithError, UnknownKey
from tunesmith.worker.serving.endpoints import ENDPOINTS
from tunesmith.worker.serving.loading import load_engine

Ask = Callable[..., Mapping[str, Any]]


@pytest.fixture(scope="module")
def encoder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_tiny_encoder(tmp_path_factory.mktemp("models") / "bert")


@pytest.fixture(scope="module")
def engine(encoder: Path) -> Any:
    return load_engine({"model": str(encoder), "device": "cpu", "precision": "fp32"}, encoder / "scratch")


@pytest.fixture
def ask(engine: Any) -> Ask:
    def ask(**body: Any) -> Mapping[str, Any]:
        reply = ENDPOINTS["POST", "/v1/embeddings"](engine, body)
        assert isinstance(reply, Mapping)
        return reply

    return ask


def vectors(reply: Mapping[str, Any]) -> torch.Tensor:
    assert [entry["index"] for entry in reply["data"]] == list(range(len(reply["data"])))
    return torch.tensor([entry["embedding"] for entry in reply["data"]])


def test_texts_and_their_tokens_have_the_same_vectors(ask: Ask, encoder: Path) -> None:
    tokenizer: Any = AutoTokenizer.from_pretrained(encoder)
    texts = ["Hello", "How do you do?"]
    ids = [tokenizer(text).input_ids for text in texts]
    reply = ask(input=texts, model="bert", served_as="tiny")
    model: Any = AutoModel.from_pretrained(encoder).eval()
    for vector, row in zip(vectors(reply), ids, strict=True):
        with torch.inference_mode():
            mean = model(input_ids=torch.tensor([row])).last_hidden_state[0].mean(0)
        assert torch.allclose(vector, mean / mean.norm(), atol=1e-5)
    tokens = sum(map(len, ids))
    assert (reply["object"], reply["model"]) == ("list", "tiny")
    assert reply["usage"] == {"prompt_tokens": tokens, "total_tokens": tokens}
    assert torch.allclose(vectors(ask(input=ids)), vectors(reply), atol=1e-6)
    assert torch.allclose(vectors(ask(input=ids[1])), vectors(reply)[1:], atol=1e-6)
    assert torch.allclose(vectors(ask(input="Hello")), vectors(reply)[:1], atol=1e-6)


def test_base64_holds_the_same_numbers(ask: Ask) -> None:
    [entry] = ask(input="Hello", encoding_format="base64")["data"]
    numbers = np.frombuffer(base64.b64decode(entry["embedding"]), dtype="<f4")
    assert np.allclose(numbers, vectors(ask(input="Hello", encoding_format="float"))[0].numpy(), atol=1e-6)


def test_fewer_dimensions_are_the_first_ones_at_length_one(ask: Ask) -> None:
    whole, short = vectors(ask(input="Hello"))[0], vectors(ask(input="Hello", dimensions=8))[0]
    assert torch.allclose(short, whole[:8] / whole[:8].norm(), atol=1e-6)


@pytest.mark.parametrize(
    ("body", "kind", "named"),
    [
        ({}, BadValue, "input"),
        ({"input": ""}, BadValue, "input"),
        ({"input": []}, BadValue, "input"),
        ({"input": ["a", ""]}, BadValue, "input"),
        ({"input": ["a"] * 2049}, BadValue, "input"),
        ({"input": [10**6]}, BadValue, "input"),
        ({"input": "a", "encoding_format": "hex"}, BadValue, "encoding_format"),
        ({"input": "a", "dimensions": 33}, BadValue, "dimensions"),
        ({"input": "a", "dimensions": 0}, BadValue, "dimensions"),
        ({"input": "a", "size": 3}, UnknownKey, "size"),
    ],
)
def test_names_what_is_wrong(ask: Ask, body: dict[str, Any], kind: type[TunesmithError], named: str) -> None:
    with pytest.raises(kind) as raised:
        ask(**body)
    assert raised.value.param == named


def test_a_model_that_only_reads_writes_nothing_and_says_why(engine: Any) -> None:
    for path, body in (("/v1/completions", {"prompt": "x"}), ("/adapters", {"adapter": "/lora"})):
        with pytest.raises(NotALanguageModel, match="both sides"):
            ENDPOINTS["POST", path](engine, body)
    assert engine.health()["adapters"] == []


def test_a_model_that_writes_has_vectors_of_its_own(tiny_model: Path, tmp_path: Path) -> None:
    engine = load_engine({"model": str(tiny_model), "device": "cpu", "precision": "fp32"}, tmp_path)
    try:
        reply = ENDPOINTS["POST", "/v1/embeddings"](engine, {"input": "Hello"})
        assert isinstance(reply, Mapping)
        assert vectors(reply).shape == (1, 32)
        with pytest.raises(BadValue, match="'shop' is not a base such as") as refused:
            ENDPOINTS["POST", "/v1/embeddings"](engine, {"input": "Hello", "adapter": "/lora", "served_as": "shop"})
        assert refused.value.param == "model"
    finally:
        engine.close()
