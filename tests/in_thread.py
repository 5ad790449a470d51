"""A real server on loopback, in a thread of the test's process."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

import uvicorn

from fleet import until
from tunesmith.api.app import create_app
from tunesmith.executors.local import LocalExecutor
from tunesmith.service.context import Service
from tunesmith.service.supervisor.supervisor import Supervisor


@contextmanager
def served(service: Service, *, supervised: bool = False) -> Iterator[str]:
    """Serve, with a supervisor whose workers really train where one is wanted; give the address."""
    server = uvicorn.Server(uvicorn.Config(create_app(service), host="127.0.0.1", port=0, log_level="warning"))
    stop = threading.Event()
    threads = [threading.Thread(target=server.run)]
    if supervised:
        threads.append(threading.Thread(target=Supervisor(service, LocalExecutor()).run, args=(stop,)))
    for thread in threads:
        thread.start()
    until(lambda: server.started, "the server listens")
    try:
        yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    finally:
        server.should_exit = True
        stop.set()
        for thread in threads:
            thread.join(timeout=30)
