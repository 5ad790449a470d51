"""`/generate`, `/generate/stream`: an answer of the model, whole or piece by piece."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse, Response

from tunesmith.api import answering
from tunesmith.api.model_server import answers
from tunesmith.api.model_server.fields import Generate, asked
from tunesmith.api.model_server.model import Model, ServedModel
from tunesmith.spec.errors import Contradiction
from tunesmith.spec.recipe import Part

router = APIRouter(tags=["model"])
COUNTED: Final = {"stream_options": {"include_usage": True}}
"""Has a stream end with the number of its tokens."""
STREAMED: Final[dict[int | str, dict[str, Any]]] = {
    200: {
        "content": {"text/event-stream": {"schema": {"type": "string"}}},
        "description": "The answer; streamed, events with `token`, and a last one with `finished: true` and all of it.",
    }
}


class Generated(Part):
    """The answer."""

    text: str
    finish_reason: str | None
    """stop, or length where max_tokens or the model's own length ended it."""
    usage: dict[str, Any]
    """Tokens that were read and written."""
    model: str


@router.post("/generate", response_model=Generated, responses=STREAMED)
async def generate(request: Generate, connection: Request, model: Model) -> Response:
    """Answer a prompt or a conversation."""
    if model.streams if request.stream is None else request.stream:
        return await _streamed(request, connection, model)
    path, body = asked(request, talks=model.about.talks)
    answer = await answering.whole(connection, model.pool.ask(model.target, path, body))
    return JSONResponse(answers.whole(answer))


@router.post("/generate/stream", responses=STREAMED)
async def stream(request: Generate, connection: Request, model: Model) -> Response:
    """Answer piece by piece, as server-sent events."""
    if request.stream is False:
        raise Contradiction("/generate/stream", "stream false")
    return await _streamed(request, connection, model)


async def _streamed(request: Generate, connection: Request, model: ServedModel) -> Response:
    path, body = asked(request, talks=model.about.talks)
    pieces = answers.Pieces()

    def line(chunk: Mapping[str, Any]) -> str:
        return "".join(answering.event(piece) for piece in pieces.of(chunk))

    return await answering.streamed(connection, model.pool.stream(model.target, path, body | COUNTED), line)
