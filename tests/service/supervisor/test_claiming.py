from __future__ import annotations

from shop import Shop
from stored_rows import server
from tunesmith.service.accounts.principal import OPERATOR
from tunesmith.service.jobs import queue
from tunesmith.spec.job import Device
from tunesmith.spec.states import RunState
from tunesmith.spec.work import EvaluateSpec, ExportSpec
from tunesmith.store import machines
from tunesmith.store.jobs import Job
from tunesmith.store.machines import Slot


def submit_for_gpu(shop: Shop) -> Job:
    job = shop.submit()
    resources = job.spec.resources.model_copy(update={"device": Device.CUDA})
    queue.cancel(shop.service, job.id, OPERATOR)
    spec = job.spec.model_copy(update={"resources": resources})
    return queue.submit(shop.service, queue.Submission(spec=spec, door="api"), OPERATOR)


def register_gpu(shop: Shop, *, seen_at: float) -> None:
    with shop.service.database.write() as connection:
        machines.see(connection, "big", seen_at)
        machines.offer(connection, "big", "gpu", [Slot("GPU", 1)])
        machines.add_server(connection, server("gpus", "big", device="gpu", seen_at=seen_at, started_at=seen_at))


def test_a_job_for_a_gpu_computes_on_the_cpu_where_no_server_has_one_and_says_so(shop: Shop) -> None:
    done = shop.until_state(submit_for_gpu(shop), RunState.SUCCEEDED)
    assert "No GPU is registered, so this job computes on the CPU." in done.warnings


def test_a_job_for_a_gpu_waits_for_the_server_that_has_one(shop: Shop) -> None:
    with shop.service.database.read() as connection:
        now = shop.service.database.now(connection)
    register_gpu(shop, seen_at=now - shop.service.settings.lease_seconds - 1)
    job = submit_for_gpu(shop)
    shop.supervisor.turn()
    waiting = shop.job(job)
    assert waiting.state is RunState.QUEUED
    assert waiting.waiting == "The server for GPUs on big is not heard of; the job waits for it."


def test_a_server_for_gpus_without_any_computes_on_the_cpu_and_says_so(shop: Shop) -> None:
    shop.supervisor = shop.another(device="gpu")
    done = shop.until_state(submit_for_gpu(shop), RunState.SUCCEEDED)
    assert "The server for GPUs has none, so this job computes on the CPU." in done.warnings and done.device == "gpu"


def test_what_a_job_waits_for_is_said_and_taken_back(shop: Shop) -> None:
    first, second = shop.submit("one", does="wait"), shop.submit("two")
    shop.until_state(first, RunState.RUNNING)
    shop.turn_until(lambda: shop.job(second).waiting == "Every CPU slot is taken.")
    queue.cancel(shop.service, first.id, OPERATOR)
    assert shop.until_state(second, RunState.SUCCEEDED).waiting is None


def test_work_beside_the_trainings_counts_for_no_limit_of_running_jobs(shop: Shop) -> None:
    source = shop.trained("write-and-wait")
    shop.supervisor = shop.another(max_running=1)
    beside = shop.until_state(shop.submit_work(ExportSpec(source=source.id, output="out")), RunState.RUNNING)
    training = shop.until_state(shop.submit("one"), RunState.SUCCEEDED)
    assert training.ended_at is not None and shop.job(beside).state is RunState.RUNNING
    (shop.folder / "out.go").touch()
    shop.until_state(beside, RunState.SUCCEEDED)


def test_a_server_without_places_beside_the_trainings_leaves_such_work(shop: Shop) -> None:
    source = shop.trained("write")
    shop.supervisor.close()
    shop.supervisor = shop.another(side_jobs=0)
    job = shop.submit_work(ExportSpec(source=source.id))
    shop.turn_until(lambda: shop.job(job).waiting == "No server that lends a place beside its trainings is running.")
    shop.supervisor = shop.another(side_jobs=1)
    shop.until_state(job, RunState.SUCCEEDED)


def test_an_evaluation_that_asks_for_a_gpu_waits_for_one_as_a_training_does(shop: Shop) -> None:
    with shop.service.database.read() as connection:
        now = shop.service.database.now(connection)
    source = shop.trained("write")
    register_gpu(shop, seen_at=now - shop.service.settings.lease_seconds - 1)
    job = shop.submit_work(EvaluateSpec(model=source.id, device=Device.CUDA))
    shop.turn_until(lambda: shop.job(job).waiting)
    assert shop.job(job).waiting == "The server for GPUs on big is not heard of; the job waits for it."


def test_who_has_reached_a_limit_waits_and_others_do_not(shop: Shop) -> None:
    shop.supervisor = shop.another(max_running=1, cpu_slots=2)
    first, second = shop.submit("one", does="wait", org="a"), shop.submit("two", org="a")
    third = shop.submit("three", org="b")
    shop.until_state(third, RunState.SUCCEEDED)
    shop.turn_until(lambda: shop.job(first).state is RunState.RUNNING)
    shop.turn_until(lambda: shop.job(second).waiting)
    assert shop.job(second).waiting == "Organisation 'a' has as many jobs running as it may have (1)."
    queue.cancel(shop.service, first.id, OPERATOR)
    shop.until_state(second, RunState.SUCCEEDED)
