"""Servers, supervisors, trainers and their parents are killed at random under a thousand jobs: nothing is lost.

``CHAOS_JOBS``, ``CHAOS_KILLS`` and ``CHAOS_SEED`` change the size and the moments.
"""

from __future__ import annotations

import os
import random
import signal
import sqlite3
import subprocess
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from fleet import LightServer, fleet, light_job, living_runs, post, processes_of, until
from tunesmith.service.context import Service, open_service
from tunesmith.settings import Settings
from tunesmith.spec.states import JOB_OVER, RunState
from tunesmith.store import events, jobs
from tunesmith.store.tables import devices, models

JOBS = int(os.environ.get("CHAOS_JOBS", "1000"))
KILLS = int(os.environ.get("CHAOS_KILLS", "200"))
SEED = int(os.environ.get("CHAOS_SEED", "0")) or random.SystemRandom().randrange(1, 10**6)
SERVERS = 4
LIMIT = 1500.0
"""Seconds for all of it."""

pytestmark = pytest.mark.chaos


@pytest.fixture
def watched(home: Path, database_url: str) -> Iterator[Service]:
    """A look at the database that belongs to no server."""
    service = open_service(Settings(home=home, database_url=database_url))
    yield service
    service.database.close()


def test_a_thousand_jobs_survive_two_hundred_kills(
    watched: Service, home: Path, database_url: str, tiny_model: Path, chat_file: Path, tmp_path: Path
) -> None:
    survive(watched, database_url, tiny_model, chat_file, tmp_path / "out", count=JOBS, kills=KILLS, kind="light")


def test_twenty_real_trainings_survive_kills(
    watched: Service, home: Path, database_url: str, tiny_model: Path, chat_file: Path, tmp_path: Path
) -> None:
    survive(watched, database_url, tiny_model, chat_file, tmp_path / "out", count=20, kills=20, kind="real")


def survive(
    watched: Service, database_url: str, model: Path, data: Path, out: Path, *, count: int, kills: int, kind: str
) -> None:
    print(f"CHAOS_SEED={SEED}")
    moments, home = random.Random(SEED), watched.settings.home
    with fleet(home, database_url, SERVERS, slots=2, kind=kind) as servers:
        bodies = [light_job(model, data, out / f"job-{number}", steps=10) for number in range(count)]
        with ThreadPoolExecutor(4) as pool:
            submitted = pool.map(lambda body: post(servers, "/api/jobs", body)["id"], bodies)
            killed = hurt(servers, home, moments, kills, lambda: done(watched, count))
            ids = set(submitted)
        assert len(ids) == count
        until(lambda: done(watched, count), "all jobs are over", LIMIT)
        print(f"killed: {dict(killed)}")
        refuse_losses(watched, count, out)
        for server in servers:
            server.kill()
        until(lambda: not processes_of(home), f"no process is left: {processes_of(home)}", 20)
    if watched.database.is_sqlite:
        with sqlite3.connect(home.parent / "tunesmith.db") as connection:
            assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)


def hurt(servers: list[LightServer], home: Path, moments: random.Random, kills: int, over: Any) -> Counter[str]:
    """Kill something again and again, as often as asked or until there is nothing left to hurt."""
    killed: Counter[str] = Counter()
    end = time.monotonic() + LIMIT
    while sum(killed.values()) < kills and time.monotonic() < end and not over():
        what = moments.choice(["trainer", "trainer", "parent", "server"])
        if what == "server":
            server = moments.choice(servers)
            server.kill()
            server.restart()
            killed[what] += 1
        elif living := living_runs(home):
            handle = moments.choice(living)
            with suppress(ProcessLookupError):
                if what == "trainer":
                    os.killpg(handle.worker.pid, signal.SIGKILL)
                else:
                    os.kill(handle.parent.pid, signal.SIGKILL)
                killed[what] += 1
        time.sleep(moments.uniform(0.1, 1.0))
    return killed


def done(watched: Service, count: int) -> bool:
    with suppress(Exception):
        with watched.database.read() as connection:
            found = jobs.counts(connection)
        return sum(number for (_, state), number in found.items() if state in JOB_OVER) >= count
    return False


def refuse_losses(watched: Service, count: int, out: Path) -> None:
    """Every job succeeded once, left its result, and holds no device."""
    with watched.database.read() as connection:
        states = jobs.counts(connection)
        assert {state: number for (_, state), number in states.items()} == {RunState.SUCCEEDED: count}
        assert not [row for row in connection.execute(devices.select()) if row.job is not None]
        recorded = Counter(row.job for row in connection.execute(models.select()))
    assert len(recorded) == count and set(recorded.values()) == {1}
    completions = Counter(event.job for event in told(watched) if event.body.get("state") == "succeeded")
    assert len(completions) == count and set(completions.values()) == {1}
    for number in range(count):
        assert (out / f"job-{number}" / "run.json").is_file()


def told(watched: Service) -> Iterator[events.StoredEvent]:
    """Yield every event that the service said of a job."""
    cursor = 0
    while True:
        with watched.database.read() as connection:
            page = events.after(connection, cursor, limit=5000)
        if not page:
            return
        yield from (event for event in page if event.kind == "job")
        cursor = page[-1].id


def test_postgresql_stops_at_once_twenty_times_and_loses_nothing(
    tmp_path: Path, home: Path, tiny_model: Path, chat_file: Path
) -> None:
    from database import postgres_bin, postgres_server
    from require import need

    need(postgres_bin() is not None, "PostgreSQL's server binaries are not installed")
    count, out = min(JOBS, 100), tmp_path / "out"
    with postgres_server(tmp_path / "stopped") as address:
        watched = open_service(Settings(home=home, database_url=address))
        with fleet(home, address, 2, slots=1) as servers:
            bodies = [light_job(tiny_model, chat_file, out / f"job-{number}") for number in range(count)]
            with ThreadPoolExecutor(2) as pool:
                submitted = pool.map(lambda body: post(servers, "/api/jobs", body)["id"], bodies)
                for _ in range(20):
                    _restart(tmp_path / "stopped" / "postgres", address)
                    time.sleep(1.0)
                assert len(set(submitted)) == count
            until(lambda: done(watched, count), "all jobs are over", 600)
            refuse_losses(watched, count, out)
        watched.database.close()


def _restart(data: Path, address: str) -> None:
    from database import as_postgres, postgres_bin

    control = [str(postgres_bin() / "pg_ctl"), "-D", str(data), "-w"]  # type: ignore[operator]
    subprocess.run(as_postgres([*control, "-m", "immediate", "stop"]), check=True, capture_output=True, cwd="/")
    options = f"-p {address.split(':')[-1].split('/')[0]} -c listen_addresses=127.0.0.1 -c unix_socket_directories=''"
    start = [*control, "-l", str(data / "log"), "-o", f"{options} -c max_connections=200", "start"]
    subprocess.run(as_postgres(start), check=True, capture_output=True, cwd="/")
