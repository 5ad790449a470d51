"""How an answer goes out: as it comes, with pings where it does not, and not a moment longer than somebody listens."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest
from fastapi import FastAPI, Request
from starlette.types import Message

from tunesmith.api import answering, errors
from tunesmith.spec.errors import ModelGone, NotFound

HELLO, WORLD = {"text": "Hello"}, {"text": "world"}
SOON = 10.0
"""Seconds within which anything that a test waits for has happened."""


class Chunks:
    """An answer of which each chunk comes when the test gives it."""

    def __init__(self) -> None:
        self.given: asyncio.Queue[dict[str, str] | Exception | None] = asyncio.Queue()
        self.closed = asyncio.Event()

    def give(self, *pieces: dict[str, str] | Exception | None) -> None:
        for piece in pieces:
            self.given.put_nowait(piece)

    def __aiter__(self) -> AsyncIterator[dict[str, Any]]:
        return self

    async def __anext__(self) -> dict[str, Any]:
        piece = await self.given.get()
        if isinstance(piece, Exception):
            raise piece
        if piece is None:
            raise StopAsyncIteration
        return piece

    async def aclose(self) -> None:
        self.closed.set()


class Client:
    """One request to an application, with the hands of whoever sent it on the line."""

    def __init__(self, answer: Callable[[Request], Awaitable[Any]], path: str = "/v1/chat/completions") -> None:
        app = FastAPI()
        errors.install(app)
        app.add_api_route(path, answer, methods=["POST"], response_model=None)
        self.sent: asyncio.Queue[Message] = asyncio.Queue()
        self.left = asyncio.Event()
        scope = {
            "type": "http", "asgi": {"version": "3.0", "spec_version": "2.3"}, "method": "POST", "path": path,
            "headers": [], "query_string": b"", "root_path": "", "scheme": "http", "server": ("localhost", 1),
        }  # fmt: skip
        self._body = [{"type": "http.request", "body": b"", "more_body": False}]
        self.request = asyncio.ensure_future(app(scope, self._receive, self.sent.put))

    async def _receive(self) -> Message:
        if self._body:
            return self._body.pop()
        await self.left.wait()
        return {"type": "http.disconnect"}

    async def status(self) -> int:
        begun = await asyncio.wait_for(self.sent.get(), SOON)
        return int(begun["status"])

    async def text(self) -> str:
        """The next part of the answer."""
        return bytes((await asyncio.wait_for(self.sent.get(), SOON))["body"]).decode()

    async def rest(self) -> str:
        """All that follows."""
        parts = []
        while True:
            message = await asyncio.wait_for(self.sent.get(), SOON)
            parts.append(message["body"].decode())
            if not message.get("more_body"):
                return "".join(parts)


def of(chunks: Chunks, ready: asyncio.Event | None = None, fault: Exception | None = None) -> Any:
    """A route that answers with chunks: at once, or when it is ready, or not at all."""

    async def beginning() -> Chunks:
        if ready is not None:
            await ready.wait()
        if fault is not None:
            raise fault
        return chunks

    async def route(request: Request) -> Any:
        return await answering.streamed(request, beginning(), answering.event)

    return route


def runs(test: Callable[[], Awaitable[None]]) -> Callable[[], None]:
    def running() -> None:
        asyncio.run(asyncio.wait_for(test(), 60))  # type: ignore[arg-type]

    running.__name__ = test.__name__
    return running


@pytest.fixture
def quickly(monkeypatch: pytest.MonkeyPatch) -> None:
    """A ping's time is over at once."""
    monkeypatch.setattr(answering, "PING_SECONDS", 0.01)


@runs
async def test_each_chunk_goes_out_before_the_next_one_is_there() -> None:
    chunks = Chunks()
    client = Client(of(chunks))
    chunks.give(HELLO)
    assert await client.status() == 200
    assert json.loads((await client.text()).removeprefix("data: ")) == HELLO
    assert client.sent.empty()
    chunks.give(WORLD, None)
    assert await client.rest() == f"data: {json.dumps(WORLD)}\n\ndata: [DONE]\n\n"
    await client.request
    assert chunks.closed.is_set()


@runs
async def test_what_is_wrong_at_once_has_a_status_of_its_own() -> None:
    client = Client(of(Chunks(), fault=NotFound("model", "nothing")))
    assert await client.status() == 404
    assert json.loads(await client.rest())["error"]["code"] == "not_found"


