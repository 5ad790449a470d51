"""HTTP on a Unix socket: requests to an engine, answers whole or as server-sent events."""

from __future__ import annotations

import json
import secrets
import socket
import socketserver
import sys
import threading
import traceback
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler
from math import ceil
from pathlib import Path
from typing import Any, Final

from tunesmith.spec.errors import BadValue, Broken, NoMemoryLeft, TunesmithError
from tunesmith.training.device import is_out_of_memory
from tunesmith.worker.serving.endpoints import ENDPOINTS, Engine, Reply
from tunesmith.worker.serving.faults import error_body, error_of
from tunesmith.worker.serving.presence import Presence

LARGEST_BODY: Final = 144 << 20
"""Bytes of a request's body, at most: of the largest one that a server takes as it comes, with pictures as base64."""
PATIENCE: Final = 60.0
"""Seconds in which a client takes nothing, or sends nothing, after which the connection is closed."""
GRACE: Final = 2.0
"""Seconds in which answers that are cut off at the end of the process can still say so."""


class SocketServer(socketserver.ThreadingMixIn, socketserver.UnixStreamServer):
    """Answers on a socket; each connection has a thread that waits for tokens and for its client."""

    daemon_threads = True
    block_on_close = False
    request_queue_size = 512

    def __init__(self, path: Path, engine: Engine) -> None:
        self.engine = engine
        self.presence = Presence()
        self._answering = 0
        self._changed = threading.Condition()
        super().__init__(str(path), Handler)

    def server_close(self) -> None:
        """Hear nobody any more; whoever still gets an answer has a moment to hear why it ends."""
        super().server_close()
        with self._changed:
            self._changed.wait_for(lambda: self._answering == 0, GRACE)
        self.presence.close()

    @contextmanager
    def answering(self) -> Iterator[None]:
        """Count an answer for as long as a ``with`` block lasts."""
        with self._changed:
            self._answering += 1
        try:
            yield
        finally:
            with self._changed:
                self._answering -= 1
                self._changed.notify_all()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Stay quiet about clients that went away; anything else belongs in the log."""
        if not isinstance(sys.exception(), ConnectionError | TimeoutError):
            super().handle_error(request, client_address)


class Handler(BaseHTTPRequestHandler):
    """One connection."""

    protocol_version = "HTTP/1.1"
    timeout = PATIENCE
    server: SocketServer
    connection: socket.socket

    def do_GET(self) -> None:
        """Answer a question."""
        self._handle()

    do_POST = do_DELETE = do_GET

    def _handle(self) -> None:
        with self.server.answering():
            try:
                body = self._body()
                endpoint = ENDPOINTS.get((self.command, self.path))
                if endpoint is None:
                    known = ", ".join(f"{method} {path}" for method, path in ENDPOINTS)
                    self._send(404, error_of(f"There is nothing at {self.path}. Known: {known}.", "not_found"))
                else:
                    self._reply(endpoint(self.server.engine, body))
            except (ConnectionError, TimeoutError):
                raise
            except Exception as error:  # noqa: BLE001  whatever it is, the client hears of it
                self._refuse(_fault(error))

    def _reply(self, reply: Reply) -> None:
        """Send what an endpoint answers; a client that goes away meanwhile ends the computation."""
        if isinstance(reply, Mapping):
            self._send(200, reply)
            return
        with reply.answers, self.server.presence.of(self.connection, reply.answers.close):
            if reply.chunks is None:
                self._send(200, reply.whole())
            else:
                self._stream(reply.chunks)

    def _stream(self, chunks: Callable[[], Iterator[Mapping[str, Any]]]) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream; charset=utf-8")
        self.send_header("Cache-Control", "no-cache")
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        try:
            for chunk in chunks():
                self._event(_json(chunk))
        except (ConnectionError, TimeoutError):
            raise
        except Exception as error:  # noqa: BLE001  whatever it is, the client hears of it
            self._event(_json(error_body(_fault(error))))
        self._event(b"[DONE]")
        self.wfile.write(b"0\r\n\r\n")

    def _event(self, content: bytes) -> None:
        event = b"data: " + content + b"\n\n"
        self.wfile.write(b"%x\r\n%s\r\n" % (len(event), event))

    def _body(self) -> dict[str, Any]:
        """Read a request's body; one without any is an empty object."""
        length = self.headers.get("Content-Length", "0")
        if not length.isdigit() or int(length) > LARGEST_BODY or "Transfer-Encoding" in self.headers:
            self.close_connection = True
            raise BadValue("Content-Length", length, f"a number of bytes up to {LARGEST_BODY}")
        return read_body(self.rfile.read(int(length)))

    def _refuse(self, error: TunesmithError) -> None:
        wait = getattr(error, "wait", None)
        again = {} if wait is None else {"Retry-After": str(max(1, ceil(wait)))}
        self._send(error.status, error_body(error), again)

    def _send(self, status: int, content: Mapping[str, Any], headers: Mapping[str, str] | None = None) -> None:
        encoded = _json(content)
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(encoded)))
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(encoded)

    def address_string(self) -> str:
        """Name the client: a Unix socket has no address to tell."""
        return "client"

    def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
        """Leave single requests out of the log."""


def _fault(error: Exception) -> TunesmithError:
    """Return the error to tell; the whole story of one that nobody expected goes to the log."""
    if isinstance(error, TunesmithError):
        return error
    number = f"fault-{secrets.token_hex(4)}"
    print(number, file=sys.stderr)
    traceback.print_exc()
    return NoMemoryLeft() if is_out_of_memory(error) else Broken(number)


def read_body(content: bytes) -> dict[str, Any]:
    """Read a JSON object.

    Raises:
        BadValue: it is none, or no UTF-8, or a text in it is half a character.
    """
    try:
        body = json.loads(content.decode() or "{}")
        if "\\u" in content.decode():
            json.dumps(body, ensure_ascii=False).encode()
    except UnicodeDecodeError as error:
        raise BadValue("body", f"byte {error.start}", "UTF-8") from None
    except UnicodeEncodeError:
        raise BadValue("body", "half a character (a lone surrogate)", "text") from None
    except (ValueError, RecursionError) as error:
        raise BadValue("body", str(error), "JSON") from None
    if not isinstance(body, dict):
        raise BadValue("body", body, "a JSON object")
    return body


def _json(content: Mapping[str, Any]) -> bytes:
    return json.dumps(content, ensure_ascii=False).encode()
