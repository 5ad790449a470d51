"""HTTP on a Unix socket: OpenAI's chat and text completions from one loaded model, one answer at a time."""

from __future__ import annotations

import json
import select
import socket
import socketserver
import sys
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any, ClassVar, Final, Protocol

from tunesmith.spec.errors import BadValue, TunesmithError
from tunesmith.worker.completions import Renderer, Request, error_body, error_of, read_request, usage

LARGEST_BODY: Final = 16 << 20
"""Bytes of a request's body, at most."""
LOOK_EVERY: Final = 0.1
"""Seconds between two looks at whether a waiting client is still there."""


class Answer(Protocol):
    """Pieces of an answer, and afterwards what it came to."""

    prompt_tokens: int
    tokens: int
    finish_reason: str | None

    def __iter__(self) -> Iterator[str]:
        """Give the pieces as they come."""
        ...

    def close(self) -> None:
        """End the answer here."""
        ...


class Engine(Protocol):
    """Whatever answers."""

    @property
    def name(self) -> str:
        """What answers call the model."""
        ...

    def answer(self, request: Request) -> Answer:
        """Start the answer to a request."""
        ...


class ClientGone(Exception):
    """Nobody waits for the answer any more."""


class ChatServer(socketserver.ThreadingMixIn, socketserver.UnixStreamServer):
    """Answers on a socket; a thread for each connection, a lock around the model."""

    daemon_threads = True
    block_on_close = False

    def __init__(self, path: Path, engine: Engine) -> None:
        self.engine = engine
        self.generating = threading.Lock()
        super().__init__(str(path), Handler)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Stay quiet about clients that went away; anything else belongs in the log."""
        if not isinstance(sys.exception(), ClientGone | ConnectionError):
            super().handle_error(request, client_address)


class Handler(BaseHTTPRequestHandler):
    """One connection."""

    protocol_version = "HTTP/1.1"
    server: ChatServer
    connection: socket.socket
    COMPLETIONS: ClassVar[Mapping[str, bool]] = {"/v1/chat/completions": True, "/v1/completions": False}
    """Paths of completions, and whether they are chats."""

    def do_GET(self) -> None:
        """Answer whether the model is there."""
        if self.path == "/healthz":
            self._send(200, {"status": "ok", "model": self.server.engine.name})
        else:
            self._not_found()

    def do_POST(self) -> None:
        """Answer a completion."""
        chat = self.COMPLETIONS.get(self.path)
        if chat is None:
            self._not_found()
            return
        try:
            request = read_request(self._body(), chat=chat)
            with self._turn():
                self._answer(request, self.server.engine.answer(request))
        except TunesmithError as error:
            self._send(error.status, error_body(error))

    def _answer(self, request: Request, answer: Answer) -> None:
        try:
            if request.stream:
                self._stream(request, answer)
            else:
                text = "".join(self._while_heard(answer))
                counted = usage(answer.prompt_tokens, answer.tokens)
                self._send(200, Renderer(request, self.server.engine.name).whole(text, answer.finish_reason, counted))
        finally:
            answer.close()

    def _stream(self, request: Request, answer: Answer) -> None:
        renderer = Renderer(request, self.server.engine.name)
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream; charset=utf-8")
        self.send_header("Cache-Control", "no-cache")
        self.send_header("Connection", "close")
        self.end_headers()
        first = renderer.first()
        if first is not None:
            self._event(first)
        try:
            for piece in self._while_heard(answer):
                self._event(renderer.piece(piece))
            self._event(renderer.last(answer.finish_reason))
            if request.with_usage:
                self._event(renderer.usage(usage(answer.prompt_tokens, answer.tokens)))
        except TunesmithError as error:
            self._event(error_body(error))
        self.wfile.write(b"data: [DONE]\n\n")

    def _event(self, content: Mapping[str, Any]) -> None:
        self.wfile.write(b"data: " + json.dumps(content, ensure_ascii=False).encode() + b"\n\n")

    @contextmanager
    def _turn(self) -> Iterator[None]:
        """Wait for the model, as long as the client does."""
        while not self.server.generating.acquire(timeout=LOOK_EVERY):
            self._check_client()
        try:
            yield
        finally:
            self.server.generating.release()

    def _while_heard(self, answer: Answer) -> Iterator[str]:
        """Pass an answer on until the client is gone, which ends the computation."""
        for piece in answer:
            self._check_client()
            yield piece

    def _check_client(self) -> None:
        """Raise ClientGone if the other end has closed the connection."""
        readable, _, _ = select.select([self.connection], [], [], 0)
        if readable and not self.connection.recv(1, socket.MSG_PEEK):
            raise ClientGone

    def _body(self) -> dict[str, Any]:
        length = self.headers.get("Content-Length", "")
        if not length.isdigit() or int(length) > LARGEST_BODY:
            self.close_connection = True
            raise BadValue("Content-Length", length, f"a number of bytes up to {LARGEST_BODY}")
        try:
            body = json.loads(self.rfile.read(int(length)))
        except ValueError as error:
            raise BadValue("body", str(error), "JSON") from error
        if not isinstance(body, dict):
            raise BadValue("body", body, "a JSON object")
        return body

    def _not_found(self) -> None:
        self.close_connection = True
        known = ", ".join([*self.COMPLETIONS, "/healthz"])
        self._send(404, error_of(f"There is nothing at {self.path}. Known: {known}.", "not_found"))

    def _send(self, status: int, content: Mapping[str, Any]) -> None:
        encoded = json.dumps(content, ensure_ascii=False).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(encoded)))
        self.end_headers()
        self.wfile.write(encoded)

    def address_string(self) -> str:
        """Name the client: a Unix socket has no address to tell."""
        return "client"

    def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
        """Leave single requests out of the log."""
