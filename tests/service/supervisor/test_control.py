from __future__ import annotations

import os
import random
import signal
from typing import Any

import pytest

from cancels import cancel_at_random
from shop import Shop
from tunesmith.runs.handle import handle_of
from tunesmith.runs.liveness import is_alive
from tunesmith.service.accounts.principal import OPERATOR
from tunesmith.service.jobs import queue
from tunesmith.spec.states import RunState
from tunesmith.store import machines


def free(shop: Shop) -> bool:
    with shop.service.database.read() as connection:
        return all(device.job is None for device in machines.devices_of(connection))


def test_a_running_job_is_paused_and_goes_on_where_it_stopped(shop: Shop) -> None:
    job = shop.submit(does="train and wait", steps=4)
    shop.turn_until(lambda: shop.job(job).progress.get("step") == 2)
    queue.pause(shop.service, job.id, OPERATOR)
    paused = shop.until_state(job, RunState.PAUSED)
    assert paused.request == "none" and paused.ended_at is None and free(shop)
    first = shop.run_of(job)

    queue.resume(shop.service, job.id, OPERATOR)
    shop.until_state(job, RunState.SUCCEEDED)
    assert shop.run_of(job).header().parent == first.id
    steps = [event.body["step"] for event in queue.events_of(shop.service, job, limit=999) if event.kind == "step"]
    assert steps == [1, 2, 3, 4]


def test_a_running_job_is_cancelled_and_leaves_nothing_behind(shop: Shop) -> None:
    job = shop.submit(does="wait")
    shop.until_state(job, RunState.RUNNING)
    handle = handle_of(shop.run_of(job))
    queue.cancel(shop.service, job.id, OPERATOR)
    cancelled = shop.until_state(job, RunState.CANCELLED)
    assert cancelled.reason == "cancelled" and cancelled.ended_at is not None and free(shop)
    assert handle is not None and not handle.is_alive
    assert shop.states_of(job)[-1] == "cancelled"


@pytest.mark.parametrize("does", ["hang", "leave a child"])
def test_a_run_that_hears_nothing_is_killed_with_all_its_processes(shop: Shop, does: str) -> None:
    job = shop.submit(does=does)
    shop.supervisor = shop.another(stop_seconds=0.3)
    shop.turn_until(lambda: len(queue.events_of(shop.service, job)) > 3 and handle_of(shop.run_of(job)))
    handle = handle_of(shop.run_of(job))
    assert handle is not None
    os.killpg(handle.worker.pid, signal.SIGSTOP)
    queue.cancel(shop.service, job.id, OPERATOR)
    cancelled = shop.until_state(job, RunState.CANCELLED)
    assert cancelled.error is None and not is_alive(handle.worker) and free(shop)


@pytest.mark.parametrize(("ask", "state"), [(queue.pause, RunState.PAUSED), (queue.cancel, RunState.CANCELLED)])
def test_what_is_asked_while_a_job_is_planned_is_done_at_once(shop: Shop, ask: Any, state: RunState) -> None:
    job = shop.submit()
    shop.turn_until(lambda: shop.job(job).state is RunState.PREPARING)
    ask(shop.service, job.id, OPERATOR)
    shop.supervisor.turn()
    assert shop.job(job).state is state and shop.job(job).run is None and free(shop)
    if state is RunState.PAUSED:
        queue.resume(shop.service, job.id, OPERATOR)
        shop.until_state(job, RunState.SUCCEEDED)


def test_what_is_asked_while_a_run_is_started_is_not_lost(shop: Shop) -> None:
    job = shop.submit(does="wait")
    shop.turn_until(lambda: shop.job(job).run)
    queue.cancel(shop.service, job.id, OPERATOR)
    shop.until_state(job, RunState.CANCELLED)
    assert free(shop) and not handle_of(shop.run_of(job)).is_alive  # type: ignore[union-attr]


def test_a_pause_is_overruled_by_a_cancel(shop: Shop) -> None:
    job = shop.submit(does="train and wait")
    shop.turn_until(lambda: shop.job(job).progress.get("step") == 2)
    queue.pause(shop.service, job.id, OPERATOR)
    queue.cancel(shop.service, job.id, OPERATOR)
    shop.until_state(job, RunState.CANCELLED)
    assert "paused" not in shop.states_of(job)


def test_jobs_that_are_cancelled_at_any_moment_leave_nothing(shop: Shop) -> None:
    cancel_at_random(shop, 5, random.Random(7))
