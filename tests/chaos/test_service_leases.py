"""A server and its trainer that were stopped past their lease change nothing when they wake up."""

from __future__ import annotations

import json
import os
import signal
from pathlib import Path

import pytest

from fleet import LightServer, light_job, post, processes_of, until
from tunesmith.runs.folder import RunFolder
from tunesmith.runs.handle import handle_of
from tunesmith.service.context import Service, open_service
from tunesmith.settings import Settings
from tunesmith.spec.ids import job_id_of
from tunesmith.spec.states import RunState
from tunesmith.store import jobs, runs

ROUNDS = int(os.environ.get("CHAOS_ROUNDS", "5"))

pytestmark = pytest.mark.chaos


def test_what_a_stopped_server_and_its_trainer_write_is_stale(
    home: Path, postgres: str, tiny_model: Path, chat_file: Path, tmp_path: Path
) -> None:
    from database import fresh_postgres_database

    with fresh_postgres_database(postgres) as address:
        watched = open_service(Settings(home=home, database_url=address))
        servers: list[LightServer] = []
        try:
            for number in range(ROUNDS):
                _overtaken(watched, servers, address, tiny_model, chat_file, tmp_path / f"out-{number}")
        finally:
            for server in servers:
                if server.process.poll() is None:
                    server.kill()
            for process in processes_of(home):
                process.kill()
            watched.database.close()


def _overtaken(watched: Service, servers: list[LightServer], address: str, model: Path, data: Path, out: Path) -> None:
    home = watched.settings.home
    first = LightServer(home, address, "first").wait()
    servers.append(first)
    id = job_id_of(post([first], "/api/jobs", light_job(model, data, out, steps=4, does="train and wait"))["id"])
    assert id is not None

    def folder(attempt: int) -> RunFolder | None:
        with watched.database.read() as connection:
            found = runs.of_job(connection, id)
        return RunFolder(home / "runs" / found[attempt].id) if len(found) > attempt else None

    old = until(lambda: folder(0), "the job has a run")
    until(lambda: (old.checkpoints_dir / "checkpoint-2").exists(), "the trainer waits at its second step")
    handle = handle_of(old)
    assert handle is not None
    first.kill(signal.SIGSTOP)
    os.killpg(handle.worker.pid, signal.SIGSTOP)

    second = LightServer(home, address, "second").wait()
    servers.append(second)
    until(lambda: _state(watched, id) is RunState.SUCCEEDED, "the second machine has finished the job")
    new = folder(1)
    assert new is not None and new.header().parent == old.id
    published = (out / "run.json").read_bytes()

    os.killpg(handle.worker.pid, signal.SIGCONT)
    first.kill(signal.SIGCONT)
    until(lambda: not handle.is_alive, "the trainer that was overtaken ends by itself")
    assert json.loads((old.path / "exit.json").read_bytes())["code"] == 75
    answers = until(first._answers, "the first server goes on")
    assert answers and _state(watched, id) is RunState.SUCCEEDED
    with watched.database.read() as connection:
        job = jobs.get(connection, id)
    assert job is not None and job.run == new.id
    assert (out / "run.json").read_bytes() == published
    for server in (first, second):
        server.kill()


def _state(watched: Service, id: str) -> RunState | None:
    with watched.database.read() as connection:
        job = jobs.get(connection, id)
    return job.state if job else None
