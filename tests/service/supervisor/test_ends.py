from __future__ import annotations

import os
import signal
from pathlib import Path

import psutil

from shop import Shop
from tunesmith.runs.handle import handle_of
from tunesmith.service.accounts.principal import OPERATOR
from tunesmith.service.jobs import queue
from tunesmith.spec.states import RunState
from tunesmith.store import jobs, machines, models, usage


def ends(shop: Shop, does: str, state: RunState = RunState.FAILED) -> tuple[dict[str, object] | None, list[str]]:
    job = shop.submit(does=does)
    shop.turn_until(lambda: shop.job(job).state is state)
    with shop.service.database.read() as connection:
        assert all(device.job is None for device in machines.devices_of(connection))
        assert usage.since(connection, 0)["default"] > 0
    found = shop.job(job)
    assert found.lease_owner is None and found.ended_at is not None
    return found.error, shop.states_of(job)


def test_a_failure_with_a_last_word_is_told_and_not_tried_again(shop: Shop) -> None:
    error, states = ends(shop, "lack data")
    assert error is not None and (error["code"], error["exit_code"]) == ("data_not_found", 65)
    assert "nothing.jsonl" in str(error["message"]) and states.count("preparing") == 2


def test_words_that_a_database_does_not_keep_are_told_without_what_it_does_not_keep(shop: Shop) -> None:
    error, _ = ends(shop, "lack data with zeros")
    assert error is not None and "nothing.jsonl" in str(error["message"])


def test_a_run_that_fails_instead_of_pausing_has_failed(shop: Shop) -> None:
    job = shop.submit(does="crash when asked")
    shop.until_state(job, RunState.RUNNING)
    queue.pause(shop.service, job.id, OPERATOR)
    shop.turn_until(lambda: shop.job(job).state is RunState.FAILED)
    assert "the shapes do not agree" in str(shop.job(job).error)


def test_a_fault_without_words_of_its_own_is_told(shop: Shop) -> None:
    error, _ = ends(shop, "crash")
    assert error is not None and error["code"] == "crash" and "the shapes do not agree" in str(error["message"])


def test_a_run_that_dies_again_and_again_is_set_aside_with_the_reason(shop: Shop) -> None:
    error, states = ends(shop, "be killed")
    assert error is not None and error["code"] == "run_crashed"
    assert "set aside after 3 runs that got no further: killed, most likely out of memory" in str(error["message"])
    assert "runs resume" in str(error["todo"]) and "RUN" not in str(error["todo"])
    assert states.count("queued") == 3


def test_a_job_that_dies_goes_on_from_its_newest_checkpoint(shop: Shop) -> None:
    job = shop.submit(does="train and wait", steps=5)
    shop.turn_until(lambda: shop.job(job).progress.get("step") == 2)
    first = shop.run_of(job)
    handle = handle_of(first)
    assert handle is not None
    os.killpg(handle.worker.pid, signal.SIGKILL)
    done = shop.until_state(job, RunState.SUCCEEDED)
    assert done.attempts == 0 and shop.run_of(job).header().parent == first.id
    found = queue.runs_of(shop.service, job)
    assert [(run.attempt, run.state) for run in found] == [(1, RunState.FAILED), (2, RunState.SUCCEEDED)]
    steps = [event.body["step"] for event in queue.events_of(shop.service, job, limit=999) if event.kind == "step"]
    assert steps == [1, 2, 3, 4, 5]


def test_a_job_that_gets_further_each_time_is_never_set_aside(shop: Shop) -> None:
    shop.supervisor = shop.another(max_attempts=1)
    job = shop.submit(does="train and wait", steps=3)
    shop.turn_until(lambda: shop.job(job).progress.get("step") == 2)
    handle = handle_of(shop.run_of(job))
    assert handle is not None
    os.killpg(handle.worker.pid, signal.SIGKILL)
    shop.until_state(job, RunState.SUCCEEDED)
    poison = shop.submit("two", does="be killed")
    shop.turn_until(lambda: shop.job(poison).state is RunState.FAILED)
    assert "set aside after a run that got no further" in str(shop.job(poison).error)


def test_a_plan_whose_process_is_killed_is_made_again(shop: Shop) -> None:
    job = shop.submit()
    (planner,) = shop.turn_until(planners)
    planner.kill()
    done = shop.until_state(job, RunState.SUCCEEDED)
    assert done.attempts == 1 and "tried again" in str(queue.events_of(shop.service, job))


def planners() -> list[psutil.Process]:
    found = psutil.Process().children()
    return [process for process in found if "tunesmith.service.system.subtask" in process.cmdline()]


def test_attempts_count_only_while_a_job_gets_no_further(shop: Shop) -> None:
    job = shop.submit(does="train and wait", steps=3)
    with shop.service.database.write() as connection:
        jobs.change(connection, job.id, attempts=2)
    shop.turn_until(lambda: shop.job(job).progress.get("step") == 2)
    handle = handle_of(shop.run_of(job))
    assert handle is not None
    os.killpg(handle.worker.pid, signal.SIGKILL)
    assert shop.until_state(job, RunState.SUCCEEDED).attempts == 0


def test_a_run_that_the_machine_asks_to_end_goes_on_by_itself(shop: Shop) -> None:
    job = shop.submit(does="train and wait", steps=4)
    shop.turn_until(lambda: shop.job(job).progress.get("step") == 2)
    handle = handle_of(shop.run_of(job))
    assert handle is not None
    os.kill(handle.worker.pid, signal.SIGTERM)
    done = shop.until_state(job, RunState.SUCCEEDED)
    assert done.attempts == 0 and shop.states_of(job).count("queued") == 2


def test_a_job_that_cannot_be_planned_fails_with_the_sentence(shop: Shop) -> None:
    shop.data.write_text("")
    job = shop.submit()
    shop.turn_until(lambda: shop.job(job).state is RunState.FAILED)
    error = shop.job(job).error
    assert error is not None and error["exit_code"] in (65, 78) and str(shop.data) in str(error["message"])
    assert queue.runs_of(shop.service, job) == []


def test_a_job_whose_output_is_busy_waits_and_says_for_what(shop: Shop) -> None:
    first = shop.submit("one", does="wait")
    shop.until_state(first, RunState.RUNNING)
    running = shop.run_of(first)
    second = shop.another(machine="other")
    job = shop.submit("one", does="train")
    shop.turn_until(lambda: (shop.job(job).waiting or "").count(running.id), second)
    waiting = shop.job(job)
    assert waiting.state is RunState.QUEUED and waiting.available_at > waiting.created_at and waiting.run is None
    assert queue.runs_of(shop.service, job) == []
    queue.cancel(shop.service, first.id, OPERATOR)
    shop.until_state(first, RunState.CANCELLED)
    with shop.service.database.write() as connection:
        jobs.change(connection, job.id, available_at=0.0)
    assert shop.until_state(job, RunState.SUCCEEDED).waiting is None


def test_a_result_is_recorded_once(shop: Shop) -> None:
    job = shop.submit()
    shop.until_state(job, RunState.SUCCEEDED)
    for _ in range(3):
        shop.supervisor.turn()
    with shop.service.database.read() as connection:
        found = [model for model in models.listed(connection, "default") if model.job == job.id]
    assert len(found) == 1 and Path(found[0].path) == shop.folder / "one"
