from __future__ import annotations

import json
import os
import signal
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from sample_plan import sample_plan
from scripted_worker import WORKER
from tunesmith.executors.base import Executor
from tunesmith.executors.local import LocalExecutor
from tunesmith.runs.folder import RunFolder, new_run_id
from tunesmith.runs.handle import handle_of
from tunesmith.runs.launch import abandon
from tunesmith.runs.lease import grant
from tunesmith.runs.status import status
from tunesmith.service.accounts.principal import OPERATOR
from tunesmith.service.context import Service, open_service
from tunesmith.service.jobs import queue
from tunesmith.service.jobs.follow import follow
from tunesmith.service.supervisor import launcher
from tunesmith.settings import Settings
from tunesmith.spec.errors import NoSuchDevice, OtherKindOfData, OutputBusy, Relayed, RunAbandoned
from tunesmith.spec.events import Finished, Started, Step
from tunesmith.spec.job import JobSpec
from tunesmith.spec.plan import Plan
from tunesmith.spec.states import RunState
from tunesmith.store.jobs import Job

MakeJob = Callable[..., Job]
HOUR = 3600.0


@pytest.fixture
def service(home: Path, tmp_path: Path) -> Iterator[Service]:
    """One kind of database will do: nothing here asks it anything but to keep a job."""
    opened = open_service(Settings(home=home, database_url=f"sqlite:///{tmp_path / 'tunesmith.db'}"))
    yield opened
    opened.close()


@pytest.fixture
def make_job(service: Service, tiny_model: Path, chat_file: Path, tmp_path: Path) -> MakeJob:
    """Submit a job on the tiny model, as a way in does."""

    def make(**fields: Any) -> Job:
        named = {"model": {"source": str(tiny_model)}, "datasets": [{"uri": str(chat_file)}]}
        spec = JobSpec.model_validate({**named, "output": {"dir": "out"}, **fields})
        return queue.submit(service, queue.Submission(spec=spec, door="api", folder=tmp_path), OPERATOR)

    return make


@pytest.fixture
def executor() -> Executor:
    return LocalExecutor(worker=WORKER)


def scripted(job: Job, *, does: str = "train", max_steps: int = 3) -> Plan:
    return sample_plan(Path(job.spec.output.dir), does=does, max_steps=max_steps)


def wait_for(run: RunFolder, kind: type) -> None:
    next(event for event in follow(run, poll=0.005) if isinstance(event.body, kind))


def wait_for_the_end(run: RunFolder) -> int | None:
    handle = handle_of(run)
    assert handle is not None
    while handle.is_alive:
        pass
    code: int | None = json.loads((run.path / "exit.json").read_bytes())["code"]
    return code


def test_plans_in_a_child_process_as_the_command_line_would(service: Service, make_job: MakeJob) -> None:
    from tunesmith.service.jobs.submit import plan_job

    job = make_job()
    made = launcher.plan(service, job)
    assert made.spec.recipe == plan_job(job.spec, service.settings).spec.recipe
    assert made.execution.device == "cpu" and made.warnings == plan_job(job.spec, service.settings).warnings
    reasons = {decision.field: decision.reason for decision in made.decisions}
    assert reasons["recipe.optimizer"] != "given", "what was left open reads as left open"


def test_what_cannot_be_planned_is_said_in_the_same_words(service: Service, make_job: MakeJob) -> None:
    with pytest.raises(Relayed, match="unknown key 'nothing'") as raised:
        launcher.plan(service, make_job(options={"nothing": 1}))
    assert (raised.value.code, raised.value.exit_code, raised.value.status) == ("unknown_key", 78, 422)


def test_a_request_for_another_kind_of_data_is_an_error(service: Service, make_job: MakeJob) -> None:
    with pytest.raises(OtherKindOfData, match="a model of text, and the request is for vision"):
        launcher.plan(service, replace(make_job(), extra={"modality": "vision"}))


