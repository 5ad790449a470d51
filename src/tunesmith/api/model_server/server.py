"""One process that serves one model: it takes the port, loads, answers, and ends what it started."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Final

import uvicorn

from tunesmith.api.middleware.hosts import is_loopback
from tunesmith.api.model_server.app import LARGEST, create_app
from tunesmith.api.model_server.model import ServedModel
from tunesmith.api.model_server.page import load_page
from tunesmith.api.server import GRACE, listening, signals_only_end_the_server, url_of
from tunesmith.service.accounts import keys
from tunesmith.service.context import Service, open_service
from tunesmith.service.serving.pool import ServingPool
from tunesmith.spec.errors import KeysNeeded

if TYPE_CHECKING:
    from tunesmith.service.serving.standalone import Standalone
    from tunesmith.settings import Settings

FOR_EVER: Final = 1e9
"""Minutes after which a model that nobody asks leaves: it is all that this server has."""

Say = Callable[[str], None]


def serve(settings: Settings, about: Standalone, say: Say, *, streams: bool = False, page: Path | None = None) -> None:
    """Serve a model until SIGTERM or Ctrl-C.

    Raises:
        PortUnusable: the port is taken, or not ours to take.
        KeysNeeded: others could call without being asked who they are.
        UnreadableFile: the page cannot be read.
        TunesmithError: whatever keeps the model from being loaded.
    """
    with contextlib.ExitStack() as stack:
        shown = load_page(page)
        listener = stack.enter_context(listening(settings))
        service = _asked_for_keys(settings, stack)
        pool = ServingPool(
            settings.model_copy(update={"serve_idle_minutes": FOR_EVER}), device=about.device, precision=about.precision
        )
        stack.callback(pool.close)
        for note in about.notes:
            say(f"Note: {note}")
        say(f"Loading {_who(about)} ...")
        pool.load(about.target)
        model = ServedModel(about, pool, shown, streams)
        config = uvicorn.Config(
            create_app(model, settings, service),
            log_config=None,
            log_level="warning",
            access_log=False,
            server_header=False,
            ws_max_size=LARGEST,
            timeout_graceful_shutdown=GRACE,
        )
        for line in _introduction(settings, url_of(settings, listener), service):
            say(line)
        with signals_only_end_the_server():
            uvicorn.Server(config).run(sockets=[listener])
        say("Stopped.")


def _asked_for_keys(settings: Settings, stack: contextlib.ExitStack) -> Service | None:
    """Return the service whose keys are asked for: of nobody on this machine, of everybody where others can call."""
    if is_loopback(settings.host):
        return None
    # Requests are counted by address here, key or not.
    service = open_service(settings.model_copy(update={"rate_limit": 0}))
    stack.callback(service.close)
    if not settings.trusted_network and not keys.in_force(service):
        raise KeysNeeded(settings.host)
    return service


def _who(about: Standalone) -> str:
    adapter = about.target.adapter
    with_adapter = f" with the adapter in {adapter}" if adapter is not None else ""
    return f"{about.target.name}{with_adapter} on {about.device} in {about.precision}"


def _introduction(settings: Settings, url: str, service: Service | None) -> Iterator[str]:
    yield f"The model answers at {url} (a page to talk to it; /docs lists its routes). Ctrl-C ends."
    if service is None:
        yield "Who may call: everybody on this machine."
    elif keys.in_force(service):
        yield "Who may call: whoever has a key."
    else:
        yield f"Who may call: everybody who calls it {' or '.join(settings.trusted_network)}, without a key."
