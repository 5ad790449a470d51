"""OpenAI's embeddings: read a request, render vectors.

https://platform.openai.com/docs/api-reference/embeddings
"""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Final

import torch
from tokenizers import Tokenizer
from torch import Tensor

from tunesmith.generation.embedding import Embedder
from tunesmith.spec.errors import BadValue
from tunesmith.worker.serving.fields import NAMES, names_of_askers, refuse_unknown, whole
from tunesmith.worker.serving.requests import prompts_of, text_or_none

READ: Final = NAMES | {"model", "adapter", "served_as", "input", "encoding_format", "dimensions"}
MOST: Final = 2048
"""Texts of one request, at most; OpenAI takes as many."""


@dataclass(frozen=True)
class EmbeddingRequest:
    """Texts whose vectors somebody wants."""

    inputs: tuple[str | tuple[int, ...], ...]
    """Texts or their tokens."""
    as_base64: bool = False
    """Whether a vector is written as the base64 of its 32-bit numbers, lowest byte first."""
    dimensions: int | None = None
    """How many of its first numbers a vector keeps."""
    adapter: str | None = None
    served_as: str | None = None
    """What the answer calls the model."""


def read_embedding(body: Mapping[str, Any]) -> EmbeddingRequest:
    """Check the body of a request.

    Raises:
        TunesmithError: an unknown key or a wrong value.
    """
    refuse_unknown(body, READ)
    names_of_askers(body)
    inputs = prompts_of(body, "input")
    if len(inputs) > MOST or not all(inputs):
        raise BadValue("input", body["input"], f"up to {MOST} texts, none of them empty")
    form = body.get("encoding_format")
    if form not in (None, "float", "base64"):
        raise BadValue("encoding_format", form, "'float' or 'base64'")
    return EmbeddingRequest(
        inputs=inputs,
        as_base64=form == "base64",
        dimensions=whole(body, "dimensions", 1, 1_048_576),
        adapter=text_or_none(body, "adapter"),
        served_as=text_or_none(body, "served_as"),
    )


class Vectors:
    """Answers requests for vectors with a loaded model."""

    def __init__(self, model: Any, folder: Path) -> None:
        self._model = model
        self._folder = folder
        self._vocabulary = int(model.get_input_embeddings().num_embeddings)

    def answer(self, request: EmbeddingRequest, name: str) -> dict[str, Any]:
        """Return OpenAI's object.

        Raises:
            PromptTooLong: a text is longer than the model can see.
            BadValue: a token that the model does not know, or more dimensions than it has.
        """
        size = self._embedder.size
        if request.dimensions is not None and request.dimensions > size:
            raise BadValue("dimensions", request.dimensions, f"a whole number from 1 to {size}")
        rows = [self._ids(given) for given in request.inputs]
        vectors = self._embedder(rows)
        if request.dimensions is not None:
            vectors = torch.nn.functional.normalize(vectors[:, : request.dimensions], dim=-1)
        tokens = sum(map(len, rows))
        return _rendered(vectors, request, request.served_as or name, tokens)

    def _ids(self, given: str | tuple[int, ...]) -> list[int]:
        """Return the tokens of a text, with those that the model was trained to see around it."""
        if isinstance(given, str):
            return list(self._tokenizer.encode(given).ids)
        unknown = next((token for token in given if token >= self._vocabulary), None)
        if unknown is not None:
            raise BadValue("input", unknown, f"a token number below {self._vocabulary}")
        return list(given)

    @cached_property
    def _embedder(self) -> Embedder:
        return Embedder(self._model, self._folder)

    @cached_property
    def _tokenizer(self) -> Tokenizer:
        tokenizer = Tokenizer.from_file(str(self._folder / "tokenizer.json"))
        tokenizer.no_truncation()
        tokenizer.no_padding()
        return tokenizer


def rendered(vectors: Sequence[Sequence[float]], request: EmbeddingRequest, name: str) -> dict[str, Any]:
    """Return OpenAI's object of vectors that a model of pictures and texts made; it counts no tokens.

    Raises:
        BadValue: more dimensions are asked for than it has.
    """
    made = torch.tensor(vectors, dtype=torch.float32)
    if request.dimensions is not None:
        if request.dimensions > made.shape[1]:
            raise BadValue("dimensions", request.dimensions, f"a whole number from 1 to {made.shape[1]}")
        made = made[:, : request.dimensions]
    return _rendered(torch.nn.functional.normalize(made, dim=-1), request, name, 0)


def _rendered(vectors: Tensor, request: EmbeddingRequest, name: str, tokens: int) -> dict[str, Any]:
    return {
        "object": "list",
        "data": [_entry(place, vector, request) for place, vector in enumerate(vectors)],
        "model": name,
        "usage": {"prompt_tokens": tokens, "total_tokens": tokens},
    }


def _entry(place: int, vector: Tensor, request: EmbeddingRequest) -> dict[str, Any]:
    numbers: Any = vector.tolist()
    if request.as_base64:
        numbers = base64.b64encode(vector.numpy().astype("<f4").tobytes()).decode()
    return {"object": "embedding", "index": place, "embedding": numbers}