@pytest.mark.parametrize(("lane", "why"), [("cpu", "No GPU is registered"), ("gpu", "The server for GPUs has none")])
def test_a_job_for_a_gpu_is_planned_on_the_cpu_where_there_is_none(
    service: Service, make_job: MakeJob, lane: str, why: str
) -> None:
    made = launcher.plan(service, make_job(resources={"device": "cuda", "processes": 4}), device_kind=lane)
    assert (made.execution.device, made.execution.processes) == ("cpu", 1)
    assert f"{why}, so this job computes on the CPU." in made.warnings


def test_a_job_for_any_device_says_nothing_of_a_gpu(service: Service, make_job: MakeJob) -> None:
    made = launcher.plan(service, make_job())
    assert not [sentence for sentence in made.warnings if "GPU" in sentence]


def test_whoever_goes_on_with_a_run_has_its_plan(service: Service, make_job: MakeJob, executor: Executor) -> None:
    job = make_job()
    first = launch(service, job, scripted(job), executor, token=1)
    wait_for_the_end(first)
    assert launcher.plan(service, job, parent=first) == first.plan()


def test_a_job_on_the_result_of_a_run_is_planned(service: Service, make_job: MakeJob) -> None:
    job = make_job()
    run = launcher.launch(service, job, launcher.plan(service, job), run_id=new_run_id("base", 0.0), token=1)
    assert wait_for_the_end(run) == 0
    made = launcher.plan(service, make_job(model={"source": f"run:{run.id}"}, output={"dir": "next"}))
    assert made.spec.model.source == f"run:{run.id}"


def launch(service: Service, job: Job, plan: Plan, executor: Executor, *, token: int, **further: Any) -> RunFolder:
    id = new_run_id(plan.spec.name or "", time.time())
    return launcher.launch(service, job, plan, run_id=id, token=token, executor=executor, **further)


def test_a_run_has_the_id_that_was_given_and_names_its_job(
    service: Service, make_job: MakeJob, executor: Executor, tmp_path: Path
) -> None:
    job = make_job()
    run = launcher.launch(service, job, scripted(job), run_id="20260101-000000-x-1234", token=7, executor=executor)
    header = run.header()
    assert (run.id, header.id, header.job, header.token) == ("20260101-000000-x-1234",) * 2 + (job.id, 7)
    assert (header.folder, header.output) == (str(tmp_path), str(tmp_path / "out"))
    assert wait_for_the_end(run) == 0
    assert json.loads((tmp_path / "out" / "run.json").read_bytes())["run"] == run.id
    assert not (run.path / "lease.json").exists()


@pytest.mark.parametrize(("devices", "shown"), [(None, ""), ([], ""), ([2], "2"), ([3, 1], "3,1")])
def test_a_worker_sees_its_own_devices_alone(
    service: Service, make_job: MakeJob, tmp_path: Path, devices: list[int] | None, shown: str
) -> None:
    teller = tmp_path / "teller.py"
    teller.write_text("import os; print(os.environ['CUDA_VISIBLE_DEVICES'], os.environ['CUDA_DEVICE_ORDER'])")
    job = make_job()
    run = launch(service, job, scripted(job), LocalExecutor(worker=(str(teller),)), token=1, devices=devices)
    wait_for_the_end(run)
    assert run.log.read_text() == f"{shown} PCI_BUS_ID\n"


def test_a_plan_for_a_gpu_starts_nowhere_else(service: Service, make_job: MakeJob, executor: Executor) -> None:
    job = make_job()
    plan = scripted(job)
    for_gpu = plan.model_copy(update={"execution": plan.execution.model_copy(update={"device": "cuda"})})
    with pytest.raises(NoSuchDevice):
        launch(service, job, for_gpu, executor, token=1)


def test_a_run_that_was_given_up_leaves_nothing(service: Service, make_job: MakeJob, executor: Executor) -> None:
    job, id = make_job(), "20260101-000000-x-1234"
    assert abandon(RunFolder(service.settings.runs_dir / id))
    with pytest.raises(RunAbandoned):
        launcher.launch(service, job, scripted(job), run_id=id, token=1, executor=executor)
    assert not Path(job.spec.output.dir).exists()


