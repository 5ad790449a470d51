"""Streams: a hundred at once, cut off anywhere, over a server that goes away in the middle."""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import httpx
import pytest
import sqlalchemy
import uvicorn

from fleet import until
from tunesmith.api import sse
from tunesmith.api.app import create_app
from tunesmith.service.accounts.principal import OPERATOR
from tunesmith.service.context import Service
from tunesmith.service.jobs import queue
from tunesmith.spec.job import DatasetRef, JobSpec, ModelRef
from tunesmith.store import events as stored_events

CLIENTS = 100
SAID = 300


class Streaming:
    """A server that really listens, in a thread, on a port that it keeps over its restarts."""

    def __init__(self, service: Service) -> None:
        self.service = service
        with socket.socket() as listener:
            listener.bind(("127.0.0.1", 0))
            self.port = listener.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        self.start()

    def start(self) -> None:
        self.app = create_app(self.service)
        config = uvicorn.Config(self.app, port=self.port, log_level="error", timeout_graceful_shutdown=1)
        self.server = uvicorn.Server(config)
        self.thread = threading.Thread(target=self.server.run, daemon=True)
        self.thread.start()
        until(lambda: self.server.started, "the server listens")

    def stop(self) -> None:
        self.app.state.broadcast.closing.set()
        self.server.should_exit = True
        self.thread.join(timeout=10)
        assert not self.thread.is_alive()

    def restart(self) -> None:
        self.stop()
        self.start()


@pytest.fixture
def streaming(service: Service) -> Iterator[Streaming]:
    service.settings = service.settings.model_copy(update={"rate_limit": 0})
    found = Streaming(service)
    yield found
    found.stop()


@pytest.fixture
def job(service: Service) -> queue.Job:
    spec = JobSpec(model=ModelRef(source="someone/some-model"), datasets=[DatasetRef(uri="someone/some-rows")])
    return queue.submit(service, queue.Submission(spec, door="api"), OPERATOR)


@dataclass
class Speaker:
    """Has a job say things."""

    service: Service
    job: queue.Job

    def say(self, first: int, count: int) -> None:
        with self.service.database.write() as connection:
            now = self.service.database.now(connection)
            self.service.database.order_events(connection)
            new = [
                stored_events.NewEvent(self.job.org, self.job.id, now, "step", {"number": number})
                for number in range(first, first + count)
            ]
            stored_events.add(connection, new)

    def end(self) -> None:
        queue.cancel(self.service, self.job.id, OPERATOR)


@pytest.fixture
def speaker(service: Service, job: queue.Job) -> Speaker:
    return Speaker(service, job)


@dataclass(frozen=True)
class Heard:
    """An event as it came over the line."""

    id: int
    kind: str
    data: Any


async def hear(client: httpx.AsyncClient, path: str, last: int | None, most: int | None = None) -> list[Heard]:
    """Listen until the stream ends, is cut off, or so many events came."""
    headers = {"Last-Event-ID": str(last)} if last is not None else {}
    found: list[Heard] = []
    fields: dict[str, str] = {}
    with contextlib.suppress(httpx.TransportError):
        async with client.stream("GET", path, headers=headers) as answer:
            async for line in answer.aiter_lines():
                name, _, value = line.partition(": ")
                if line:
                    fields[name] = value
                    continue
                if "id" in fields:
                    found.append(Heard(int(fields["id"]), fields["event"], json.loads(fields["data"])))
                fields = {}
                if most is not None and len(found) >= most:
                    break
    return found


async def hear_all(client: httpx.AsyncClient, path: str, each: int | None = None) -> list[Heard]:
    """Listen and come back after every cut, until the server says that the job is over."""
    found: list[Heard] = []
    while not (found and found[-1].data["body"].get("state") == "cancelled"):
        found += await hear(client, path, found[-1].id if found else None, each)
        await asyncio.sleep(0.01)
    return found


def numbers(heard: list[Heard]) -> list[int]:
    return [event.data["body"]["number"] for event in heard if event.kind == "step"]


def listen(streaming: Streaming, count: int, path: str, each: int | None, meanwhile: Any) -> list[list[Heard]]:
    """Have so many clients listen to a job until it is over while something happens in another thread."""

    async def listening() -> list[list[Heard]]:
        limits = httpx.Limits(max_connections=None)
        async with httpx.AsyncClient(base_url=streaming.url, timeout=30, limits=limits) as client:
            tasks = [asyncio.create_task(hear_all(client, path, each)) for _ in range(count)]
            await asyncio.to_thread(meanwhile)
            return await asyncio.wait_for(asyncio.gather(*tasks), 60)

    return asyncio.run(listening())


def test_a_hundred_clients_hear_everything_once_and_in_order(streaming: Streaming, speaker: Speaker) -> None:
    def meanwhile() -> None:
        for first in range(0, SAID, 10):
            speaker.say(first, 10)
        speaker.end()

    for heard in listen(streaming, CLIENTS, f"/api/jobs/job-{speaker.job.id}/stream", None, meanwhile):
        assert numbers(heard) == list(range(SAID))
        assert [event.id for event in heard] == sorted({event.id for event in heard})


