"""`WS /ws`: one request after another, each answered as `/generate` does; whoever hangs up ends the computation."""

from __future__ import annotations

import asyncio
import json
from contextlib import aclosing, suppress
from typing import Any, Final

from fastapi import APIRouter, WebSocket, WebSocketDisconnect
from pydantic import ValidationError

from tunesmith.api.model_server import answers
from tunesmith.api.model_server.fields import Generate, asked
from tunesmith.api.model_server.model import Model, ServedModel
from tunesmith.api.model_server.routes.generate import COUNTED
from tunesmith.spec.errors import BadValue, TunesmithError
from tunesmith.spec.wrong_values import explained

router = APIRouter()
WAITING: Final = 8
"""Requests that may be sent before the first is answered; further ones are read when one of them is."""
LEFT: Final = (WebSocketDisconnect, RuntimeError)
"""What says that the client has gone: while one reads, and while one writes."""


@router.websocket("/ws")
async def talk(socket: WebSocket, model: Model) -> None:
    """Answer requests in their order until the client hangs up."""
    await socket.accept()
    waiting: asyncio.Queue[str] = asyncio.Queue(WAITING)
    both = [asyncio.create_task(_read_all(socket, waiting)), asyncio.create_task(_answer_all(socket, waiting, model))]
    try:
        await asyncio.wait(both, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in both:
            task.cancel()
        with suppress(asyncio.CancelledError):
            await asyncio.wait(both)
    # A second cancellation may have ended the wait for them.
    ended = [task.exception() for task in both if task.done() and not task.cancelled()]
    for fault in ended:
        if fault is not None and not isinstance(fault, LEFT):
            raise fault


async def _read_all(socket: WebSocket, waiting: asyncio.Queue[str]) -> None:
    while True:
        try:
            await waiting.put(await socket.receive_text())
        except KeyError:  # A message of bytes.
            await waiting.put("")


async def _answer_all(socket: WebSocket, waiting: asyncio.Queue[str], model: ServedModel) -> None:
    while True:
        text = await waiting.get()
        try:
            if (take := socket.scope["state"].get("take")) is not None:
                take()
            await _answer(socket, _read(text), model)
        except TunesmithError as error:
            # As ASCII: a wrong value that is repeated may hold half a character, which is no UTF-8.
            await socket.send_text(json.dumps(answers.broken(error)))


async def _answer(socket: WebSocket, request: Generate, model: ServedModel) -> None:
    path, body = asked(request, talks=model.about.talks)
    if not (model.streams if request.stream is None else request.stream):
        await socket.send_json(answers.whole(await model.pool.ask(model.target, path, body)))
        return
    pieces = answers.Pieces()
    async with aclosing(await model.pool.stream(model.target, path, body | COUNTED)) as chunks:
        async for chunk in chunks:
            for piece in pieces.of(chunk):
                await socket.send_json(piece)


def _read(text: str) -> Generate:
    """Read a request.

    Raises:
        BadValue, UnknownKey, BadEntry: it is none.
    """
    try:
        found: Any = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise BadValue("message", text[:80], 'JSON such as {"prompt": "Hello"}') from error
    if not isinstance(found, dict):
        raise BadValue("message", text[:80], "a JSON object")
    try:
        return Generate.model_validate(found)
    except ValidationError as error:
        raise explained(error, Generate, "the message") from error
