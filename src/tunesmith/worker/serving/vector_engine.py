"""A loaded model that writes nothing and gives vectors of texts."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NoReturn

from tunesmith.spec.errors import NotALanguageModel
from tunesmith.worker.serving.embeddings import EmbeddingRequest, Vectors
from tunesmith.worker.serving.engine import memory_bytes
from tunesmith.worker.serving.requests import Request


class VectorEngine:
    """Embeds; everything else is refused with the reason why the model does not write."""

    def __init__(self, name: str, vectors: Vectors, silent: NotALanguageModel) -> None:
        self.name = name
        self._vectors = vectors
        self._silent = silent

    def embed(self, request: EmbeddingRequest) -> dict[str, Any]:
        """Return the vectors of texts."""
        if request.adapter is not None:
            self._refuse()
        return self._vectors.answer(request, self.name)

    def write(self, request: Request) -> NoReturn:
        """Refuse."""
        self._refuse()

    def load(self, adapter: str) -> NoReturn:
        """Refuse."""
        self._refuse()

    def unload(self, adapter: str) -> bool:
        """Say that no adapter is there."""
        return False

    def health(self) -> dict[str, Any]:
        """Say what is loaded."""
        return {
            "status": "ok",
            "model": self.name,
            "adapters": [],
            "running": 0,
            "waiting": 0,
            "memory_bytes": memory_bytes(),
            "tokens": 0,
        }

    def predict(self, body: Mapping[str, Any]) -> NoReturn:
        """Refuse."""
        self._refuse()

    transcribe = draw = predict

    def close(self) -> None:
        """Do nothing: nothing goes on."""

    def _refuse(self) -> NoReturn:
        raise self._silent
