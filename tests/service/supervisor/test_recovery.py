from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from shop import Shop
from tunesmith.runs.folder import RunFolder
from tunesmith.runs.handle import handle_of
from tunesmith.runs.launch import abandon
from tunesmith.runs.lease import LeaseWatch, grant
from tunesmith.service.accounts.principal import OPERATOR
from tunesmith.service.jobs import queue
from tunesmith.spec.states import RunState
from tunesmith.store import claims, jobs, machines, models

SERVER = Path(__file__).with_name("lone_supervisor.py")
GONE = 2**22 - 1
"""A process id that no process has."""


def lose(shop: Shop) -> None:
    """Have the first supervisor be gone without a word, as after kill -9: its server's process is no more."""
    with shop.service.database.write() as connection:
        connection.execute(machines.servers.update().values(pid=GONE, started="0"))


def take_over(shop: Shop, **settings: object) -> None:
    lose(shop)
    shop.supervisor = shop.another(**settings)


def seen_at(shop: Shop, id: str) -> float:
    with shop.service.database.read() as connection:
        return next(server.seen_at for server in machines.servers_of(connection) if server.id == id)


def steps_told(shop: Shop, job: jobs.Job) -> list[int]:
    return [event.body["step"] for event in queue.events_of(shop.service, job, limit=9999) if event.kind == "step"]


def test_a_living_run_is_followed_by_whoever_comes_next(shop: Shop) -> None:
    job = shop.submit(does="train and wait", steps=4)
    shop.turn_until(lambda: shop.job(job).progress.get("step") == 2)
    run = shop.run_of(job)
    take_over(shop)
    shop.turn_until(lambda: shop.job(job).lease_owner == shop.supervisor.id)
    assert [run.state for run in queue.runs_of(shop.service, job)] == [RunState.RUNNING]
    queue.pause(shop.service, job.id, OPERATOR)
    shop.until_state(job, RunState.PAUSED)
    assert [run.state for run in queue.runs_of(shop.service, job)] == [RunState.PAUSED]
    assert shop.run_of(job) == run and steps_told(shop, job) == [1, 2]
    assert shop.job(job).progress["loss"] == pytest.approx((1 + 1 / 2) / 2)


def test_a_run_that_ended_meanwhile_is_concluded(shop: Shop) -> None:
    job = shop.submit(steps=3)
    shop.turn_until(lambda: shop.job(job).run and handle_of(shop.run_of(job)))
    handle = handle_of(shop.run_of(job))
    assert handle is not None
    while handle.is_alive:
        shop.service.wake.wait(0.01)
    take_over(shop)
    shop.until_state(job, RunState.SUCCEEDED)
    assert steps_told(shop, job) == [1, 2, 3]


def test_a_living_owner_keeps_its_jobs_past_its_lease_on_the_same_machine(shop: Shop) -> None:
    job = shop.submit(does="wait")
    shop.until_state(job, RunState.RUNNING)
    with shop.service.database.write() as connection:
        jobs.change(connection, job.id, lease_until=0.0)
    other = shop.another()
    other.turn()
    assert shop.job(job).lease_owner == shop.supervisor.id


def test_a_claimed_job_that_was_never_launched_is_begun_again(shop: Shop) -> None:
    job = shop.submit()
    shop.turn_until(lambda: shop.job(job).state is RunState.PREPARING)
    token = shop.job(job).lease_token
    take_over(shop)
    done = shop.until_state(job, RunState.SUCCEEDED)
    assert done.lease_token == token + 1


def test_a_run_that_was_written_down_and_not_launched_never_starts(shop: Shop) -> None:
    job = shop.submit()
    shop.turn_until(lambda: shop.job(job).run)
    intended = shop.job(job).run
    assert intended is not None
    # The supervisor dies between writing down the run and starting it; whoever adopts takes the marker.
    started = not abandon(RunFolder(shop.service.settings.runs_dir / intended))
    take_over(shop)
    done = shop.until_state(job, RunState.SUCCEEDED)
    assert started or done.run != intended
    found = queue.runs_of(shop.service, job)
    assert [run.state for run in found] == [RunState.SUCCEEDED] and found[0].id == done.run


def test_a_run_that_was_written_down_is_forgotten_with_a_job_that_is_cancelled(shop: Shop) -> None:
    job = shop.submit(does="wait")
    intended = shop.turn_until(lambda: shop.job(job).run)
    started = not abandon(RunFolder(shop.service.settings.runs_dir / intended))
    take_over(shop)
    queue.cancel(shop.service, job.id, OPERATOR)
    shop.until_state(job, RunState.CANCELLED)
    assert [run.state for run in queue.runs_of(shop.service, job)] == ([RunState.CANCELLED] if started else [])