def test_another_job_into_the_same_output_waits(service: Service, make_job: MakeJob, executor: Executor) -> None:
    first, second = make_job(), make_job()
    run = launch(service, first, scripted(first, does="wait"), executor, token=1)
    before = set(service.settings.runs_dir.iterdir())
    with pytest.raises(OutputBusy, match=run.id):
        launch(service, second, scripted(second), executor, token=1)
    assert set(service.settings.runs_dir.iterdir()) == before
    executor.stop(handle_of(run), force=True)  # type: ignore[arg-type]


def test_a_stopped_worker_that_wakes_up_past_its_lease_publishes_nothing(
    service: Service, make_job: MakeJob, executor: Executor
) -> None:
    job = make_job()
    plan, output = scripted(job, does="train and wait", max_steps=4), Path(job.spec.output.dir)
    old = launch(service, job, plan, executor, token=1, lease_until=time.time() + HOUR)
    wait_for(old, Step)
    while not (old.checkpoints_dir / "checkpoint-2").exists():
        pass
    handle = handle_of(old)
    assert handle is not None
    os.killpg(handle.worker.pid, signal.SIGSTOP)
    grant(old, time.time() - 1)  # As time would have done.

    new = launch(service, job, plan, executor, token=2, parent=old, lease_until=time.time() + HOUR)
    assert wait_for_the_end(new) == 0
    published = {path.name: path.read_bytes() for path in output.iterdir() if path.is_file()}
    assert json.loads(published["run.json"])["run"] == new.id

    os.killpg(handle.worker.pid, signal.SIGCONT)
    assert wait_for_the_end(old) == 75
    assert status(old).state is RunState.PAUSED
    assert {path.name: path.read_bytes() for path in output.iterdir() if path.is_file()} == published


def test_a_run_that_is_launched_past_its_lease_stops_at_once(
    service: Service, make_job: MakeJob, executor: Executor
) -> None:
    job = make_job()
    run = launch(service, job, scripted(job), executor, token=1, lease_until=time.time() - 1)
    assert wait_for_the_end(run) == 75
    assert not (Path(job.spec.output.dir) / "run.json").exists()


def test_a_run_goes_on_while_its_lease_is_renewed(service: Service, make_job: MakeJob, executor: Executor) -> None:
    job = make_job()
    run = launch(service, job, scripted(job), executor, token=1, lease_until=time.time() + HOUR)
    wait_for(run, Started)
    grant(run, time.time() + 2 * HOUR)
    wait_for(run, Finished)
    assert wait_for_the_end(run) == 0


def test_a_place_leads_to_the_checkpoints_of_the_newest_run(
    service: Service, make_job: MakeJob, executor: Executor, tmp_path: Path
) -> None:
    job = replace(make_job(), folder=str(tmp_path), extra={"checkpoints_at": "models/checkpoints/train_1"})
    place = tmp_path / "models" / "checkpoints" / "train_1"
    for id in ("first", "second"):
        run = launcher.launch(service, job, scripted(job), run_id=id, token=1, executor=executor)
        wait_for_the_end(run)
        assert place.resolve() == run.checkpoints_dir.resolve()
    place.unlink()
    place.mkdir()
    wait_for_the_end(launcher.launch(service, job, scripted(job), run_id="third", token=1, executor=executor))
    assert not place.is_symlink(), "what somebody else put there stays"


def test_what_died_before_its_first_checkpoint_is_begun_again(
    service: Service, make_job: MakeJob, executor: Executor
) -> None:
    job = make_job()
    dead = launcher.launch(service, job, scripted(job, does="be killed"), run_id="dead", token=1, executor=executor)
    wait_for_the_end(dead)
    again = launcher.launch(service, job, scripted(job), run_id="again", parent=dead, token=2, executor=executor)
    assert wait_for_the_end(again) == 0 and again.header().parent is None
    further = launcher.launch(service, job, scripted(job), run_id="further", parent=again, token=3, executor=executor)
    assert wait_for_the_end(further) == 0 and further.header().parent == "again"
