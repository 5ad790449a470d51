"""Runs that the command line started without a server are followed by a server that is started later."""

from __future__ import annotations

import os
import signal

import pytest

from sample_plan import sample_plan
from scripted_worker import WORKER
from shop import Shop
from tunesmith.executors.local import LocalExecutor
from tunesmith.runs import lease
from tunesmith.runs.control import ask
from tunesmith.runs.folder import RunFolder
from tunesmith.runs.handle import handle_of
from tunesmith.service.accounts.principal import OPERATOR
from tunesmith.service.jobs import queue
from tunesmith.service.jobs.queue import Job, Wanted
from tunesmith.service.jobs.submit import start
from tunesmith.spec.states import Request, RunState
from tunesmith.store import jobs


def start_by_hand(shop: Shop, does: str = "train and wait") -> RunFolder:
    plan = sample_plan(shop.folder / "by-hand", does=does, max_steps=4)
    return start(plan, shop.service.settings, executor=LocalExecutor(worker=WORKER))


def followed(shop: Shop) -> Job:
    """Go round until the run has become a job whose numbers are read."""

    def there() -> Job | None:
        found = queue.listed(shop.service, Wanted(doors=["cli"]), OPERATOR)
        return found[0] if found and found[0].progress.get("step") == 2 else None

    job: Job = shop.turn_until(there)
    return job


def test_a_living_one_is_followed_and_can_be_cancelled(shop: Shop) -> None:
    run = start_by_hand(shop)
    job = followed(shop)
    assert (job.run, job.state, job.lease_owner) == (run.id, RunState.RUNNING, shop.supervisor.id)
    kinds = [event.kind for event in queue.events_of(shop.service, job) if event.kind != "job"]
    assert kinds == ["started", "step", "step"]
    queue.cancel(shop.service, job.id, OPERATOR)
    shop.until_state(job, RunState.CANCELLED)


def test_one_that_was_paused_by_hand_stays_so_and_can_be_resumed_as_a_job(shop: Shop) -> None:
    run = start_by_hand(shop)
    job = followed(shop)
    ask(run, Request.PAUSE)
    shop.until_state(job, RunState.PAUSED)
    for _ in range(5):
        shop.supervisor.turn()
    assert shop.job(job).state is RunState.PAUSED
    queue.resume(shop.service, job.id, OPERATOR)
    done = shop.until_state(job, RunState.SUCCEEDED)
    assert done.run != run.id
    header = shop.run_of(job).header()
    assert (header.parent, header.job) == (run.id, job.id)
    assert done.result is not None and done.result["summary"]["steps"] == 4


def test_one_that_is_killed_is_a_failed_job_and_not_tried_again(shop: Shop) -> None:
    run = start_by_hand(shop)
    job = followed(shop)
    handle = handle_of(run)
    assert handle is not None
    os.killpg(handle.worker.pid, signal.SIGKILL)
    shop.turn_until(lambda: shop.job(job).state is RunState.FAILED)
    assert len(queue.runs_of(shop.service, job)) == 1
    assert "killed" in (shop.job(job).reason or "")


@pytest.mark.parametrize("does", ["train", "lack data"])
def test_one_that_has_ended_is_listed_as_it_ended(shop: Shop, does: str) -> None:
    handle = handle_of(start_by_hand(shop, does))
    while handle is not None and handle.is_alive:
        pass
    state = RunState.SUCCEEDED if does == "train" else RunState.FAILED
    shop.turn_until(lambda: queue.listed(shop.service, Wanted(states=[state]), OPERATOR))


def test_one_of_a_machine_that_is_silent_stays_that_machines(shop: Shop) -> None:
    if shop.service.database.is_sqlite:
        pytest.skip("a database in a file is one machine's")
    run = start_by_hand(shop)
    job = followed(shop)
    with shop.service.database.write() as connection:
        jobs.change(connection, job.id, lease_until=0.0)
    other = shop.another(machine="other")
    other.turn()
    assert shop.job(job).lease_owner == shop.supervisor.id and not (run.path / lease.FILE).exists()
    queue.cancel(shop.service, job.id, OPERATOR)
    shop.until_state(job, RunState.CANCELLED)
