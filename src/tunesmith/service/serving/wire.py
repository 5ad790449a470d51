"""HTTP to a process that holds a model: whole answers and streamed ones, for threads and for coroutines."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from functools import cache
from typing import Any, Final

import httpx

from tunesmith.spec.errors import ModelGone, Relayed, ServerBusy, TunesmithError

DONE: Final = "[DONE]"
WAIT: Final = 5.0
"""Seconds to wait where a refusal does not say how long."""
PATIENCE: Final = httpx.Timeout(None, connect=5.0)
"""An answer takes as long as it takes; a process that lives takes a connection at once."""
LOOK: Final = httpx.Timeout(2.0)
"""A question about the process itself is answered at once, or is not important."""

Restore = Callable[[dict[str, Any]], dict[str, Any]]
"""Makes an answer OpenAI's, where the process says something differently."""


def as_it_is(content: dict[str, Any]) -> dict[str, Any]:
    """Leave an answer as it is."""
    return content


class Wire:
    """The way to one process.

    ``gone`` says why the process is not there, when it is not. ``waiting`` requests may wait in it. ``socket`` is the
    path of its Unix socket, None for one that listens on a port.
    """

    def __init__(
        self,
        url: str,
        gone: Callable[[], ModelGone],
        *,
        waiting: int,
        socket: str | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        self._url = url
        self._waiting = waiting
        self._gone = gone
        self._socket = socket
        self._headers = dict(headers or {})

    def get(self, path: str) -> dict[str, Any]:
        """Ask about the process; an empty answer if it has none in time."""
        try:
            with self._client(LOOK) as client:
                content = client.get(path).json()
        except (httpx.HTTPError, ValueError):
            return {}
        return content if isinstance(content, dict) else {}

    def answers(self, path: str) -> bool:
        """Whether the process says that it is well."""
        try:
            with self._client(LOOK) as client:
                return client.get(path).status_code == httpx.codes.OK
        except httpx.HTTPError:
            return False

    def ask(self, method: str, path: str, body: Mapping[str, Any], restore: Restore = as_it_is) -> dict[str, Any]:
        """Return a whole answer.

        Raises:
            ModelGone: the process is not there, or ended.
            ServerBusy: too many wait.
            Relayed: it refuses, in its own words.
        """
        with self._caught(), self._client(PATIENCE) as client:
            return restore(self._whole(client.request(method, path, **_sent(body))))

    def stream(self, path: str, body: Mapping[str, Any], restore: Restore = as_it_is) -> Iterator[dict[str, Any]]:
        """Yield the chunks of an answer; raises as ``ask`` does, in the middle too."""
        with (
            self._caught(),
            self._client(PATIENCE) as client,
            client.stream("POST", path, **_sent(body)) as response,
        ):
            if response.status_code != 200:
                response.read()
                raise self._refusal(response)
            for line in response.iter_lines():
                if (content := _content(line)) == DONE:
                    return
                if content:
                    yield restore(_chunk(content))
            raise self._gone()

    async def ask_async(
        self, method: str, path: str, body: Mapping[str, Any], restore: Restore = as_it_is
    ) -> dict[str, Any]:
        """Return a whole answer; cancelled, it hangs up, which ends the computation. Raises as ``ask`` does."""
        with self._caught():
            async with self._client_async() as client:
                return restore(self._whole(await client.request(method, path, **_sent(body))))

    @asynccontextmanager
    async def stream_async(
        self, path: str, body: Mapping[str, Any], restore: Restore = as_it_is
    ) -> AsyncIterator[AsyncIterator[dict[str, Any]]]:
        """Give the chunks of an answer once it has begun; leaving the block hangs up. Raises as ``ask`` does."""
        with self._caught():
            async with (
                self._client_async() as client,
                client.stream("POST", path, **_sent(body)) as response,
            ):
                if response.status_code != 200:
                    await response.aread()
                    raise self._refusal(response)
                yield self._chunks(response, restore)

    async def _chunks(self, response: httpx.Response, restore: Restore) -> AsyncIterator[dict[str, Any]]:
        with self._caught():
            async for line in response.aiter_lines():
                if (content := _content(line)) == DONE:
                    return
                if content:
                    yield restore(_chunk(content))
            raise self._gone()

    def _whole(self, response: httpx.Response) -> dict[str, Any]:
        if response.status_code >= 400:
            raise self._refusal(response)
        is_json = response.headers.get("Content-Type", "").startswith("application/json")
        content = response.json() if is_json else {}
        return content if isinstance(content, dict) else {}

    def _refusal(self, response: httpx.Response) -> TunesmithError:
        try:
            error = response.json()["error"]
        except (ValueError, KeyError, TypeError):
            return relayed(f"The model's process answered {response.status_code}.", "serving", 502)
        if response.status_code == 429:
            waits = response.headers.get("Retry-After", "")
            return ServerBusy(self._waiting, float(waits) if waits.isdigit() else WAIT)
        return _of(error, response.status_code)

    @contextmanager
    def _caught(self) -> Iterator[None]:
        """Turn a broken connection into the sentence that the process is gone."""
        try:
            yield
        except httpx.HTTPError as error:
            raise self._gone() from error

    def _client(self, timeout: httpx.Timeout) -> httpx.Client:
        # Certificates are not looked at: a Unix socket has none, and a port is one of loopback.
        transport = httpx.HTTPTransport(uds=self._socket, verify=False)
        return httpx.Client(
            transport=transport, base_url=self._url, headers=self._headers, timeout=timeout, trust_env=False
        )

    def _client_async(self) -> httpx.AsyncClient:
        transport = httpx.AsyncHTTPTransport(uds=self._socket, verify=False)
        return httpx.AsyncClient(
            transport=transport, base_url=self._url, headers=self._headers, timeout=PATIENCE, trust_env=False
        )


def relayed(message: str, code: str, status: int | None = None) -> Relayed:
    """Make the error that another process speaks of, with the exit code and the status of its class."""
    kind = _kinds().get(code)
    if kind is None:
        return Relayed(message, code, TunesmithError.exit_code, status or TunesmithError.status)
    return Relayed(message, code, kind.exit_code, status or kind.status)


def _sent(body: Mapping[str, Any]) -> dict[str, Any]:
    """Return the arguments that send JSON, escaped: half a character, which is no UTF-8, is the process's to refuse."""
    return {"content": json.dumps(dict(body)), "headers": {"Content-Type": "application/json"}}


def _content(line: str) -> str:
    """Return what an event carries; comments and the names of events carry nothing."""
    return line.removeprefix("data:").strip() if line.startswith("data:") else ""


def _chunk(content: str) -> dict[str, Any]:
    chunk: dict[str, Any] = json.loads(content)
    if "error" in chunk:
        raise _of(chunk["error"], None)
    return chunk


def _of(error: Any, status: int | None) -> Relayed:
    if not isinstance(error, dict):
        return relayed(str(error), "serving", status)
    said = relayed(str(error.get("message")), str(error.get("code") or "serving"), status)
    said.param = error.get("param")
    return said


@cache
def _kinds() -> dict[str, type[TunesmithError]]:
    return {kind.code: kind for kind in _below(TunesmithError)}


def _below(kind: type[TunesmithError]) -> Iterator[type[TunesmithError]]:
    for child in kind.__subclasses__():
        yield child
        yield from _below(child)
