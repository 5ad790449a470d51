"""One serving process: a port, a supervisor, or both; and a graceful end, after which the runs go on."""

from __future__ import annotations

import contextlib
import errno
import secrets
import signal
import socket
import threading
from collections.abc import Callable, Iterator
from types import FrameType
from typing import Final
from urllib.parse import urlsplit, urlunsplit

import uvicorn
from fastapi import FastAPI

from tunesmith.api.app import create_app
from tunesmith.api.middleware.hosts import WILDCARDS, is_loopback
from tunesmith.executors.local import LocalExecutor
from tunesmith.service.accounts import keys
from tunesmith.service.context import Service, open_service
from tunesmith.service.jobs.organisation_defaults import use_model_cache
from tunesmith.service.system.readiness import Supervising
from tunesmith.service.system.server_file import announced
from tunesmith.settings import Settings
from tunesmith.spec.errors import KeysNeeded, PortUnusable

GRACE: Final = 2
"""Seconds that answers which are being given may take when the server stops."""
BACKLOG: Final = 2048
"""Connections that wait to be taken."""
FORGIVEN: Final = {errno.EADDRINUSE: "another program listens there", errno.EACCES: "only root may"}
"""Why a port cannot be listened on, in words."""

Say = Callable[[str], None]


def serve(settings: Settings, say: Say) -> None:
    """Serve until SIGTERM or Ctrl-C.

    Raises:
        PortUnusable: the port is taken, or not ours to take.
        DatabaseUnusable: the database cannot be reached, or lies on a network file system.
        KeysNeeded: others could call without being asked who they are.
    """
    use_model_cache()
    with contextlib.ExitStack() as stack:
        listener = stack.enter_context(listening(settings)) if settings.role != "worker" else None
        service = open_service(settings)
        stack.callback(service.close)
        if listener is not None:
            _refuse_to_be_open(service)
        supervising = _supervising(service, listener, stack)
        for line in _introduction(service, listener):
            say(line)
        if listener is None:
            _wait()
        else:
            _answer(service, listener, supervising)
        say("Stopped. Runs go on by themselves; the next server of this home takes them up again.")


@contextlib.contextmanager
def listening(settings: Settings) -> Iterator[socket.socket]:
    """Take the port before anything else is done."""
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    try:
        listener = socket.create_server((settings.host, settings.port), family=family, backlog=BACKLOG)
        # Connections inherit it. asyncio sets it only on sockets that name their protocol, and without it the second
        # part of each answer waits 40 ms for the first to be acknowledged.
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    except OSError as error:
        why = FORGIVEN.get(error.errno or 0, (error.strerror or str(error)).lower())
        raise PortUnusable(settings.host, settings.port, why) from error
    with listener:
        yield listener


def _refuse_to_be_open(service: Service) -> None:
    settings = service.settings
    if not is_loopback(settings.host) and not settings.trusted_network and not keys.in_force(service):
        raise KeysNeeded(settings.host)


def _supervising(service: Service, listener: socket.socket | None, stack: contextlib.ExitStack) -> Supervising | None:
    if service.settings.role == "api":
        return None
    supervising = Supervising(service, LocalExecutor(), url_of(service.settings, listener) if listener else None)
    supervising.start()
    stack.callback(supervising.stop, GRACE)
    return supervising


def _introduction(service: Service, listener: socket.socket | None) -> Iterator[str]:
    """Say where the server is, who may call, what it works on and with."""
    settings = service.settings
    if listener is None:
        yield "tunesmith works on the queue; it opens no port."
    else:
        yield f"tunesmith answers at {url_of(settings, listener)} (try /docs)."
        yield f"Who may call: {_callers(service)}."
    yield f"Home: {settings.home}. Database: {_without_password(service.database.url)}."
    if settings.role != "api":
        yield f"Devices: {_devices(settings)}."


def _callers(service: Service) -> str:
    settings = service.settings
    if keys.in_force(service):
        return "whoever has a key"
    if is_loopback(settings.host):
        return "everybody on this machine, as there are no keys; `tunesmith keys create` makes the first one"
    return f"everybody who calls it {' or '.join(settings.trusted_network)}, without a key"


def _without_password(url: str) -> str:
    parts = urlsplit(url)
    if "@" not in parts.netloc:
        return url
    user, at, place = parts.netloc.rpartition("@")
    return urlunsplit(parts._replace(netloc=f"{user.partition(':')[0]}{at}{place}", query=""))


def _devices(settings: Settings) -> str:
    from tunesmith.planning.gpus import gpus

    cpus = f"{settings.cpu_slots} job{'s' if settings.cpu_slots != 1 else ''} at once on the CPU"
    found = [gpu.name for gpu in gpus()] if settings.device != "cpu" else []
    names = ", ".join(found) or "no GPU"
    return {"cpu": cpus, "gpu": names, "any": f"{cpus}; {names}"}[settings.device]


def url_of(settings: Settings, listener: socket.socket) -> str:
    """Return the address under which a listener is called from this machine."""
    host = settings.host if settings.host not in WILDCARDS else "127.0.0.1"
    return f"http://{f'[{host}]' if ':' in host else host}:{listener.getsockname()[1]}"


def _answer(service: Service, listener: socket.socket, supervising: Supervising | None) -> None:
    """Answer requests until a signal comes."""
    token = secrets.token_urlsafe(32)
    app = create_app(service, token)
    app.state.supervising = supervising
    config = uvicorn.Config(
        app,
        log_config=None,
        log_level="warning",
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=GRACE,
    )
    with announced(service.settings, url_of(service.settings, listener), token), signals_only_end_the_server():
        _Server(config, app).run(sockets=[listener])


class _Server(uvicorn.Server):
    """Ends the streams as soon as it is told to stop: by themselves they would go on for ever."""

    def __init__(self, config: uvicorn.Config, app: FastAPI) -> None:
        super().__init__(config)
        self._app = app

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        self._app.state.broadcast.closing.set()
        super().handle_exit(sig, frame)


@contextlib.contextmanager
def signals_only_end_the_server() -> Iterator[None]:
    """Keep a signal that ended the server from ending the process too: uvicorn raises it once more when it is done."""
    before = {number: signal.signal(number, lambda *_: None) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _wait() -> None:
    """Wait for a signal, in a process that opens no port."""
    stop = threading.Event()
    before = {number: signal.signal(number, lambda *_: stop.set()) for number in (signal.SIGTERM, signal.SIGINT)}
    # A wait without an end would keep the signal's handler from being called on some systems.
    while not stop.wait(3600):
        pass
    for number, handler in before.items():
        signal.signal(number, handler)
