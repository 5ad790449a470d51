"""A server whose jobs are done by the scripted worker: all of the service, and no model.

``python light_server.py HOME DATABASE_URL PORT MACHINE SLOTS [real]``; with ``real`` the jobs really train.
"""

from __future__ import annotations

import secrets
import sys
import threading
from pathlib import Path

import uvicorn

sys.path.insert(0, str(Path(__file__).parent))

from scripted_worker import WORKER
from tunesmith.api.app import create_app
from tunesmith.executors.local import LocalExecutor
from tunesmith.service.context import open_service
from tunesmith.service.supervisor.supervisor import Supervisor
from tunesmith.service.system.server_file import announced
from tunesmith.settings import Settings


def main(home: str, database_url: str, port: str, machine: str, slots: str, kind: str = "light") -> None:
    """Serve until the process is ended."""
    settings = Settings(
        home=Path(home),
        database_url=database_url,
        port=int(port),
        machine=machine,
        cpu_slots=int(slots),
        poll_seconds=0.05,
        retry_seconds=0.1,
        lease_seconds=3.0,
        # Whatever dies here was killed by the test and is no fault of the job.
        max_attempts=100,
        rate_limit=0,
    )
    service = open_service(settings)
    executor = LocalExecutor() if kind == "real" else LocalExecutor(worker=WORKER)
    stop = threading.Event()
    supervising = threading.Thread(target=Supervisor(service, executor).run, args=(stop,), daemon=True)
    supervising.start()
    token = secrets.token_hex()
    with announced(settings, f"http://127.0.0.1:{port}", token):
        uvicorn.run(create_app(service, token), host="127.0.0.1", port=int(port), log_level="warning")
    stop.set()
    supervising.join(timeout=10)


if __name__ == "__main__":
    main(*sys.argv[1:])
