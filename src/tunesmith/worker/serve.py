"""A serve run: a loaded model that answers chat completions on a Unix socket until nobody needs it.

The run's request::

    {"model": "/folder", "adapter": "/folder" or null, "name": "what answers call the model", "device": "cpu",
     "precision": "bf16"}

The run ends when it is asked to, and when the process that made it is gone, however that went.
"""

from __future__ import annotations

import os
import shutil
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from tunesmith.runs.liveness import is_alive
from tunesmith.spec.errors import Cancelled
from tunesmith.spec.events import Phase, Serving
from tunesmith.spec.states import Request as Asked
from tunesmith.worker.chat_server import ChatServer
from tunesmith.worker.completions import Request

if TYPE_CHECKING:
    from tunesmith.modalities.text.encode import TextEncoder
    from tunesmith.modalities.text.predictor import Answer, TextPredictor
    from tunesmith.runs.folder import RunFolder
    from tunesmith.worker.reporting import Reporter

LOOK_EVERY: Final = 0.1
"""Seconds between two looks at whether the run should end."""


def run(run: RunFolder, reporter: Reporter) -> None:
    """Load what the run's request names, and answer until asked to end or until the client is gone."""
    request: dict[str, Any] = run.header().request or {}
    reporter.say(Phase(name="loading the model"))
    engine = load_engine(request)
    with _socket_path() as path, ChatServer(path, engine) as server:
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": LOOK_EVERY}, daemon=True).start()
        reporter.say(Serving(socket=str(path)))
        asked = _until_over(run, reporter)
        server.shutdown()
    if asked is not Asked.NONE:
        reporter.acknowledge(asked, 0)
        raise Cancelled(run.id)
    reporter.finish({}, None)


def _until_over(run: RunFolder, reporter: Reporter) -> Asked:
    """Wait until the run is asked to end, or its creator is gone."""
    creator = run.header().creator
    while is_alive(creator):
        asked = reporter.request()
        if asked in (Asked.PAUSE, Asked.CANCEL):
            return asked
        time.sleep(LOOK_EVERY)
    return Asked.NONE


@contextmanager
def _socket_path() -> Iterator[Path]:
    """Give a short path that only this user can reach: the address of a Unix socket has 108 bytes."""
    folder = Path(tempfile.mkdtemp(prefix="tunesmith-", dir=_short_folder()))
    try:
        yield folder / "chat.sock"
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _short_folder() -> str | None:
    runtime = os.environ.get("XDG_RUNTIME_DIR", "")
    if runtime and len(runtime) < 60 and os.access(runtime, os.W_OK):
        return runtime
    return "/tmp" if os.access("/tmp", os.W_OK) else None


class Engine:
    """A predictor with the encoder of its prompts."""

    def __init__(self, name: str, predictor: TextPredictor, encoder: TextEncoder) -> None:
        self.name = name
        self._predictor = predictor
        self._encoder = encoder

    def answer(self, request: Request) -> Answer:
        """Start the answer to a request."""
        prompt = request.prompt
        ids = self._encoder.text(prompt) if isinstance(prompt, str) else self._encoder.prompt(prompt)
        return self._predictor.answer(ids, request.sampling)


def load_engine(request: dict[str, Any]) -> Engine:
    """Load model, adapter and tokenizer; an adapter folder's own tokenizer and template win."""
    from tunesmith.modalities.text.encode import TextEncoder
    from tunesmith.modalities.text.predictor import load_predictor

    model = Path(request["model"])
    adapter = Path(request["adapter"]) if request.get("adapter") else None
    own_tokenizer = adapter is not None and (adapter / "tokenizer.json").is_file()
    encoder = TextEncoder(adapter if adapter is not None and own_tokenizer else model)
    predictor = load_predictor(
        model, encoder=encoder, adapter=adapter, device=request["device"], precision=request["precision"]
    )
    return Engine(request.get("name") or model.name, predictor, encoder)
