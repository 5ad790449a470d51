from __future__ import annotations

import os
import signal

import pytest

from shop import Shop
from tunesmith.runs.handle import handle_of
from tunesmith.runs.liveness import is_alive
from tunesmith.runs.status import status
from tunesmith.service.accounts.principal import OPERATOR
from tunesmith.service.jobs import deletion, queue
from tunesmith.service.jobs.work import exported_folder
from tunesmith.service.jobs.work_folders import export_run
from tunesmith.service.models import catalogue
from tunesmith.spec.errors import Cancelled, Conflict, WrongJobState
from tunesmith.spec.states import RunState
from tunesmith.spec.work import EvaluateSpec, ExportSpec
from tunesmith.store import machines
from tunesmith.store import models as stored_models


def export(source: queue.Job, **values: object) -> ExportSpec:
    return ExportSpec(source=source.id, **values)  # type: ignore[arg-type]


def test_an_export_is_claimed_told_where_its_model_is_and_recorded(shop: Shop) -> None:
    source = shop.trained("write")
    job = shop.submit_work(export(source, output="out", replay=7))
    done = shop.until_state(job, RunState.SUCCEEDED)

    assert shop.states_of(job) == ["queued", "preparing", "preparing", "running", "succeeded"]
    assert done.kind == "export" and done.plan is None and done.training is None
    assert exported_folder(done) == shop.folder / "out" and (shop.folder / "out" / "written.txt").is_file()
    told = shop.run_of(done).header().request
    assert told is not None and told["replay"] == 7
    assert told["source"]["run"] == str(shop.run_of(source).path) and told["source"]["model"] == str(shop.model)
    with shop.service.database.read() as connection:
        assert [model.job for model in stored_models.listed(connection)] == [source.id], "an export is no model"


def test_an_evaluation_keeps_its_result_with_its_run(shop: Shop) -> None:
    source = shop.trained("write")
    job = shop.submit_work(EvaluateSpec(model=source.id, rows=3, bootstrap=100))
    done = shop.until_state(job, RunState.SUCCEEDED)

    assert done.result is not None and done.result["summary"]["why"] == "Nothing was measured."
    told = shop.run_of(done).header().request
    assert told is not None and (told["rows"], told["bootstrap"]) == (3, 100)
    assert told["baseline"]["model"] == str(shop.model), "a tuned model is compared with its base"


def test_models_are_named_as_they_are_asked_and_checkpoints_too(shop: Shop) -> None:
    source = shop.trained("write", steps=3)
    assert source.result is not None and source.run is not None
    run, model = source.run, source.result["model"]
    for written in (source.id, f"ftjob-{source.id}", run, f"run:{run}", model, "run:write"):
        job = shop.submit_work(EvaluateSpec(model=written))
        assert isinstance(job.work, EvaluateSpec) and job.work.model == f"run:{run}", written

    job = shop.submit_work(ExportSpec(source=f"{source.id}:ckpt-step-2"))
    saved = shop.run_of(source).checkpoints_dir / "checkpoint-2"
    assert isinstance(job.work, ExportSpec) and job.work.source == str(saved)
    told = export_run(job.work, shop.service.settings, shop.folder / "out")
    assert told.source.checkpoint == str(saved) and told.source.run == str(shop.run_of(source).path)


def test_what_is_being_exported_is_deleted_by_nobody(shop: Shop) -> None:
    source = shop.trained("write")
    assert source.result is not None
    job = shop.submit_work(export(source))
    with pytest.raises(Conflict, match=f"Job {job.id} goes on with the result"):
        deletion.delete(shop.service, source.id, OPERATOR)
    with pytest.raises(Conflict, match=f"is used by job {job.id}"):
        catalogue.delete_model(shop.service, OPERATOR, source.result["model"])


def test_work_goes_on_beside_a_training_that_holds_the_only_slot(shop: Shop) -> None:
    source = shop.trained("write")
    training = shop.until_state(shop.submit("busy", does="wait"), RunState.RUNNING)
    done = shop.until_state(shop.submit_work(export(source)), RunState.SUCCEEDED)

    assert done.device == "side" and shop.job(training).state is RunState.RUNNING
    queue.cancel(shop.service, training.id, OPERATOR)
    shop.until_state(training, RunState.CANCELLED)


def test_more_work_than_there_are_places_waits_and_says_so(shop: Shop) -> None:
    source = shop.trained("write-and-wait")
    first = shop.until_state(shop.submit_work(export(source, output="a")), RunState.RUNNING)
    second = shop.submit_work(export(source, output="b"))
    shop.turn_until(lambda: shop.job(second).waiting == "Every place beside the trainings is taken.")

    for name in ("a", "b"):
        (shop.folder / f"{name}.go").touch()
    for job in (first, second):
        shop.until_state(job, RunState.SUCCEEDED)


