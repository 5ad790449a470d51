"""Speaks chat completions over a Unix socket."""

from __future__ import annotations

import http.client
import json
import socket
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from tunesmith.spec.errors import ModelGone, Relayed, UsageError


class Connection(http.client.HTTPConnection):
    """One HTTP connection to a socket's path."""

    def __init__(self, path: Path) -> None:
        super().__init__("localhost")
        self._path = path
        self._answer: http.client.HTTPResponse | None = None

    def connect(self) -> None:
        """Connect to the socket."""
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.connect(str(self._path))

    def getresponse(self) -> http.client.HTTPResponse:
        """Read the head of the answer."""
        self._answer = super().getresponse()
        return self._answer

    def close(self) -> None:
        """Hang up. An answer that ends with the connection has taken over its socket, so it is closed too."""
        super().close()
        if self._answer is not None:
            self._answer.close()

    def stream(self, body: Mapping[str, Any]) -> Reply:
        """Ask for a chat completion, piece by piece."""
        whole = {"stream": True, "stream_options": {"include_usage": True}, **body}
        try:
            self.request("POST", "/v1/chat/completions", json.dumps(whole), {"Content-Type": "application/json"})
        except OSError as error:
            raise ModelGone from error
        return Reply(self)


class Reply(Iterator[str]):
    """The pieces of one answer; closing it ends the computation."""

    def __init__(self, connection: Connection) -> None:
        self.finish_reason: str | None = None
        """stop or length, once the answer is complete."""
        self.text = ""
        """What has come so far."""
        self.usage: dict[str, int] = {}
        """OpenAI's token counts, once the answer is complete."""
        self._connection = connection
        self._pieces = self._read()

    def __next__(self) -> str:
        return next(self._pieces)

    def close(self) -> None:
        """Hang up."""
        self._connection.close()

    def _read(self) -> Iterator[str]:
        try:
            response = self._connection.getresponse()
            if response.status != 200:
                raise _refusal(json.loads(response.read())["error"])
            for line in response:
                content = line.removeprefix(b"data: ").strip()
                if content == b"[DONE]":
                    return
                if content:
                    yield from self._piece(json.loads(content))
            raise ModelGone
        except (OSError, http.client.HTTPException) as error:
            raise ModelGone from error
        finally:
            self._connection.close()

    def _piece(self, chunk: dict[str, Any]) -> Iterator[str]:
        if "error" in chunk:
            raise _refusal(chunk["error"])
        self.usage = chunk.get("usage") or self.usage
        for choice in chunk["choices"]:
            self.finish_reason = choice["finish_reason"] or self.finish_reason
            text = choice["delta"].get("content")
            if text:
                self.text += text
                yield text


def _refusal(error: Mapping[str, Any]) -> Relayed:
    return Relayed(str(error["message"]), str(error["code"]), UsageError.exit_code)
