"""`/v1`: the same model for OpenAI's clients."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse, Response

from tunesmith.api import answering
from tunesmith.api.doors.openai_answers import ChatCompletion, TextCompletion
from tunesmith.api.doors.openai_asking import Asked, ChatRequest, CompletionRequest, body
from tunesmith.api.model_server.model import Model, ServedModel
from tunesmith.service.serving.pool import CHAT, COMPLETIONS

router = APIRouter(prefix="/v1", tags=["openai"])


@router.post("/chat/completions", response_model=ChatCompletion)
async def chat(asked: ChatRequest, request: Request, model: Model) -> Response:
    """Go on with a conversation."""
    return await _answer(request, model, CHAT, asked)


@router.post("/completions", response_model=TextCompletion)
async def complete(asked: CompletionRequest, request: Request, model: Model) -> Response:
    """Go on with a text, without any template."""
    return await _answer(request, model, COMPLETIONS, asked)


@router.get("/models")
def models(model: Model) -> dict[str, Any]:
    """List what `model` may name: the model, and `base` for what it was before its adapter."""
    rows = [{"id": target.name, "object": "model", "created": 0, "owned_by": "tunesmith"} for target in model.targets]
    return {"object": "list", "data": rows}


async def _answer(request: Request, model: ServedModel, path: str, asked: Asked) -> Response:
    target, content = model.named(asked.model), body(asked)
    if content.get("stream"):
        return await answering.streamed(request, model.pool.stream(target, path, content), answering.event)
    return JSONResponse(await answering.whole(request, model.pool.ask(target, path, content)))
