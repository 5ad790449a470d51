from __future__ import annotations

import logging
import subprocess
import threading
from pathlib import Path

import pytest

from database import as_postgres, postgres_bin, postgres_server
from fleet import until
from require import need
from scripted_worker import WORKER
from shop import Shop
from tunesmith.executors.local import LocalExecutor
from tunesmith.runs.handle import handle_of
from tunesmith.service.context import open_service
from tunesmith.service.supervisor.supervisor import Supervisor
from tunesmith.settings import Settings
from tunesmith.spec.states import RunState


def test_a_database_that_goes_away_stops_neither_supervisor_nor_runs(
    home: Path, tmp_path: Path, tiny_model: Path, chat_file: Path, caplog: pytest.LogCaptureFixture
) -> None:
    need(postgres_bin() is not None, "PostgreSQL's server binaries are not installed")
    caplog.set_level(logging.WARNING)
    with postgres_server(tmp_path / "server") as address:
        service = open_service(Settings(home=home, database_url=address, poll_seconds=0.02))
        supervisor, stop = Supervisor(service, LocalExecutor(worker=WORKER)), threading.Event()
        shop = Shop(service, tiny_model, chat_file, tmp_path, supervisor)
        job = shop.submit(steps=60)
        loop = threading.Thread(target=supervisor.run, args=(stop,))
        loop.start()
        try:
            until(lambda: shop.job(job).progress.get("step", 0) >= 2, "the run trains")
            handle = handle_of(shop.run_of(job))
            assert handle is not None
            port = address.split(":")[-1].split("/")[0]
            data = tmp_path / "server" / "postgres"
            control = [str(postgres_bin() / "pg_ctl"), "-D", str(data), "-w"]  # type: ignore[operator]
            options = f"-p {port} -c listen_addresses=127.0.0.1 -c unix_socket_directories=''"
            run = {"check": True, "capture_output": True, "cwd": "/"}
            subprocess.run(as_postgres([*control, "-m", "immediate", "stop"]), **run)  # type: ignore[call-overload]
            until(lambda: any("cannot be used now" in told for told in caplog.messages), "the loop says so")
            until(lambda: not handle.is_alive, "the run ends meanwhile")
            start = [*control, "-l", str(data / "log"), "-o", options, "start"]
            subprocess.run(as_postgres(start), **run)  # type: ignore[call-overload]
            until(lambda: shop.job(job).state is RunState.SUCCEEDED, "what the run said meanwhile is stored")
        finally:
            stop.set()
            service.wake.set()
            loop.join(30)
            service.close()
        assert not any("broke off" in told for told in caplog.messages)
