"""A serve run without a model: the real harness, reading and rendering, and an engine that says who it is.

Each answer is the name of the adapter's folder (or ``base``) and the last turn; a last turn ``for ever`` goes on until
its client leaves. Files in the folder of a base decide what its process does: with ``broken`` it fails at the start,
with ``mute`` it dies there, with ``slow`` it waits for a file ``go``, with ``large`` it takes 100 MB more. An adapter
with ``not-per-row`` can only be merged.
"""

from __future__ import annotations

import itertools
import json
import os
import shutil
import signal
import socketserver
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

from tunesmith.generation.asking import Token
from tunesmith.runs.folder import Kind, RunFolder
from tunesmith.runs.liveness import is_alive
from tunesmith.spec.errors import AdapterNotPerRow, NotALanguageModel, ServerBusy, TunesmithError
from tunesmith.spec.events import Serving
from tunesmith.spec.states import Request as Asked
from tunesmith.worker.__main__ import main
from tunesmith.worker.reporting import Reporter
from tunesmith.worker.serving.answers import Answers
from tunesmith.worker.serving.endpoints import ENDPOINTS
from tunesmith.worker.serving.faults import error_body
from tunesmith.worker.serving.presence import Presence
from tunesmith.worker.serving.requests import Request
from tunesmith.worker.serving.writing import Writing

MOMENT = 0.005
LIFETIME = 120
"""Seconds after which a worker that a failed test forgot ends itself."""
WORKER = (__file__,)
"""What ``LocalExecutor(worker=...)`` wants."""
END = 0
BALLAST = 100_000_000


class Letters:
    """One token is one letter."""

    def decode(self, ids: Any) -> str:
        return "".join(map(chr, ids))

    def bytes_of(self, token: int) -> bytes:
        return chr(token).encode()

    def text_of(self, token: int) -> str:
        return chr(token)


class Said(Iterator[Token]):
    """The tokens of one answer."""

    def __init__(self, engine: Engine, text: str, limit: int) -> None:
        self.prompt_tokens = 4
        self._engine = engine
        self._closed = threading.Event()
        self._endless = text.endswith("for ever")
        letters = itertools.cycle(text) if self._endless else text
        self._left = itertools.islice(itertools.chain(map(ord, letters), [END]), limit)
        engine.running += 1

    def __next__(self) -> Token:
        if self._closed.wait(MOMENT if self._endless else 0):
            raise StopIteration
        try:
            token = next(self._left)
        except StopIteration:
            self.close()
            raise
        self._engine.tokens += 1
        return Token(token, -0.5, ((token, -0.5),))

    def close(self) -> None:
        if not self._closed.is_set():
            self._closed.set()
            self._engine.running -= 1


class Engine:
    """Says who it is."""

    def __init__(self, request: Mapping[str, Any]) -> None:
        self.name = str(request["name"])
        self.request = request
        self.running = 0
        self.tokens = 0
        self.adapters: dict[str, float] = {}

    def write(self, request: Request) -> Answers:
        if self.running >= self.request["rows"] + self.request["waiting"]:
            raise ServerBusy(self.request["waiting"], 3.0)
        own = self.request["merge"] or self.request["checkpoint"]
        if request.adapter:
            self.load(request.adapter)
        [prompt] = request.prompts
        turn = prompt if isinstance(prompt, str) else prompt.messages[-1].content  # type: ignore[union-attr]
        said = Said(self, f"{Path(request.adapter or own or 'base').name}: {turn}", request.max_tokens or 1_000_000)
        letters = Letters()
        written = Writing(said, letters.decode, stop_ids=frozenset({END}), stop=())
        return Answers(request, [written], [""], letters, "fp_scripted")

    def load(self, adapter: str) -> dict[str, Any]:
        if (Path(adapter) / "not-per-row").exists():
            raise AdapterNotPerRow(Path(adapter), "it trains embeddings")
        self.adapters[adapter] = time.time()
        return {"adapter": adapter, "bytes": 1234, "rank": 8, "live": {"trained": True, "difference": 1.0}}

    def unload(self, adapter: str) -> bool:
        return self.adapters.pop(adapter, None) is not None

    def health(self) -> dict[str, Any]:
        listed = [{"adapter": folder, "bytes": 1234, "used_at": used} for folder, used in self.adapters.items()]
        return {
            "status": "ok", "adapters": listed, "running": self.running, "waiting": 0, "tokens": self.tokens,
        }  # fmt: skip


class Server(socketserver.ThreadingMixIn, socketserver.UnixStreamServer):
    daemon_threads = True
    block_on_close = False
    request_queue_size = 512
    engine: Engine
    presence: Presence


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Server

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers.get("Content-Length") or 0)) or b"{}")
        try:
            reply = ENDPOINTS[self.command, self.path](self.server.engine, body)
            if isinstance(reply, Mapping):
                self.send(200, reply)
                return
            with reply.answers, self.server.presence.of(self.connection, reply.answers.close):
                if reply.chunks is None:
                    self.send(200, reply.whole())
                    return
                self.send_response(200)
                self.send_header("Connection", "close")
                self.end_headers()
                for chunk in reply.chunks():
                    self.wfile.write(b"data: " + json.dumps(chunk).encode() + b"\n\n")
                self.wfile.write(b"data: [DONE]\n\n")
        except TunesmithError as error:
            self.send(error.status, error_body(error), getattr(error, "wait", None))

    do_GET = do_DELETE = do_POST

    def send(self, status: int, content: Mapping[str, Any], wait: float | None = None) -> None:
        encoded = json.dumps(content).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(encoded)))
        if wait is not None:
            self.send_header("Retry-After", f"{wait:.0f}")
        self.end_headers()
        self.wfile.write(encoded)

    def address_string(self) -> str:
        return "client"

    def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
        pass


def run(run: RunFolder, reporter: Reporter) -> None:
    request = run.header().request or {}
    base = Path(request["model"])
    if (base / "broken").exists():
        raise NotALanguageModel(str(base), "it is broken")
    if (base / "mute").exists():
        os.kill(os.getpid(), signal.SIGKILL)
    while (base / "slow").exists() and not (base / "go").exists():
        time.sleep(MOMENT)
    ballast = b"\1" * BALLAST if (base / "large").exists() else b""
    folder = Path(tempfile.mkdtemp(prefix="t-"))
    with Server(str(folder / "s"), Handler) as server:
        server.engine, server.presence = Engine(request), Presence()
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        reporter.say(Serving(socket=str(folder / "s")))
        while is_alive(run.header().creator) and reporter.request() is Asked.NONE:
            time.sleep(MOMENT)
    del ballast
    shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    signal.alarm(LIFETIME)
    sys.path.insert(0, str(Path(__file__).parent))
    sys.exit(main(Path(sys.argv[1]), dict.fromkeys(Kind, "scripted_server:run")))
