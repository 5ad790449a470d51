"""A serve run: a loaded model that answers OpenAI's requests on a Unix socket until nobody needs it.

The run's request::

    {"model": "/folder", "name": "what answers call the model", "device": "cpu", "precision": "bf16",
     "merge": "/folder", "checkpoint": "/folder", "adapter": "/folder",
     "rows": 8, "waiting": 64, "adapter_bytes": 1000000000}

Only the first line is needed. ``merge`` is an adapter that is merged into the model in memory, ``checkpoint`` one of a
full training of this model, ``adapter`` what answers requests that name none (merged if it cannot share a batch). Of
``rows`` answers are written at once, ``waiting`` wait, adapters take ``adapter_bytes``; what is left out is
``Decoder``'s. Wherever an adapter's folder is named, a checkpoint of a run that trains an adapter may stand.

What can be asked: ``serving/endpoints.py``. A completion's body is OpenAI's and two fields besides: ``adapter``
(folder; null asks the model as it is) and ``served_as`` (what the answer calls the model).

The run ends when it is asked to, and when the process that made it is gone, however that went.
"""

from __future__ import annotations

import os
import shutil
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from tunesmith.runs.liveness import is_alive
from tunesmith.spec.errors import Cancelled
from tunesmith.spec.events import Phase, Serving
from tunesmith.spec.states import Request as Asked

if TYPE_CHECKING:
    from tunesmith.runs.folder import RunFolder
    from tunesmith.worker.reporting import Reporter

LOOK_EVERY: Final = 0.1
"""Seconds between two looks at whether the run should end."""


def run(run: RunFolder, reporter: Reporter) -> None:
    """Load what the run's request names, and answer until asked to end or until the client is gone."""
    from tunesmith.worker.serving.loading import load_engine
    from tunesmith.worker.serving.socket_server import SocketServer

    request: dict[str, Any] = run.header().request or {}
    reporter.say(Phase(name="loading the model"))
    engine = load_engine(request, run.path / "adapters")
    with _socket_path() as path, SocketServer(path, engine) as server, closing(engine):
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
