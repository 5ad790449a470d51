"""Jobs that are cancelled at whatever moment comes, and what must be left of them: nothing."""

from __future__ import annotations

import random
from pathlib import Path

from shop import Shop
from tunesmith.runs.folder import RunFolder
from tunesmith.runs.handle import handle_of
from tunesmith.service.accounts.principal import OPERATOR
from tunesmith.service.jobs import queue
from tunesmith.spec.states import RunState
from tunesmith.store import machines
from tunesmith.store.jobs import Job

PHASES = 60
"""Passes of the supervisor within which a job has come as far as it gets by itself."""


def cancel_at_random(shop: Shop, count: int, moments: random.Random) -> set[RunState]:
    """Cancel so many jobs, each after some passes of the supervisor; return the states in which they were caught."""
    caught = set()
    for number in range(count):
        job = shop.submit(f"job-{number}", does="train and wait", steps=4)
        for _ in range(int(PHASES * moments.random() ** 2)):  # Early moments are shorter, and as many.
            shop.supervisor.turn()
            shop.service.wake.wait(0.02)
        caught.add(queue.get(shop.service, job.id, OPERATOR).state)
        queue.cancel(shop.service, job.id, OPERATOR)
        shop.until_state(job, RunState.CANCELLED)
        refuse_leftovers(shop, job)
    return caught


def refuse_leftovers(shop: Shop, job: Job) -> None:
    """Nothing of the job runs, its devices are free, and it has published nothing."""
    runs = queue.runs_of(shop.service, job)
    folders = [RunFolder(shop.service.settings.runs_dir / run.id) for run in runs]
    assert not [handle for folder in folders if (handle := handle_of(folder)) is not None and handle.is_alive]
    assert all(run.ended_at is not None for run in runs)
    with shop.service.database.read() as connection:
        assert all(device.job is None for device in machines.devices_of(connection))
    assert not (Path(shop.folder) / job.name / "run.json").exists()
    assert shop.states_of(job)[-1] == "cancelled"