def test_a_cancelled_export_ends_and_gives_its_place_back(shop: Shop) -> None:
    source = shop.trained("write-and-wait")
    job = shop.until_state(shop.submit_work(export(source, output="out")), RunState.RUNNING)
    run = shop.run_of(job)
    queue.cancel(shop.service, job.id, OPERATOR, kinds=queue.ALL_KINDS)
    shop.until_state(job, RunState.CANCELLED)

    handle = handle_of(run)
    assert handle is not None and not is_alive(handle.worker)
    assert not (shop.folder / "out" / "written.txt").exists()
    with shop.service.database.read() as connection:
        assert not any(device.job for device in machines.devices_of(connection))


def test_an_export_that_hears_nothing_is_broken_off_at_once_and_leaves_nothing(shop: Shop) -> None:
    source = shop.trained("write-without-hearing")
    job = shop.until_state(shop.submit_work(export(source, output="out")), RunState.RUNNING)
    queue.cancel(shop.service, job.id, OPERATOR, kinds=queue.ALL_KINDS)
    over = shop.until_state(job, RunState.CANCELLED)

    run = shop.run_of(job)
    assert status(run).exit == Cancelled.exit_code, "it ended by itself, before its patience was up"
    assert over.ended_at is not None and over.requested_at is not None
    assert over.ended_at - over.requested_at < shop.service.settings.stop_seconds / 3
    assert not list(run.artifacts_dir.iterdir())


def test_an_export_whose_run_is_killed_is_tried_again_from_its_beginning(shop: Shop) -> None:
    source = shop.trained("write-and-wait")
    job = shop.until_state(shop.submit_work(export(source, output="out")), RunState.RUNNING)
    first = shop.run_of(job)
    handle = handle_of(first)
    assert handle is not None
    os.kill(handle.worker.pid, signal.SIGKILL)
    shop.turn_until(lambda: shop.run_of(job).id != first.id and shop.job(job).state is RunState.RUNNING)
    (shop.folder / "out.go").touch()
    done = shop.until_state(job, RunState.SUCCEEDED)

    assert len(queue.runs_of(shop.service, done)) == 2 and exported_folder(done).is_dir()


def test_a_run_that_is_killed_after_it_published_is_followed_by_one_that_replaces_its_files(shop: Shop) -> None:
    source = shop.trained("publish-and-be-killed")
    done = shop.until_state(shop.submit_work(export(source, output="out")), RunState.SUCCEEDED)

    assert len(queue.runs_of(shop.service, done)) == 2
    assert exported_folder(done) == shop.folder / "out"


def test_an_export_that_dies_again_and_again_is_set_aside(shop: Shop) -> None:
    source = shop.trained("be-killed")
    job = shop.submit_work(export(source))
    failed = shop.turn_until(lambda: shop.job(job) if shop.job(job).state is RunState.FAILED else None)

    assert failed.attempts == shop.service.settings.max_attempts
    assert failed.error is not None and "set aside after 3 runs" in failed.error["message"]


def test_an_export_fails_in_its_own_words_and_can_be_tried_again(shop: Shop) -> None:
    source = shop.trained("write")
    (shop.folder / "out").mkdir()
    (shop.folder / "out" / "mine.txt").touch()
    job = shop.submit_work(export(source, output="out"))
    failed = shop.turn_until(lambda: shop.job(job) if shop.job(job).state is RunState.FAILED else None)
    assert failed.error is not None and "'mine.txt' is there" in failed.error["message"] and failed.run is None

    (shop.folder / "out" / "mine.txt").unlink()
    queue.resume(shop.service, job.id, OPERATOR, kinds=queue.ALL_KINDS)
    assert shop.until_state(job, RunState.SUCCEEDED).error is None


def test_another_supervisor_takes_up_an_export_that_goes_on(shop: Shop) -> None:
    source = shop.trained("write-and-wait")
    job = shop.until_state(shop.submit_work(export(source, output="out")), RunState.RUNNING)
    run = shop.run_of(job)
    shop.supervisor.close()
    (shop.folder / "out.go").touch()
    done = shop.until_state(job, RunState.SUCCEEDED, supervisor=shop.another())

    assert done.run == run.id, "the run that lived is followed to its end"


def test_work_is_not_paused_on_its_way(shop: Shop) -> None:
    source = shop.trained("write-and-wait")
    job = shop.until_state(shop.submit_work(export(source, output="out")), RunState.RUNNING)
    with pytest.raises(WrongJobState, match="It saves no state"):
        queue.pause(shop.service, job.id, OPERATOR, kinds=queue.ALL_KINDS)
    (shop.folder / "out.go").touch()
    shop.until_state(job, RunState.SUCCEEDED)