def test_a_job_that_was_claimed_and_not_begun_is_taken_up(shop: Shop) -> None:
    """As after a database that went away just then."""
    shop.supervisor.turn()
    job = shop.submit()
    assert shop.supervisor.claim_one() is not None
    shop.until_state(job, RunState.SUCCEEDED)


def test_on_another_machine_a_job_goes_on_as_another_run_when_its_lease_has_passed(shop: Shop) -> None:
    if shop.service.database.is_sqlite:
        pytest.skip("a database in a file is one machine's")
    shop.supervisor = shop.another(lease_seconds=3.0)
    job = shop.submit(does="train and wait", steps=4)
    shop.turn_until(lambda: shop.job(job).progress.get("step") == 2)
    first, handle = shop.run_of(job), handle_of(shop.run_of(job))
    assert handle is not None
    other = shop.another(machine="other")
    other.turn()
    assert shop.job(job).lease_owner == shop.supervisor.id
    os.killpg(handle.worker.pid, signal.SIGSTOP)
    with shop.service.database.write() as connection:
        jobs.change(connection, job.id, lease_until=0.0)
    shop.until_state(job, RunState.SUCCEEDED, supervisor=other)
    second = shop.run_of(job)
    assert second.header().parent == first.id and steps_told(shop, job) == [1, 2, 3, 4]
    published = (shop.folder / "one" / "run.json").read_text()

    # However long it was away: what it renews first of all is its own, and this run is not.
    grant(first, 1.0)
    silent = seen_at(shop, shop.supervisor.id)
    shop.turn_until(lambda: seen_at(shop, shop.supervisor.id) > silent)
    assert LeaseWatch(first).has_passed()

    # The supervisor that was silent finds that the job is not its own, and its run changes nothing.
    os.killpg(handle.worker.pid, signal.SIGCONT)
    shop.turn_until(lambda: not handle.is_alive)
    assert shop.job(job).run == second.id and (shop.folder / "one" / "run.json").read_text() == published
    with shop.service.database.read() as connection:
        assert all(device.job is None for device in machines.devices_of(connection))
        assert len([model for model in models.listed(connection, "default") if model.job == job.id]) == 1


def test_a_claim_of_which_word_was_lost_is_taken_up(shop: Shop) -> None:
    shop.supervisor.turn()
    job = shop.submit()
    with shop.service.database.write() as connection:
        place = claims.Place(shop.service.settings.machine, "cpu", 1)
        now = shop.service.database.now(connection)
        assert claims.claim(
            connection, job.number, place, owner=shop.supervisor.id, now=now, until=now + 30, max_running=None
        )
    shop.until_state(job, RunState.SUCCEEDED)


def test_two_that_adopt_at_once_do_not_both_get_the_job(shop: Shop) -> None:
    job = shop.submit(does="wait")
    shop.until_state(job, RunState.RUNNING)
    lose(shop)
    first, second = shop.another(), shop.another()
    first.turn()
    second.turn()
    assert shop.job(job).lease_owner == first.id and shop.job(job).lease_token == 2
    queue.cancel(shop.service, job.id, OPERATOR)
    shop.until_state(job, RunState.CANCELLED, supervisor=first)


def test_a_server_that_is_killed_loses_and_repeats_nothing(shop: Shop, database_url: str) -> None:
    """A real process, killed at moments that its own progress decides; every event comes once, in order."""
    job = shop.submit(steps=40)
    command = [sys.executable, str(SERVER), str(shop.service.settings.home), database_url]
    kills = 0
    while shop.job(job).state is not RunState.SUCCEEDED:
        before = len(queue.events_of(shop.service, job, limit=9999))
        process = subprocess.Popen(command)
        try:
            while len(queue.events_of(shop.service, job, limit=9999)) < before + 3:
                assert process.poll() is None
                if shop.job(job).state is RunState.SUCCEEDED:
                    break
        finally:
            process.kill()
            process.wait()
        kills += 1
        assert kills < 200
    told = queue.events_of(shop.service, job, limit=9999)
    numbers = [event.seq for event in told if event.seq is not None]
    assert numbers == sorted(set(numbers)) and steps_told(shop, job) == list(range(1, 41))
    assert shop.states_of(job).count("succeeded") == 1 and len(queue.runs_of(shop.service, job)) == 1
    assert kills > 1