def test_a_model_that_loads_long_is_waited_for_with_pings(quickly: None) -> None:
    async def test() -> None:
        chunks, ready = Chunks(), asyncio.Event()
        client = Client(of(chunks, ready))
        assert await client.status() == 200
        assert [await client.text(), await client.text()] == [": ping\n\n"] * 2
        ready.set()
        chunks.give(HELLO, None)
        assert (await client.rest()).endswith(f"data: {json.dumps(HELLO)}\n\ndata: [DONE]\n\n")

    runs(test)()


def test_silence_between_two_chunks_is_filled_with_pings(quickly: None) -> None:
    async def test() -> None:
        chunks = Chunks()
        client = Client(of(chunks))
        chunks.give(HELLO)
        assert await client.status() == 200
        while await client.text() != ": ping\n\n":
            pass
        chunks.give(WORLD, None)
        assert f"data: {json.dumps(WORLD)}\n\ndata: [DONE]\n\n" in await client.rest()

    runs(test)()


@pytest.mark.parametrize(
    ("path", "said"),
    [
        ("/v1/chat/completions", lambda body: body["error"]["message"]),
        ("/api/v1/generate", lambda body: body["detail"]),
        ("/api/llm-finetuning/test", lambda body: body["message"]),
    ],
)
def test_what_goes_wrong_later_is_said_in_the_shape_of_the_way_in(
    quickly: None, path: str, said: Callable[[Any], str]
) -> None:
    async def test() -> None:
        fault, chunks, ready = ModelGone(), Chunks(), asyncio.Event()
        before, between = Client(of(chunks, ready, fault), path), Client(of(chunks), path)
        assert (await before.status(), await between.status()) == (200, 200)
        ready.set()
        chunks.give(HELLO, fault)
        for client in (before, between):
            events = [line for line in (await client.rest()).split("\n\n") if line.startswith("data: ")]
            assert events[-1] == "data: [DONE]"
            assert said(json.loads(events[-2].removeprefix("data: "))) == fault.message
        await between.request
        assert chunks.closed.is_set()

    runs(test)()


@runs
async def test_who_leaves_in_the_middle_ends_the_answer() -> None:
    chunks = Chunks()
    client = Client(of(chunks))
    chunks.give(HELLO)
    await client.status()
    await client.text()
    client.left.set()
    await asyncio.wait_for(chunks.closed.wait(), SOON)
    await client.request


@runs
async def test_who_leaves_before_the_answer_began_ends_it_too() -> None:
    cancelled = asyncio.Event()

    async def beginning() -> Any:
        try:
            await asyncio.Event().wait()
        finally:
            cancelled.set()

    async def streamed(request: Request) -> Any:
        return await answering.streamed(request, beginning(), answering.event)

    async def whole(request: Request) -> Any:
        return await answering.whole(request, beginning())

    for route in (streamed, whole):
        cancelled.clear()
        client = Client(route)
        client.left.set()
        await asyncio.wait_for(cancelled.wait(), SOON)
        assert await client.status() == answering.CLIENT_LEFT


def test_who_leaves_while_a_model_loads_with_pings_lets_go_of_it(quickly: None) -> None:
    async def test() -> None:
        cancelled = asyncio.Event()

        async def beginning() -> Any:
            try:
                await asyncio.Event().wait()
            finally:
                cancelled.set()

        async def route(request: Request) -> Any:
            return await answering.streamed(request, beginning(), answering.event)

        client = Client(route)
        assert await client.status() == 200
        client.left.set()
        await asyncio.wait_for(cancelled.wait(), SOON)
        await client.request

    runs(test)()


@runs
async def test_a_stream_that_nobody_began_to_read_is_closed() -> None:
    chunks = Chunks()
    request = Request({"type": "http", "path": "/v1/x", "headers": []}, receive=asyncio.Event().wait)  # type: ignore[arg-type]

    async def beginning() -> Chunks:
        return chunks

    async def gone(message: Message) -> None:
        raise OSError("nobody is there")

    response = await answering.streamed(request, beginning(), answering.event)
    with pytest.raises(OSError, match="nobody"):
        await response({"type": "http", "asgi": {"spec_version": "2.3"}, "path": "/v1/x"}, request.receive, gone)
    assert chunks.closed.is_set()


@runs
async def test_a_whole_answer_is_whole() -> None:
    async def answer() -> dict[str, str]:
        return HELLO

    async def route(request: Request) -> Any:
        return await answering.whole(request, answer())

    client = Client(route)
    assert await client.status() == 200
    assert json.loads(await client.rest()) == HELLO