def test_a_client_that_is_cut_off_again_and_again_misses_nothing(streaming: Streaming, speaker: Speaker) -> None:
    def meanwhile() -> None:
        for first in range(0, 60, 3):
            speaker.say(first, 3)
        speaker.end()

    for heard in listen(streaming, 5, f"/api/jobs/{speaker.job.id}/stream", 7, meanwhile):
        assert numbers(heard) == list(range(60))


def test_a_server_that_starts_anew_in_the_middle_loses_and_repeats_nothing(
    streaming: Streaming, speaker: Speaker
) -> None:
    def meanwhile() -> None:
        for first in range(0, 60, 10):
            speaker.say(first, 10)
            if first in (20, 40):
                streaming.restart()
        speaker.end()

    for heard in listen(streaming, 5, f"/api/jobs/{speaker.job.id}/stream", None, meanwhile):
        assert numbers(heard) == list(range(60))


def test_a_job_that_is_over_has_no_more_to_say(streaming: Streaming, speaker: Speaker) -> None:
    speaker.end()
    path = f"{streaming.url}/api/jobs/{speaker.job.id}/stream"
    first = httpx.get(path)
    assert first.status_code == 200 and first.headers["X-Accel-Buffering"] == "no"
    assert first.headers["Content-Type"].startswith("text/event-stream")
    last = [line for line in first.text.splitlines() if line.startswith("id: ")][-1].removeprefix("id: ")
    assert httpx.get(path, headers={"Last-Event-ID": last}).status_code == 204


def test_all_jobs_are_heard_from_now_on_by_those_who_may(streaming: Streaming, speaker: Speaker) -> None:
    async def hearing(path: str, most: int) -> list[Heard]:
        async with httpx.AsyncClient(base_url=streaming.url, timeout=30) as client:
            task = asyncio.create_task(hear(client, path, None, most))
            await asyncio.to_thread(
                until, lambda: len(streaming.app.state.broadcast.listeners) == 1, "the client listens"
            )
            await asyncio.to_thread(speaker.say, 7, 1)
            return await asyncio.wait_for(task, 30)

    assert numbers(asyncio.run(hearing("/api/events", 1))) == [7]
    until(lambda: not streaming.app.state.broadcast.listeners, "whoever left is forgotten")


def test_silence_is_broken_by_pings(streaming: Streaming, speaker: Speaker, monkeypatch: pytest.MonkeyPatch) -> None:
    from tunesmith.api.routes import events

    monkeypatch.setattr(events, "PING_SECONDS", 0.05)
    with httpx.stream("GET", f"{streaming.url}/api/jobs/{speaker.job.id}/stream", timeout=30) as answer:
        pings = (line for line in answer.iter_lines() if line == sse.PING.strip())
        assert [next(pings) for _ in range(3)]


def test_many_listeners_cost_one_query_a_tick(streaming: Streaming) -> None:
    asked: list[float] = []

    def note(connection: Any, cursor: Any, statement: str, *rest: Any) -> None:
        if "FROM events" in statement:
            asked.append(time.monotonic())

    async def listening() -> None:
        limits = httpx.Limits(max_connections=None)
        async with httpx.AsyncClient(base_url=streaming.url, timeout=30, limits=limits) as client:
            tasks = [asyncio.create_task(hear(client, "/api/events", None, 1)) for _ in range(50)]
            broadcast = streaming.app.state.broadcast
            await asyncio.to_thread(until, lambda: len(broadcast.listeners) == 50, "all listen")
            sqlalchemy.event.listen(streaming.service.database.engine, "before_cursor_execute", note)
            await asyncio.to_thread(until, lambda: len(asked) >= 10, "ten queries were made")
            for task in tasks:
                task.cancel()

    asyncio.run(listening())
    ticks = (asked[9] - asked[0]) / streaming.service.settings.poll_seconds
    assert ticks >= 8


def test_a_listener_that_is_too_slow_reads_on_from_the_store(
    service: Service, speaker: Speaker, monkeypatch: pytest.MonkeyPatch
) -> None:
    from tunesmith.api import broadcast as module

    monkeypatch.setattr(module, "QUEUED", 2)

    async def listening() -> list[int]:
        broadcast = module.Broadcast(service)
        found: list[int] = []
        async for event in broadcast.events(0, job=speaker.job.id, quiet=30):
            if event is None and not found:
                await asyncio.to_thread(speaker.say, 0, 20)
                while broadcast.stands_at is None or broadcast.stands_at < stored(service):
                    await asyncio.sleep(0.01)
            if event is not None and event.kind == "step":
                found.append(event.body["number"])
                if len(found) == 20:
                    break
        await broadcast.close()
        return found

    assert asyncio.run(listening()) == list(range(20))


def stored(service: Service) -> int:
    with service.database.read() as connection:
        return stored_events.newest(connection)
