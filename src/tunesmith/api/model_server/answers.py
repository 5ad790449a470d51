"""From OpenAI's objects, which the model's process speaks, to the answers of `/generate` and `/ws`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from tunesmith.spec.errors import TunesmithError

Answer = dict[str, Any]


def whole(answer: Mapping[str, Any]) -> Answer:
    """Render a complete answer."""
    [choice] = answer["choices"]
    text = choice["message"]["content"] if "message" in choice else choice["text"]
    return {"text": text, "finish_reason": choice["finish_reason"], "usage": answer["usage"], "model": answer["model"]}


def broken(error: TunesmithError) -> Answer:
    """Render an error in the place of an answer."""
    return {"detail": error.message, "code": error.code, "finished": True}


class Pieces:
    """Renders one answer while it comes: its pieces, and all of it when its tokens are counted, which is at its end."""

    def __init__(self) -> None:
        self._said: list[str] = []
        self._finish_reason: str | None = None

    def of(self, chunk: Mapping[str, Any]) -> Iterator[Answer]:
        """Yield what a chunk adds."""
        for choice in chunk["choices"]:
            self._finish_reason = choice["finish_reason"] or self._finish_reason
            text = choice["delta"].get("content") if "delta" in choice else choice["text"]
            if text:
                self._said.append(text)
                yield {"token": text, "finished": False}
        if chunk.get("usage"):
            end = {"finish_reason": self._finish_reason, "usage": chunk["usage"], "model": chunk["model"]}
            yield {"text": "".join(self._said), **end, "finished": True}
