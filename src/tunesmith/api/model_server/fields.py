"""What `POST /generate` and `WS /ws` take, and what that is to the model."""

from __future__ import annotations

from typing import Annotated, Any, Final, Literal

from pydantic import Field

from tunesmith.api.model_server.modes import MODES, Mode, ModeName
from tunesmith.service.serving.pool import CHAT, COMPLETIONS
from tunesmith.spec.errors import BadValue, Contradiction
from tunesmith.spec.recipe import Part

LONGEST: Final = 131_072
"""Tokens of an answer, at most; the model's own length ends it sooner."""
STOPS: Final = 10


class Turn(Part):
    """One turn of a conversation."""

    role: Literal["system", "user", "assistant"]
    content: str


class Generate(Part):
    """One answer that somebody wants."""

    prompt: str | None = Field(None, examples=["What is a LoRA adapter?"])
    """What the model is asked. Give this, or messages."""
    messages: list[Turn] | None = Field(None, min_length=1)
    """The conversation so far, the question last."""
    temperature: float | None = Field(None, ge=0, le=2)
    """How freely the model draws; 0 takes the likeliest token each time. Open: 0.7, or what the mode has."""
    max_tokens: int | None = Field(None, ge=1, le=LONGEST)
    """Longest answer, in tokens. Open: 4096, or what the mode has."""
    top_p: float | None = Field(None, ge=0, le=1)
    """Draw only among the likeliest tokens that together have this probability. Open: 0.9, or what the mode has."""
    top_k: int = Field(50, ge=0, le=LONGEST)
    """Draw only among so many likeliest tokens; 0 means all."""
    stop_sequences: list[Annotated[str, Field(min_length=1)]] = Field([], max_length=STOPS)
    """Texts that end the answer; they are not part of it."""
    stream: bool | None = None
    """Answer piece by piece. Open: as the server was started."""
    mode: ModeName = ModeName.AUTO
    """How the model is asked: chat and complete say it; the others put words before the prompt, and each one draws as
    freely as suits it."""
    seed: int | None = Field(None, ge=-(2**63), lt=2**63)
    """Makes a drawn answer repeatable."""


def asked(request: Generate, *, talks: bool) -> tuple[str, dict[str, Any]]:
    """Return the path and the body with which the model is asked; ``talks`` says whether it holds conversations.

    Raises:
        BadValue: there is nothing to answer.
        Contradiction: a prompt and a conversation, or a conversation that is to be continued as plain text.
    """
    mode = MODES[request.mode]
    if request.prompt is not None and request.messages is not None:
        raise Contradiction("prompt", "messages")
    if request.messages is not None:
        if request.mode is ModeName.COMPLETE:
            raise Contradiction("mode complete, which continues a prompt", "messages")
        return CHAT, {"messages": [turn.model_dump() for turn in request.messages], **_drawn(request, mode)}
    if not request.prompt or not request.prompt.strip():
        raise BadValue("prompt", request.prompt, "a text, unless there are messages")
    prompt = mode.opening + request.prompt
    if request.mode is ModeName.COMPLETE or (request.mode is ModeName.AUTO and not talks):
        return COMPLETIONS, {"prompt": prompt, **_drawn(request, mode)}
    return CHAT, {"messages": [{"role": "user", "content": prompt}], **_drawn(request, mode)}


def _drawn(request: Generate, mode: Mode) -> dict[str, Any]:
    """Return how the answer is drawn: what the request says, else what its mode has."""
    body: dict[str, Any] = {
        "temperature": mode.temperature if request.temperature is None else request.temperature,
        "top_p": mode.top_p if request.top_p is None else request.top_p,
        "max_tokens": mode.max_tokens if request.max_tokens is None else request.max_tokens,
        "top_k": request.top_k,
    }
    if request.stop_sequences:
        body["stop"] = request.stop_sequences
    return body if request.seed is None else body | {"seed": request.seed}
