"""`/v1/chat/completions`, `/v1/completions`, `/v1/embeddings`: what a model answers."""

from __future__ import annotations

from typing import Any, Final

from anyio.to_thread import run_sync
from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse, Response

from tunesmith.api import answering
from tunesmith.api.deps import Asker, Serving
from tunesmith.api.doors.openai import Acting
from tunesmith.api.doors.openai_answers import ChatCompletion, Embeddings, TextCompletion
from tunesmith.api.doors.openai_asking import ChatRequest, CompletionRequest, EmbeddingRequest, Said, body
from tunesmith.service.accounts.principal import Principal
from tunesmith.service.context import Service
from tunesmith.service.serving.pool import CHAT, COMPLETIONS, EMBEDDINGS
from tunesmith.service.serving.targets import Target, find_target, seeing

router = APIRouter(prefix="/v1", tags=["openai"])
STREAMED: Final[dict[int | str, dict[str, Any]]] = {
    200: {
        "content": {"text/event-stream": {"schema": {"type": "string"}}},
        "description": "The answer; with `stream: true` as chunks, and `data: [DONE]` after the last.",
    }
}


@router.post("/chat/completions", response_model=ChatCompletion, responses=STREAMED)
async def chat(asked: ChatRequest, request: Request, service: Serving, by: Asker, acting: Acting) -> Response:
    """Go on with a conversation, by any model that is there."""
    return await _answer(request, service, await _target(service, by, asked.model, acting), CHAT, asked)


@router.post("/completions", response_model=TextCompletion, responses=STREAMED)
async def complete(asked: CompletionRequest, request: Request, service: Serving, by: Asker, acting: Acting) -> Response:
    """Go on with a text, without any template."""
    return await _answer(request, service, await _target(service, by, asked.model, acting), COMPLETIONS, asked)


@router.post("/embeddings", response_model=Embeddings)
async def embed(asked: EmbeddingRequest, request: Request, service: Serving, by: Asker, acting: Acting) -> Response:
    """Turn texts into vectors of length 1, whose product is the nearness of their meanings."""
    return await _answer(request, service, await _target(service, by, asked.model, acting), EMBEDDINGS, asked)


async def _target(service: Service, by: Principal, name: str, org: str | None) -> Target:
    return await run_sync(lambda: find_target(service, by, name, org=org))


async def _answer(request: Request, service: Service, target: Target, path: str, asked: Said) -> Response:
    content = body(asked)
    target = seeing(target, content)
    if content.get("stream"):
        return await answering.streamed(request, service.serving.stream(target, path, content), answering.event)
    return JSONResponse(await answering.whole(request, service.serving.ask(target, path, content)))
