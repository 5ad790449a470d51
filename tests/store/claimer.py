"""Claims jobs until none are left: ``python claimer.py DATABASE_URL OWNER``. A claim is a line: owner, job, device."""

from __future__ import annotations

import sys
import time

from tunesmith.spec.states import RunState
from tunesmith.store import claims, jobs, machines
from tunesmith.store.claims import Place
from tunesmith.store.database import Database


def main(url: str, owner: str) -> None:
    database = Database(url)
    while True:
        with database.read() as connection:
            groups = claims.groups(connection, time.time())
        if not groups:
            return
        with database.write() as connection:
            now = time.time()
            place = Place("m", "cpu", 1)
            job = claims.claim(
                connection, groups[0].oldest, place, owner=owner, now=now, until=now + 9, max_running=1000
            )
            if job is None:
                connection.rollback()
                continue
            (device,) = machines.held_by(connection, job.id)
        with database.write() as connection:
            held = machines.held_by(connection, job.id)
            assert [(each.number, each.token) for each in held] == [(device.number, job.lease_token)], held
            assert jobs.move(connection, job.id, RunState.SUCCEEDED, token=job.lease_token)
            assert len(claims.release(connection, job.id)) == 1
        print(owner, job.id, device.number, flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
